/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/io.h"
#include "lib/pki.h"
#include "tests/unit/lib/support.h"

#define DAY_S 86400ull

static char *ca_key, *ca;

/* Once for all tests: making keys is slow under valgrind. */
static void make_ca(void)
{
	struct err e = {0};

	if (pki_new_ca("a test's CA", 30, &ca_key, &ca, &e))
		fprintf(stderr, "%s\n", e.text);
}

static void drop_ca(void)
{
	free(ca_key);
	free(ca);
}

static char *issue(const struct pki_issue *what, const char *csr)
{
	struct err e = {0};
	char *cert = NULL;

	assert_ok(pki_issue(ca_key, ca, csr, what, &cert, NULL, &e), &e);
	return cert;
}

static char *make_csr(void)
{
	_cleanup_free_ char *key = NULL;
	struct err e = {0};
	char *csr = NULL;

	assert_ok(pki_new_csr("somebody", &key, &csr, &e), &e);
	return csr;
}

static const struct pki_issue client = {.common_name = "a-machine", .valid_s = DAY_S};

static const char *const server_names[] = {"localhost", "127.0.0.1", "::1", "appliance.example",
					   NULL};
static const struct pki_issue server = {.common_name = "localhost",
					.names = server_names,
					.server = true,
					.valid_s = DAY_S};

/* What `openssl x509 -text` says of a certificate; the caller frees. */
static char *describe(const char *cert)
{
	char command[9000];
	struct err e = {0};
	char *text;

	write_text(temp_path("described.pem"), cert);
	snprintf(command, sizeof(command),
		 "openssl x509 -in %s -noout -text -certopt no_pubkey >%s",
		 temp_path("described.pem"), temp_path("described.txt"));
	ck_assert_int_eq(run_command((const char *const[]){"sh", "-c", command, NULL}), 0);
	assert_ok(io_read_file(temp_path("described.txt"), 1 << 16, &text, NULL, &e), &e);
	return text;
}

#define assert_has(text, part) ck_assert_msg(strstr(text, part), "no \"%s\" in:\n%s", part, text)

START_TEST(a_ca_says_so)
{
	_cleanup_free_ char *text = describe(ca);

	assert_has(text, "Version: 3 (0x2)");
	assert_has(text, "ecdsa-with-SHA256");
	assert_has(text, "Issuer: CN = a test's CA");
	assert_has(text, "Subject: CN = a test's CA");
	assert_has(text, "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0");
	assert_has(text, "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign");
}
END_TEST

START_TEST(a_server_certificate_has_its_names)
{
	_cleanup_free_ char *csr = make_csr();
	_cleanup_free_ char *cert = issue(&server, csr);
	_cleanup_free_ char *text = describe(cert);

	assert_has(text, "Subject: CN = localhost");
	assert_has(text, "CA:FALSE");
	assert_has(text, "X509v3 Key Usage: critical\n                Digital Signature\n");
	assert_has(text, "TLS Web Server Authentication\n");
	assert_has(text, "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, "
			 "DNS:appliance.example\n");
	ck_assert_ptr_null(strstr(text, "TLS Web Client"));
}
END_TEST

START_TEST(a_client_certificate_is_for_clients)
{
	_cleanup_free_ char *csr = make_csr();
	_cleanup_free_ char *cert = issue(&client, csr);
	_cleanup_free_ char *text = describe(cert);

	assert_has(text, "Subject: CN = a-machine");
	assert_has(text, "TLS Web Client Authentication\n");
	ck_assert_ptr_null(strstr(text, "TLS Web Server"));
	ck_assert_ptr_null(strstr(text, "somebody"));
}
END_TEST

static int openssl_verify(const char *cert, const char *trusted, const char *purpose)
{
	write_text(temp_path("cert.pem"), cert);
	write_text(temp_path("trusted.pem"), trusted);
	return run_command((const char *const[]){"openssl", "verify", "-x509_strict", "-no-CApath",
						 "-no-CAstore", "-CAfile", temp_path("trusted.pem"),
						 "-purpose", purpose, temp_path("cert.pem"), NULL});
}

