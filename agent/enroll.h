/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Becoming a machine of an appliance, and staying one. The key is made here and never leaves; the
 * token goes to the appliance alone, under TLS whose CA has the fingerprint that the operator
 * gave. Sleeps; any thread.
 */
#ifndef MOBILITY_AGENT_ENROLL_H
#define MOBILITY_AGENT_ENROLL_H

#include "agent/agent.h"

struct enroll_request {
	const char *host; /* without brackets */
	unsigned int port;
	const char *fingerprint; /* "sha256:…" */
	const char *token;
};

/* On success the state has the machine's id; machine receives it. -EBUSY: another enrolment is under way. */
int enroll(struct agent *a, const struct enroll_request *q, char machine[UUID_TEXT_BYTES],
	   struct err *e);

/*
 * "HOST", "HOST:PORT", "[ADDRESS]:PORT"; the port is 443 when none is given. -EINVAL with a
 * sentence.
 */
int enroll_parse_address(const char *text, char host[256], unsigned int *port, struct err *e);

/*
 * Renew the certificate over api when a third of its life is left. 0 also when it is not time
 * yet. *again_ns (always set): after so long it is to be looked at again.
 */
int enroll_renew(struct agent *a, struct api *api, uint64_t *again_ns, struct err *e);
/* The life of the certificate, ns since the epoch. */
int enroll_life(struct agent *a, uint64_t *not_before, uint64_t *not_after, struct err *e);

#endif
