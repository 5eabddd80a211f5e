/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What pki.c and pki_check.c share; for no other file. Any thread. The readers return an object
 * that the caller frees, or NULL with *e filled.
 */
#ifndef MOBILITY_PKI_INTERNAL_H
#define MOBILITY_PKI_INTERNAL_H

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/cleanup.h"
#include "lib/pki.h"

static inline void pki_bio_freep(BIO **p)
{
	BIO_free(*p);
}

static inline void pki_bn_freep(BIGNUM **p)
{
	BN_free(*p);
}

static inline void pki_key_freep(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static inline void pki_x509_freep(X509 **p)
{
	X509_free(*p);
}

static inline void pki_req_freep(X509_REQ **p)
{
	X509_REQ_free(*p);
}

/* err_set with OpenSSL's reason after the sentence; empties OpenSSL's queue of errors. */
int pki_fail(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

EVP_PKEY *pki_read_key(const char *pem, struct err *e);
X509 *pki_read_cert(const char *pem, struct err *e);
X509_REQ *pki_read_csr(const char *pem, struct err *e);

/* What has been written to a memory BIO, as an allocated string. */
int pki_bio_text(BIO *bio, char **out, struct err *e);
int pki_time_ns(const ASN1_TIME *t, uint64_t *ns, struct err *e);

#endif