/* What openssl(1) says of the chains, each of which pki_verify must judge likewise. */
START_TEST(openssl_agrees)
{
	_cleanup_free_ char *other_key = NULL, *other_ca = NULL, *csr = make_csr();
	_cleanup_free_ char *for_server = issue(&server, csr), *for_client = issue(&client, csr);
	struct err e = {0};

	/* the same name as the real CA, but another key */
	assert_ok(pki_new_ca("a test's CA", 30, &other_key, &other_ca, &e), &e);
	ck_assert_int_eq(openssl_verify(for_server, ca, "sslserver"), 0);
	ck_assert_int_eq(openssl_verify(for_client, ca, "sslclient"), 0);
	ck_assert_int_ne(openssl_verify(for_client, ca, "sslserver"), 0);
	ck_assert_int_ne(openssl_verify(for_server, ca, "sslclient"), 0);
	ck_assert_int_ne(openssl_verify(for_client, other_ca, "sslclient"), 0);
	ck_assert_int_ne(openssl_verify(for_client, for_server, "sslclient"), 0);
	assert_ok(pki_verify(for_server, ca, &e), &e);
	assert_ok(pki_verify(for_client, ca, &e), &e);
	assert_ok(pki_verify(ca, ca, &e), &e);
	assert_code(pki_verify(for_client, other_ca, &e), -EKEYREJECTED, &e);
	assert_code(pki_verify(for_client, for_server, &e), -EKEYREJECTED, &e);
	assert_code(pki_verify(other_ca, ca, &e), -EKEYREJECTED, &e);
	assert_code(pki_verify("rubbish", ca, &e), -EBADMSG, &e);
	assert_code(pki_verify(ca, "rubbish", &e), -EBADMSG, &e);
}
END_TEST

/* A certificate cannot issue others, whoever signs with its key. */
START_TEST(a_leaf_is_no_ca)
{
	_cleanup_free_ char *key = NULL, *csr = NULL, *leaf = NULL, *forged = NULL;
	struct err e = {0};

	assert_ok(pki_new_csr("leaf", &key, &csr, &e), &e);
	leaf = issue(&client, csr);
	assert_ok(pki_issue(key, leaf, csr, &client, &forged, NULL, &e), &e);
	assert_code(pki_verify(forged, leaf, &e), -EKEYREJECTED, &e);
}
END_TEST

START_TEST(life_is_backdated_and_ends)
{
	_cleanup_free_ char *csr = make_csr(), *cert = NULL;
	uint64_t now = clock_realtime_ns(), before, after, told;
	struct err e = {0};

	assert_ok(pki_issue(ca_key, ca, csr, &client, &cert, &told, &e), &e);
	assert_ok(pki_cert_life(cert, &before, &after, &e), &e);
	ck_assert_uint_eq(after, told);
	ck_assert_uint_le(before, now - (DAY_S / 45 - 1) * NSEC_PER_SEC);
	ck_assert_uint_ge(before, now - (DAY_S / 45 + 30) * NSEC_PER_SEC);
	ck_assert_uint_ge(after, now + (DAY_S - 2) * NSEC_PER_SEC);
	ck_assert_uint_le(after, now + (DAY_S + 60) * NSEC_PER_SEC);
	assert_code(pki_cert_life("x", &before, &after, &e), -EBADMSG, &e);
}
END_TEST

START_TEST(no_certificate_outlives_the_ca)
{
	const struct pki_issue longer = {.common_name = "a", .valid_s = 3650 * DAY_S};
	_cleanup_free_ char *csr = make_csr();
	_cleanup_free_ char *cert = issue(&longer, csr);
	uint64_t before, cert_end, ca_end;
	struct err e = {0};

	assert_ok(pki_cert_life(cert, &before, &cert_end, &e), &e);
	assert_ok(pki_cert_life(ca, &before, &ca_end, &e), &e);
	ck_assert_uint_eq(cert_end, ca_end);
}
END_TEST

START_TEST(an_expired_certificate_is_told_from_a_wrong_one)
{
	const struct pki_issue brief = {.common_name = "a", .valid_s = 1};
	_cleanup_free_ char *csr = make_csr();
	_cleanup_free_ char *cert = issue(&brief, csr);
	uint64_t until = clock_realtime_ns() + 20 * NSEC_PER_SEC;
	struct err e = {0};
	int r;

	do
		r = pki_verify(cert, ca, &e);
	while (r == 0 && clock_realtime_ns() < until);
	assert_code(r, -EKEYEXPIRED, &e);
	ck_assert_int_ne(openssl_verify(cert, ca, "sslclient"), 0);
}
END_TEST

static void serial_of(const char *cert, char out[64])
{
	_cleanup_free_ char *text = describe(cert);
	const char *s = strstr(text, "Serial Number:");

	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(sscanf(s, "Serial Number: %63s", out), 1);
}

