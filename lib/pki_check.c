/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/pki_internal.h"

#define FINGERPRINT_PREFIX "sha256:"

int pki_fail(struct err *e, int code, const char *fmt, ...)
{
	char text[sizeof(e->text)], reason[160] = "unknown reason";
	unsigned long last = ERR_peek_last_error();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (last)
		ERR_error_string_n(last, reason, sizeof(reason));
	ERR_clear_error();
	return err_set(e, code, "%s (%s)", text, reason);
}

/*
 * The "" is the password callback's argument: an encrypted key is refused, never asked for on a
 * terminal.
 */
#define NO_PASSWORD NULL, (void *)""

static BIO *pem_bio(const char *pem)
{
	return BIO_new_mem_buf(pem, -1);
}

EVP_PKEY *pki_read_key(const char *pem, struct err *e)
{
	_cleanup_(pki_bio_freep) BIO *bio = pem_bio(pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NO_PASSWORD) : NULL;

	if (!key)
		pki_fail(e, -EBADMSG, "not a private key in PEM form");
	return key;
}

X509 *pki_read_cert(const char *pem, struct err *e)
{
	_cleanup_(pki_bio_freep) BIO *bio = pem_bio(pem);
	X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NO_PASSWORD) : NULL;

	if (!cert)
		pki_fail(e, -EBADMSG, "not a certificate in PEM form");
	return cert;
}

X509_REQ *pki_read_csr(const char *pem, struct err *e)
{
	_cleanup_(pki_bio_freep) BIO *bio = pem_bio(pem);
	X509_REQ *req = bio ? PEM_read_bio_X509_REQ(bio, NULL, NO_PASSWORD) : NULL;

	if (!req)
		pki_fail(e, -EBADMSG, "not a certificate request in PEM form");
	return req;
}

int pki_bio_text(BIO *bio, char **out, struct err *e)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	*out = len > 0 ? strndup(data, (size_t)len) : NULL;
	return *out ? 0 : err_set(e, -ENOMEM, "out of memory for a PEM text");
}

int pki_time_ns(const ASN1_TIME *t, uint64_t *ns, struct err *e)
{
	struct tm tm;

	if (!ASN1_TIME_to_tm(t, &tm))
		return pki_fail(e, -EBADMSG, "the certificate has a time that cannot be read");

	time_t s = timegm(&tm);

	*ns = s < 0 ? 0 : (uint64_t)s * NSEC_PER_SEC;
	return 0;
}

int pki_fingerprint(const char *cert_pem, char out[PKI_FINGERPRINT_BYTES], struct err *e)
{
	_cleanup_(pki_x509_freep) X509 *cert = pki_read_cert(cert_pem, e);
	uint8_t digest[DIGEST_BYTES];

	if (!cert)
		return -EBADMSG;
	if (!X509_digest(cert, EVP_sha256(), digest, NULL))
		return pki_fail(e, -EIO, "cannot make a certificate's fingerprint");
	memcpy(out, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX));
	hex_encode(digest, DIGEST_BYTES, out + strlen(FINGERPRINT_PREFIX));
	return 0;
}

bool pki_fingerprint_valid(const char *s)
{
	uint8_t digest[DIGEST_BYTES];
	size_t prefix = strlen(FINGERPRINT_PREFIX);

	return strncmp(s, FINGERPRINT_PREFIX, prefix) == 0 &&
	       hex_decode(s + prefix, digest, DIGEST_BYTES) == 0;
}

static int key_digest(X509_PUBKEY *key, uint8_t out[DIGEST_BYTES], struct err *e)
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(key, &der);

	if (len <= 0)
		return pki_fail(e, -EBADMSG, "the public key cannot be read");
	digest_sha256(der, (size_t)len, out);
	OPENSSL_free(der);
	return 0;
}

int pki_csr_key_digest(const char *csr_pem, uint8_t out[DIGEST_BYTES], struct err *e)
{
	_cleanup_(pki_req_freep) X509_REQ *req = pki_read_csr(csr_pem, NULL);

	if (req)
		return key_digest(X509_REQ_get_X509_PUBKEY(req), out, e);

	_cleanup_(pki_x509_freep) X509 *cert = pki_read_cert(csr_pem, NULL);

	if (!cert)
		return err_set(e, -EBADMSG, "not a certificate or certificate request in PEM form");
	return key_digest(X509_get_X509_PUBKEY(cert), out, e);
}

int pki_cert_life(const char *cert_pem, uint64_t *not_before_ns, uint64_t *not_after_ns,
		  struct err *e)
{
	_cleanup_(pki_x509_freep) X509 *cert = pki_read_cert(cert_pem, e);

	if (!cert)
		return -EBADMSG;

	int r = pki_time_ns(X509_get0_notBefore(cert), not_before_ns, e);

	return r ? r : pki_time_ns(X509_get0_notAfter(cert), not_after_ns, e);
}

static void store_freep(X509_STORE **p)
{
	X509_STORE_free(*p);
}

static void store_ctx_freep(X509_STORE_CTX **p)
{
	X509_STORE_CTX_free(*p);
}

static int verify_error(X509_STORE_CTX *ctx, struct err *e)
{
	int why = X509_STORE_CTX_get_error(ctx);

	ERR_clear_error();
	if (why == X509_V_ERR_CERT_HAS_EXPIRED)
		return err_set(e, -EKEYEXPIRED, "the certificate has expired");
	if (why == X509_V_ERR_OUT_OF_MEM)
		return err_set(e, -ENOMEM, "out of memory for checking a certificate");
	return err_set(e, -EKEYREJECTED, "the certificate is not to be trusted: %s",
		       X509_verify_cert_error_string(why));
}

int pki_verify(const char *cert_pem, const char *ca_pem, struct err *e)
{
	_cleanup_(pki_x509_freep) X509 *ca = pki_read_cert(ca_pem, e);
	_cleanup_(pki_x509_freep) X509 *cert = ca ? pki_read_cert(cert_pem, e) : NULL;

	if (!cert)
		return -EBADMSG;

	_cleanup_(store_freep) X509_STORE *store = X509_STORE_new();
	_cleanup_(store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (!store || !ctx || !X509_STORE_add_cert(store, ca) ||
	    !X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT) ||
	    !X509_STORE_CTX_init(ctx, store, cert, NULL))
		return pki_fail(e, -ENOMEM, "cannot check a certificate");
	return X509_verify_cert(ctx) == 1 ? 0 : verify_error(ctx, e);
}
