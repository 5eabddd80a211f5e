/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys and certificates (OpenSSL, EC P-256, SHA-256). Any thread; nothing is kept between calls.
 * Texts are PEM, allocated, freed by the caller; private keys are written only by
 * io_write_file_atomic with mode 0600 by the caller.
 */
#ifndef MOBILITY_PKI_H
#define MOBILITY_PKI_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/digest.h"
#include "lib/err.h"

#define PKI_COMMON_NAME_MAX 64 /* bytes; X.520 has no room for more */
#define PKI_FINGERPRINT_BYTES 72 /* "sha256:" + 64 hex digits + terminator */

/* A self-signed CA, valid for days. */
int pki_new_ca(const char *common_name, unsigned int days, char **key_pem, char **cert_pem,
	       struct err *e);
/* A new key and a request for it; cn goes into the subject. */
int pki_new_csr(const char *cn, char **key_pem, char **csr_pem, struct err *e);
/* A request for an existing key (renewal). */
int pki_csr(const char *key_pem, const char *cn, char **csr_pem, struct err *e);

struct pki_issue {
	const char *common_name; /* replaces the request's subject */
	const char *const *names; /* SANs: DNS names or IP addresses, NULL-terminated; NULL: none */
	bool server; /* serverAuth, else clientAuth */
	uint64_t valid_s;
};
/*
 * Issue a certificate for the request's public key (its signature is checked). not_after_ns may be
 * NULL.
 */
int pki_issue(const char *ca_key_pem, const char *ca_cert_pem, const char *csr_pem,
	      const struct pki_issue *what, char **cert_pem, uint64_t *not_after_ns, struct err *e);

/* Can a certificate have it as a SAN? */
bool pki_name_valid(const char *name);
/* The first certificate of a text alone, whatever else that holds: what its fingerprint is of. */
int pki_first_cert(const char *text, char **cert_pem, struct err *e);
int pki_fingerprint(const char *cert_pem, char out[PKI_FINGERPRINT_BYTES], struct err *e);
bool pki_fingerprint_valid(const char *s);
/* SHA-256 of the SubjectPublicKeyInfo of a request or of a certificate. */
int pki_csr_key_digest(const char *csr_pem, uint8_t out[DIGEST_BYTES], struct err *e);
/* Life of a certificate, ns since the Unix epoch. */
int pki_cert_life(const char *cert_pem, uint64_t *not_before_ns, uint64_t *not_after_ns,
		  struct err *e);
/* Is cert signed by ca, and in force now? -EKEYREJECTED, -EKEYEXPIRED */
int pki_verify(const char *cert_pem, const char *ca_pem, struct err *e);

#endif