START_TEST(serials_are_random)
{
	_cleanup_free_ char *csr = make_csr();
	_cleanup_free_ char *a = issue(&client, csr), *b = issue(&client, csr);
	char serial_a[64], serial_b[64];

	serial_of(a, serial_a);
	serial_of(b, serial_b);
	ck_assert_str_ne(serial_a, serial_b);
	/* 16 bytes as xx:…; a leading zero byte comes once in 256 */
	ck_assert_uint_ge(strlen(serial_a), 14 * 3 - 1);
}
END_TEST

START_TEST(a_changed_request_is_refused)
{
	_cleanup_free_ char *csr = make_csr();
	char *cert = NULL, *body = strchr(csr, '\n') + 1;
	unsigned int wrong_signature = 0;
	struct err e = {0};

	/* flip one character after another: never a certificate for another key or subject */
	for (size_t i = 0; body[i] != '-' && body[i]; i += 5) {
		char kept = body[i];

		body[i] = kept == 'A' ? 'B' : 'A';
		if (kept != '\n' && kept != '=' &&
		    pki_issue(ca_key, ca, csr, &client, &cert, NULL, &e) == 0) {
			/* the spare bits of base64's last character mean nothing */
			ck_assert(body[i + 1] == '=' || body[i + 2] == '=');
			free(cert);
		}
		wrong_signature += strstr(e.text, "signature is wrong") != NULL;
		body[i] = kept;
	}
	ck_assert_uint_gt(wrong_signature, 10);
}
END_TEST

START_TEST(bad_material_is_refused)
{
	static const char *const evil[] = {"a,IP:1.2.3.4", "",	"a b", "-x", "*.example",
					   "1.2.3.4.5/24", NULL};
	_cleanup_free_ char *csr = make_csr(), *other_key = NULL, *other_ca = NULL;
	struct pki_issue what = client;
	char *cert = NULL;
	struct err e = {0};

	assert_code(pki_issue(ca_key, ca, "x", &client, &cert, NULL, &e), -EBADMSG, &e);
	assert_code(pki_issue(ca_key, ca, ca, &client, &cert, NULL, &e), -EBADMSG, &e);
	assert_code(pki_issue("x", ca, csr, &client, &cert, NULL, &e), -EBADMSG, &e);
	assert_code(pki_issue(ca_key, "", csr, &client, &cert, NULL, &e), -EBADMSG, &e);
	assert_ok(pki_new_ca("b", 1, &other_key, &other_ca, &e), &e);
	assert_code(pki_issue(other_key, ca, csr, &client, &cert, NULL, &e), -EKEYREJECTED, &e);
	for (size_t i = 0; evil[i]; i++) {
		what.names = (const char *const[]){evil[i], NULL};
		assert_code(pki_issue(ca_key, ca, csr, &what, &cert, NULL, &e), -EINVAL, &e);
	}
	what.names = NULL;
	what.common_name = "";
	assert_code(pki_issue(ca_key, ca, csr, &what, &cert, NULL, &e), -EINVAL, &e);
	what.common_name = "0123456789012345678901234567890123456789012345678901234567890123x";
	assert_code(pki_issue(ca_key, ca, csr, &what, &cert, NULL, &e), -EINVAL, &e);
	what = client;
	what.valid_s = 0;
	assert_code(pki_issue(ca_key, ca, csr, &what, &cert, NULL, &e), -EINVAL, &e);
	assert_code(pki_new_ca("", 1, &cert, &cert, &e), -EINVAL, &e);
	ck_assert_ptr_null(cert);
}
END_TEST

/* A weak key made by openssl(1), as another implementation might send it. */
START_TEST(a_weak_key_is_refused)
{
	struct err e = {0};
	char *csr, *cert;

	ck_assert_int_eq(run_command((const char *const[]){"openssl", "req", "-new", "-newkey",
							   "rsa:1024", "-nodes", "-subj", "/CN=x",
							   "-keyout", temp_path("weak.key"), "-out",
							   temp_path("weak.csr"), NULL}),
			 0);
	assert_ok(io_read_file(temp_path("weak.csr"), 1 << 16, &csr, NULL, &e), &e);
	assert_code(pki_issue(ca_key, ca, csr, &client, &cert, NULL, &e), -EBADMSG, &e);
	assert_says(&e, "too weak");
	free(csr);
}
END_TEST

/* An encrypted key must be an error, not a question on the terminal. */
START_TEST(an_encrypted_key_is_refused)
{
	struct err e = {0};
	char *key, *csr;

	ck_assert_int_eq(run_command((const char *const[]){"openssl", "genpkey", "-algorithm", "EC",
							   "-pkeyopt", "ec_paramgen_curve:P-256",
							   "-aes256", "-pass", "pass:x", "-out",
							   temp_path("locked.key"), NULL}),
			 0);
	assert_ok(io_read_file(temp_path("locked.key"), 1 << 16, &key, NULL, &e), &e);
	assert_code(pki_csr(key, "x", &csr, &e), -EBADMSG, &e);
	free(key);
}
END_TEST

