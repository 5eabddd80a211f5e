/* SPDX-License-Identifier: Apache-2.0 */
/* Issuing: keys, requests, certificates. Looking at certificates is in pki_check.c. */
#include "lib/pki.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/pki_internal.h"

/* A peer whose clock is behind, by up to two days, must not see a certificate of the future; a small part of the life. */
#define BACKDATE_MIN_S 300u
#define BACKDATE_MAX_S (2 * 86400u)
#define BACKDATE_PART 45
#define SERIAL_BITS 128
#define SECURITY_BITS_MIN 112

static EVP_PKEY *new_key(struct err *e)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	if (!key)
		pki_fail(e, -EIO, "cannot make a key");
	return key;
}

static int key_text(EVP_PKEY *key, char **pem, struct err *e)
{
	_cleanup_(pki_bio_freep) BIO *bio = BIO_new(BIO_s_mem());

	if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
		return pki_fail(e, -EIO, "cannot write a key as PEM");
	return pki_bio_text(bio, pem, e);
}

static int cert_text(X509 *cert, char **pem, struct err *e)
{
	_cleanup_(pki_bio_freep) BIO *bio = BIO_new(BIO_s_mem());

	if (!bio || !PEM_write_bio_X509(bio, cert))
		return pki_fail(e, -EIO, "cannot write a certificate as PEM");
	return pki_bio_text(bio, pem, e);
}

int pki_first_cert(const char *text, char **cert_pem, struct err *e)
{
	_cleanup_(pki_x509_freep) X509 *cert = pki_read_cert(text, e);

	return cert ? cert_text(cert, cert_pem, e) : -EBADMSG;
}

static int set_common_name(X509_NAME *name, const char *cn, struct err *e)
{
	size_t len = strlen(cn);

	if (len == 0 || len > PKI_COMMON_NAME_MAX)
		return err_set(e, -EINVAL,
			       "the name \"%.80s\" for a certificate must have 1 to %d bytes", cn,
			       PKI_COMMON_NAME_MAX);
	if (!X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
					(const unsigned char *)cn, (int)len, -1, 0))
		return pki_fail(e, -EINVAL, "the name \"%s\" cannot be in a certificate", cn);
	return 0;
}

static int set_serial(X509 *cert, struct err *e)
{
	_cleanup_(pki_bn_freep) BIGNUM *n = BN_new();

	if (!n || !BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) ||
	    !BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)))
		return pki_fail(e, -EIO, "cannot make a serial number");
	return 0;
}

static int set_life(X509 *cert, uint64_t valid_s, struct err *e)
{
	uint64_t back = valid_s / BACKDATE_PART;
	time_t now = time(NULL);

	if (back < BACKDATE_MIN_S)
		back = BACKDATE_MIN_S;
	if (back > BACKDATE_MAX_S)
		back = BACKDATE_MAX_S;
	if (valid_s == 0 || valid_s > 200ull * 366 * 86400)
		return err_set(e, -EINVAL, "a certificate cannot be valid for %llu seconds",
			       (unsigned long long)valid_s);
	if (!ASN1_TIME_set(X509_getm_notBefore(cert), now - (time_t)back) ||
	    !ASN1_TIME_set(X509_getm_notAfter(cert), now + (time_t)valid_s))
		return pki_fail(e, -EIO, "cannot set the life of a certificate");
	return 0;
}

static int add_extension(X509 *cert, X509 *issuer, int nid, const char *value, struct err *e)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);

	X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	int ok = x && X509_add_ext(cert, x, -1);

	X509_EXTENSION_free(x);
	return ok ? 0 : pki_fail(e, -EIO, "cannot add %s to a certificate", OBJ_nid2sn(nid));
}

/* Values are constants of this file: OpenSSL parses them, nothing from outside may get here. */
struct extension {
	int nid;
	const char *value;
};

static int add_extensions(X509 *cert, X509 *issuer, const struct extension *list, struct err *e)
{
	int r = 0;

	for (; list->value && !r; list++)
		r = add_extension(cert, issuer, list->nid, list->value, e);
	return r;
}

/* The parts that every certificate has. */
static X509 *begin_cert(EVP_PKEY *key, const char *cn, uint64_t valid_s, struct err *e)
{
	_cleanup_(pki_x509_freep) X509 *cert = X509_new();

	if (!cert || !X509_set_version(cert, X509_VERSION_3) || !X509_set_pubkey(cert, key)) {
		pki_fail(e, -EIO, "cannot make a certificate");
		return NULL;
	}
	if (set_serial(cert, e) || set_life(cert, valid_s, e) ||
	    set_common_name(X509_get_subject_name(cert), cn, e))
		return NULL;
	return cleanup_steal_ptr(&cert);
}

