/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: good once, for one key, for a time; a lost answer can be had again. */
/* wraps: catalog_enrol */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance/enrol.h"
#include "lib/io.h"
#include "lib/pki.h"
#include "tests/unit/appliance/helpers.h"

#define NOW 1000000000000ull
#define EXPIRES (NOW + 3600000000000ull)

int __real_catalog_enrol(struct catalog *c, const struct token_row *t, const char *hostname,
			 uint64_t now, struct err *e);
int __wrap_catalog_enrol(struct catalog *c, const struct token_row *t, const char *hostname,
			 uint64_t now, struct err *e);

static char *dir, *key, *csr, *other_key, *other_csr, *ca_key, *ca;
static struct home home;
static char token[TOKEN_TEXT_BYTES];

static void put(const char *name, const char *text)
{
	char path[512];
	struct err e;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(io_write_file_atomic(path, text, strlen(text), 0600, &e), 0);
}

static void setup(void)
{
	char path[512];
	struct err e;

	dir = scratch_make();
	home_make(&home, dir);
	snprintf(path, sizeof(path), "%s/pki", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(pki_new_ca("test", 10, &ca_key, &ca, &e), 0);
	put(HOME_CA_KEY, ca_key);
	put(HOME_CA, ca);
	ck_assert_int_eq(pki_new_csr("agent", &key, &csr, &e), 0);
	ck_assert_int_eq(pki_new_csr("agent", &other_key, &other_csr, &e), 0);
	ck_assert_int_eq(enrol_token(&home, EXPIRES, token, &e), 0);
}

static void teardown(void)
{
	home_close(&home);
	free(key);
	free(csr);
	free(other_key);
	free(other_csr);
	free(ca_key);
	free(ca);
	scratch_remove(dir);
}

static int enrol(const char *with, const char *request, uint64_t now, struct enrolment *m)
{
	struct err e;

	return enrol_machine(&home, with, "host", request, now, m, &e);
}

/* An enrolment that comes between another's look at the token and its use. */
static struct enrolment *between;
static const char *between_csr;

int __wrap_catalog_enrol(struct catalog *c, const struct token_row *t, const char *hostname,
			 uint64_t now, struct err *e)
{
	struct enrolment *m = between;

	between = NULL;
	if (m)
		ck_assert_int_eq(enrol(token, between_csr, NOW, m), 0);
	return __real_catalog_enrol(c, t, hostname, now, e);
}

static int machines(void)
{
	struct machine_row *list;
	struct err e;
	int n = catalog_machines(home.catalog, &list, &e);

	ck_assert_int_ge(n, 0);
	free(list);
	return n;
}

START_TEST(once)
{
	struct enrolment m;
	struct err e;

	ck_assert_int_eq(enrol(token, csr, NOW, &m), 0);
	ck_assert_int_eq(pki_verify(m.certificate, ca, &e), 0);
	ck_assert_int_eq(machines(), 1);
	enrolment_clear(&m);
	ck_assert_int_eq(enrol(token, other_csr, NOW, &m), -EKEYREVOKED);
	ck_assert_ptr_null(m.certificate);
	ck_assert_int_eq(machines(), 1);
}
END_TEST

START_TEST(lost_answer)
{
	struct enrolment first, again;

	ck_assert_int_eq(enrol(token, csr, NOW, &first), 0);
	home_close(&home);
	home_make(&home, dir);
	ck_assert_int_eq(enrol(token, csr, NOW + 1, &again), 0);
	ck_assert_str_eq(first.machine, again.machine);
	ck_assert_str_eq(first.certificate, again.certificate);
	ck_assert_uint_eq(first.expires, again.expires);
	ck_assert_int_eq(machines(), 1);
	enrolment_clear(&first);
	enrolment_clear(&again);
	/* But only for as long as the token lives. */
	ck_assert_int_eq(enrol(token, csr, EXPIRES, &again), -EKEYEXPIRED);
}
END_TEST

/* The answer is late and the request comes again while the first is at work: both get the one answer. */
START_TEST(same_request_at_once)
{
	struct enrolment first, second;

	between_csr = csr;
	between = &first;
	ck_assert_int_eq(enrol(token, csr, NOW, &second), 0);
	ck_assert_str_eq(first.machine, second.machine);
	ck_assert_str_eq(first.certificate, second.certificate);
	ck_assert_uint_eq(first.expires, second.expires);
	ck_assert_int_eq(machines(), 1);
	enrolment_clear(&first);
	enrolment_clear(&second);
}
END_TEST

/* Somebody else's was faster. */
START_TEST(other_request_at_once)
{
	struct enrolment first, second;

	between_csr = other_csr;
	between = &first;
	ck_assert_int_eq(enrol(token, csr, NOW, &second), -EKEYREVOKED);
	ck_assert_ptr_null(second.certificate);
	ck_assert_int_eq(machines(), 1);
	enrolment_clear(&first);
}
END_TEST

START_TEST(refused)
{
	struct enrolment m;
	char wrong[TOKEN_TEXT_BYTES];

	ck_assert_int_eq(enrol(token, csr, EXPIRES, &m), -EKEYEXPIRED);
	strcpy(wrong, token);
	wrong[0] = wrong[0] == 'a' ? 'b' : 'a';
	ck_assert_int_eq(enrol(wrong, csr, NOW, &m), -EKEYREJECTED);
	ck_assert_int_eq(enrol("", csr, NOW, &m), -EKEYREJECTED);
	ck_assert_int_eq(enrol(token, "not a request", NOW, &m), -EBADMSG);
	ck_assert_int_eq(enrol(token, ca, NOW, &m), -EBADMSG);
	ck_assert_int_eq(machines(), 0);
	/* None of that used the token up. */
	ck_assert_int_eq(enrol(token, csr, EXPIRES - 1, &m), 0);
	enrolment_clear(&m);
}
END_TEST

START_TEST(token_is_nowhere)
{
	char command[600];
	struct enrolment m;

	ck_assert_int_eq(enrol(token, csr, NOW, &m), 0);
	enrolment_clear(&m);
	snprintf(command, sizeof(command), "! grep -r -a -q %s %s", token, dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(renewal)
{
	struct enrolment m, renewed;
	struct err e;

	ck_assert_int_eq(enrol(token, csr, NOW, &m), 0);
	ck_assert_int_eq(enrol_renew(&home, m.machine, other_csr, &renewed, &e), 0);
	ck_assert_str_eq(m.machine, renewed.machine);
	ck_assert_int_eq(pki_verify(renewed.certificate, ca, &e), 0);
	enrolment_clear(&renewed);
	ck_assert_int_eq(enrol_renew(&home, m.machine, "x", &renewed, &e), -EBADMSG);
	enrolment_clear(&m);
}
END_TEST

START_TEST(server_certificate)
{
	uint64_t begin, end;
	struct err e;
	char *pem;

	ck_assert(enrol_server_due(&home, NOW));
	home.config.names = strdup("localhost, 127.0.0.1,::1");
	home.config.server_life_ns = 9000ull * 1000000000ull;
	ck_assert_msg(enrol_server(&home, &e) == 0, "%s", e.text);
	pem = home_read(dir, HOME_SERVER, &e);
	ck_assert_int_eq(pki_cert_life(pem, &begin, &end, &e), 0);
	free(pem);
	ck_assert(!enrol_server_due(&home, begin + (end - begin) / 2));
	ck_assert(enrol_server_due(&home, begin + (end - begin) * 3 / 4));
	ck_assert(enrol_server_due(&home, end + 1));
	free(home.config.names);
	/* longer than a subject may be */
	home.config.names = strdup("appliance-of-the-recovery-site.abcdefghijklmnopqrstuvwxyz.bx."
				   "internal.example.net");
	ck_assert_msg(enrol_server(&home, &e) == 0, "%s", e.text);
	free(home.config.names);
	home.config.names = strdup(" , ");
	ck_assert_int_eq(enrol_server(&home, &e), -EINVAL);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("enrol");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, once);
	tcase_add_test(t, lost_answer);
	tcase_add_test(t, same_request_at_once);
	tcase_add_test(t, other_request_at_once);
	tcase_add_test(t, refused);
	tcase_add_test(t, token_is_nowhere);
	tcase_add_test(t, renewal);
	tcase_add_test(t, server_certificate);
	return run_tcase("enrol", t);
}