START_TEST(renewal_keeps_the_key)
{
	_cleanup_free_ char *key = NULL, *first = NULL, *again = NULL, *other = make_csr();
	uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES], c[DIGEST_BYTES], d[DIGEST_BYTES];
	struct err e = {0};

	assert_ok(pki_new_csr("m", &key, &first, &e), &e);
	assert_ok(pki_csr(key, "m", &again, &e), &e);
	_cleanup_free_ char *cert = issue(&client, again);

	assert_ok(pki_csr_key_digest(first, a, &e), &e);
	assert_ok(pki_csr_key_digest(again, b, &e), &e);
	assert_ok(pki_csr_key_digest(cert, c, &e), &e);
	assert_ok(pki_csr_key_digest(other, d, &e), &e);
	ck_assert_mem_eq(a, b, DIGEST_BYTES);
	ck_assert_mem_eq(a, c, DIGEST_BYTES);
	ck_assert_mem_ne(a, d, DIGEST_BYTES);
	assert_code(pki_csr_key_digest("x", a, &e), -EBADMSG, &e);
	assert_code(pki_csr("x", "m", &again, &e), -EBADMSG, &e);
}
END_TEST

START_TEST(fingerprints_as_openssl_makes_them)
{
	char ours[PKI_FINGERPRINT_BYTES], theirs[256], command[9000];
	struct err e = {0};
	char *text;

	assert_ok(pki_fingerprint(ca, ours, &e), &e);
	ck_assert(pki_fingerprint_valid(ours));
	write_text(temp_path("ca.pem"), ca);
	snprintf(command, sizeof(command),
		 "printf sha256: >%s; openssl x509 -in %s -outform DER | sha256sum | cut -c 1-64 | "
		 "tr -d '\\n' >>%s",
		 temp_path("print"), temp_path("ca.pem"), temp_path("print"));
	ck_assert_int_eq(run_command((const char *const[]){"sh", "-c", command, NULL}), 0);
	assert_ok(io_read_file(temp_path("print"), sizeof(theirs), &text, NULL, &e), &e);
	ck_assert_str_eq(ours, text);
	free(text);
	ours[70] = 'G';
	ck_assert(!pki_fingerprint_valid(ours));
	ours[70] = 0;
	ck_assert(!pki_fingerprint_valid(ours));
	ck_assert(!pki_fingerprint_valid("sha1:00"));
	ck_assert(!pki_fingerprint_valid(""));
	assert_code(pki_fingerprint("x", ours, &e), -EBADMSG, &e);
}
END_TEST

START_TEST(what_stands_behind_the_first_certificate_is_left_out)
{
	_cleanup_free_ char *other_key = NULL, *other = NULL, *first = NULL;
	char both[8192];
	struct err e = {0};

	assert_ok(pki_new_ca("impostor", 30, &other_key, &other, &e), &e);
	snprintf(both, sizeof(both), "of the appliance:\n%s%s", ca, other);
	assert_ok(pki_first_cert(both, &first, &e), &e);
	ck_assert_str_eq(first, ca);
	assert_code(pki_first_cert("x", &first, &e), -EBADMSG, &e);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("pki");

	temp_dir();
	tcase_set_timeout(tc, 120);
	tcase_add_unchecked_fixture(tc, make_ca, drop_ca);
	tcase_add_test(tc, a_ca_says_so);
	tcase_add_test(tc, a_server_certificate_has_its_names);
	tcase_add_test(tc, a_client_certificate_is_for_clients);
	tcase_add_test(tc, openssl_agrees);
	tcase_add_test(tc, a_leaf_is_no_ca);
	tcase_add_test(tc, life_is_backdated_and_ends);
	tcase_add_test(tc, no_certificate_outlives_the_ca);
	tcase_add_test(tc, an_expired_certificate_is_told_from_a_wrong_one);
	tcase_add_test(tc, serials_are_random);
	tcase_add_test(tc, a_changed_request_is_refused);
	tcase_add_test(tc, bad_material_is_refused);
	tcase_add_test(tc, a_weak_key_is_refused);
	tcase_add_test(tc, an_encrypted_key_is_refused);
	tcase_add_test(tc, renewal_keeps_the_key);
	tcase_add_test(tc, fingerprints_as_openssl_makes_them);
	tcase_add_test(tc, what_stands_behind_the_first_certificate_is_left_out);
	return run_tcase("pki", tc);
}