static int sign_cert(X509 *cert, X509 *issuer, EVP_PKEY *issuer_key, struct err *e)
{
	if (!X509_set_issuer_name(cert, X509_get_subject_name(issuer)) ||
	    !X509_sign(cert, issuer_key, EVP_sha256()))
		return pki_fail(e, -EIO, "cannot sign a certificate");
	return 0;
}

int pki_new_ca(const char *common_name, unsigned int days, char **key_pem, char **cert_pem,
	       struct err *e)
{
	static const struct extension extensions[] = {
		{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
		{NID_key_usage, "critical,keyCertSign,cRLSign"},
		{NID_subject_key_identifier, "hash"},
		{0, NULL},
	};
	struct err local = {0};
	_cleanup_(pki_key_freep) EVP_PKEY *key = new_key(&local);
	_cleanup_(pki_x509_freep) X509 *ca =
		key ? begin_cert(key, common_name, days * 86400ull, &local) : NULL;

	if (!ca)
		return err_set(e, local.code, "%s", local.text);

	_cleanup_free_ char *key_out = NULL;
	int r = add_extensions(ca, ca, extensions, e);

	if (!r)
		r = sign_cert(ca, ca, key, e);
	if (!r)
		r = key_text(key, &key_out, e);
	if (!r)
		r = cert_text(ca, cert_pem, e);
	if (!r)
		*key_pem = cleanup_steal_ptr(&key_out);
	return r;
}

static int make_csr(EVP_PKEY *key, const char *cn, char **csr_pem, struct err *e)
{
	_cleanup_(pki_req_freep) X509_REQ *req = X509_REQ_new();
	_cleanup_(pki_bio_freep) BIO *bio = BIO_new(BIO_s_mem());

	if (!req || !bio || !X509_REQ_set_version(req, X509_REQ_VERSION_1) ||
	    !X509_REQ_set_pubkey(req, key))
		return pki_fail(e, -EIO, "cannot make a certificate request");

	int r = set_common_name(X509_REQ_get_subject_name(req), cn, e);

	if (r)
		return r;
	if (!X509_REQ_sign(req, key, EVP_sha256()) || !PEM_write_bio_X509_REQ(bio, req))
		return pki_fail(e, -EIO, "cannot sign a certificate request");
	return pki_bio_text(bio, csr_pem, e);
}

int pki_new_csr(const char *cn, char **key_pem, char **csr_pem, struct err *e)
{
	_cleanup_(pki_key_freep) EVP_PKEY *key = new_key(e);
	_cleanup_free_ char *key_out = NULL;

	if (!key)
		return -EIO;

	int r = key_text(key, &key_out, e);

	if (!r)
		r = make_csr(key, cn, csr_pem, e);
	if (!r)
		*key_pem = cleanup_steal_ptr(&key_out);
	return r;
}

int pki_csr(const char *key_pem, const char *cn, char **csr_pem, struct err *e)
{
	_cleanup_(pki_key_freep) EVP_PKEY *key = pki_read_key(key_pem, e);

	return key ? make_csr(key, cn, csr_pem, e) : -EBADMSG;
}

static bool dns_name_valid(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len > 253 || *s == '.' || *s == '-')
		return false;
	for (; *s; s++) {
		if (!isalnum((unsigned char)*s) && !strchr("-._", *s))
			return false;
	}
	return true;
}

/* An IP address if it is one, else a DNS name; NULL when it can be neither. */
static GENERAL_NAME *make_name(const char *s)
{
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(s);
	GENERAL_NAME *n = GENERAL_NAME_new();

	if (n && ip) {
		GENERAL_NAME_set0_value(n, GEN_IPADD, ip);
		return n;
	}
	ASN1_OCTET_STRING_free(ip);

	ASN1_IA5STRING *dns = dns_name_valid(s) ? ASN1_IA5STRING_new() : NULL;

	if (!n || !dns || !ASN1_STRING_set(dns, s, -1)) {
		ASN1_IA5STRING_free(dns);
		GENERAL_NAME_free(n);
		return NULL;
	}
	GENERAL_NAME_set0_value(n, GEN_DNS, dns);
	return n;
}

