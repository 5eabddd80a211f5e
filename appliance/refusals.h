/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refused requests in the log: each with its reason, but no more than a few a minute for each peer, so that nobody can fill the log. Any thread.
 */
#ifndef APPLIANCE_REFUSALS_H
#define APPLIANCE_REFUSALS_H

#include <stdint.h>

/* what: "PUT /v1/… 409 conflict"; why: the sentence of the answer, or NULL. */
void refusal_log(const char *peer, const char *what, const char *why);
/* For tests: would a refusal of this peer at this monotonic time be logged? *skipped: how many were not, since the last that was. */
int refusal_allowed(const char *peer, uint64_t now_ns, uint64_t *skipped);

#endif
