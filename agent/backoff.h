/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before a request is sent again: exponential from a quarter of a second to 15
 * s, with full jitter, so that a restarted appliance is not met by everybody at once; never
 * shorter than it asked for. A struct backoff belongs to one thread and begins as all zeros.
 */
#ifndef MOBILITY_AGENT_BACKOFF_H
#define MOBILITY_AGENT_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
	unsigned int tries;
};

/* The next wait in ns; retry_after_s is the appliance's wish, 0 if none. */
uint64_t backoff_next(struct backoff *b, uint64_t retry_after_s);
/* Sleep so long, in short steps, until *cancel becomes true. Returns whether it did. */
bool backoff_sleep(uint64_t ns, const volatile bool *cancel);

#endif