bool pki_name_valid(const char *name)
{
	GENERAL_NAME *n = make_name(name);

	GENERAL_NAME_free(n);
	return n != NULL;
}

static void names_freep(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

static int add_names(X509 *cert, const char *const *names, struct err *e)
{
	_cleanup_(names_freep) GENERAL_NAMES *list = GENERAL_NAMES_new();

	if (!names || !*names)
		return 0;
	for (; list && *names; names++) {
		GENERAL_NAME *n = make_name(*names);

		if (!n)
			return err_set(e, -EINVAL, "\"%.300s\" is not an IP address or DNS name",
				       *names);
		if (!sk_GENERAL_NAME_push(list, n)) {
			GENERAL_NAME_free(n);
			return err_set(e, -ENOMEM, "out of memory for the names of a certificate");
		}
	}
	if (!list || !X509_add1_ext_i2d(cert, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT))
		return pki_fail(e, -EIO, "cannot add names to a certificate");
	return 0;
}

/* The public key of a request that proves that its sender has the private one. */
static EVP_PKEY *csr_key(const char *csr_pem, struct err *e)
{
	_cleanup_(pki_req_freep) X509_REQ *req = pki_read_csr(csr_pem, e);
	_cleanup_(pki_key_freep) EVP_PKEY *key = req ? X509_REQ_get_pubkey(req) : NULL;

	if (!req)
		return NULL;
	if (!key) {
		pki_fail(e, -EBADMSG, "the certificate request has no usable public key");
		return NULL;
	}
	if (EVP_PKEY_get_security_bits(key) < SECURITY_BITS_MIN) {
		err_set(e, -EBADMSG, "the certificate request's key is too weak; use EC P-256");
		return NULL;
	}
	if (X509_REQ_verify(req, key) != 1) {
		pki_fail(e, -EBADMSG, "the certificate request's signature is wrong");
		return NULL;
	}
	return cleanup_steal_ptr(&key);
}

/* No certificate outlives the CA that must vouch for it. */
static int clamp_life(X509 *cert, X509 *ca, struct err *e)
{
	if (ASN1_TIME_compare(X509_get0_notAfter(cert), X509_get0_notAfter(ca)) <= 0)
		return 0;
	return X509_set1_notAfter(cert, X509_get0_notAfter(ca))
		       ? 0
		       : pki_fail(e, -ENOMEM, "cannot set the life of a certificate");
}

static int finish_issue(X509 *cert, X509 *ca, EVP_PKEY *ca_key, const struct pki_issue *what,
			struct err *e)
{
	const struct extension extensions[] = {
		{NID_basic_constraints, "critical,CA:FALSE"},
		{NID_key_usage, "critical,digitalSignature"},
		{NID_ext_key_usage, what->server ? "serverAuth" : "clientAuth"},
		{NID_subject_key_identifier, "hash"},
		{NID_authority_key_identifier, "keyid:always"},
		{0, NULL},
	};
	int r = clamp_life(cert, ca, e);

	if (!r)
		r = add_extensions(cert, ca, extensions, e);
	if (!r)
		r = add_names(cert, what->names, e);
	return r ? r : sign_cert(cert, ca, ca_key, e);
}

int pki_issue(const char *ca_key_pem, const char *ca_cert_pem, const char *csr_pem,
	      const struct pki_issue *what, char **cert_pem, uint64_t *not_after_ns, struct err *e)
{
	struct err local = {0};
	_cleanup_(pki_key_freep) EVP_PKEY *ca_key = pki_read_key(ca_key_pem, &local);
	_cleanup_(pki_x509_freep) X509 *ca = ca_key ? pki_read_cert(ca_cert_pem, &local) : NULL;
	_cleanup_(pki_key_freep) EVP_PKEY *key = ca ? csr_key(csr_pem, &local) : NULL;
	_cleanup_(pki_x509_freep) X509 *cert =
		key ? begin_cert(key, what->common_name, what->valid_s, &local) : NULL;

	if (!cert)
		return err_set(e, local.code, "%s", local.text);
	if (X509_check_private_key(ca, ca_key) != 1)
		return pki_fail(e, -EKEYREJECTED,
				"the CA's key does not belong to its certificate");

	int r = finish_issue(cert, ca, ca_key, what, e);

	if (!r && not_after_ns)
		r = pki_time_ns(X509_get0_notAfter(cert), not_after_ns, e);
	return r ? r : cert_text(cert, cert_pem, e);
}
