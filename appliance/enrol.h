/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens and certificates of machines. Any thread. Only the SHA-256 of a token is kept; the token itself is in no file and no log.
 */
#ifndef APPLIANCE_ENROL_H
#define APPLIANCE_ENROL_H

#include <stdbool.h>
#include <stdint.h>

#include "appliance/home.h"

#define TOKEN_TEXT_BYTES 49 /* 192 random bits in hex, with the terminator */

/* A new token, good until `expires`. */
int enrol_token(struct home *h, uint64_t expires, char out[TOKEN_TEXT_BYTES], struct err *e);

struct enrolment {
	char machine[UUID_TEXT_BYTES];
	char *certificate; /* PEM, owned */
	uint64_t expires;
};
void enrolment_clear(struct enrolment *m);

/*
 * Use the token for the request's key at time now. -EKEYREJECTED: not one of ours; -EKEYEXPIRED; -EKEYREVOKED: used for another key; -EBADMSG: the
 * CSR is not valid. The same token and key again give the same enrolment.
 */
int enrol_machine(struct home *h, const char *token, const char *hostname, const char *csr,
		  uint64_t now, struct enrolment *m, struct err *e);
/* Another certificate for a machine that has one. */
int enrol_renew(struct home *h, const char *machine, const char *csr, struct enrolment *m,
		struct err *e);
/* Can a certificate have these names, as they are configured? -EINVAL, -E2BIG */
int enrol_check_names(const char *names, struct err *e);
/* A new key and the server certificate for the configured names, as one PEM text. -EINVAL, -E2BIG: no certificate can have these names. */
int enrol_issue_server(const struct config *c, const char *ca_key, const char *ca, char **pem,
		       struct err *e);
/* The same to pki/server.pem. */
int enrol_server(const struct home *h, struct err *e);
/* Is less than a third of the server certificate's life left, or is there none? */
bool enrol_server_due(const struct home *h, uint64_t now);

#endif
