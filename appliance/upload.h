/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of one request as it arrives: checked against its limit and admitted (admission.h) before anything is allocated, and given up when it has
 * not arrived in time: what trickles in for ever holds memory and a connection. A struct upload belongs to one thread.
 */
#ifndef APPLIANCE_UPLOAD_H
#define APPLIANCE_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/admission.h"

/* A body has so long, and as much more as it takes at this rate in bytes/s. */
#define UPLOAD_GRACE_NS (60 * NSEC_PER_SEC)
#define UPLOAD_RATE (64u << 10)

struct upload {
	struct admission *admission;
	struct admission_flow *flow;
	uint8_t *data; /* NULL: it is dropped */
	size_t len, want; /* received, announced */
	uint64_t until; /* by the admission's clock */
};

/* Room for a body of want bytes, after waiting for it: 0, -EBUSY it did not become free in time, -ENOMEM. The flow is used until upload_end(). */
int upload_begin(struct upload *u, struct admission *a, struct admission_flow *flow, size_t want,
		 uint64_t wait_ns);
/* Instead: what comes of a refused body is read and dropped. */
void upload_drop(struct upload *u, struct admission *a, size_t want);
/* -EOVERFLOW: more than was announced; -ETIMEDOUT: it is too late */
int upload_add(struct upload *u, const void *data, size_t len);
bool upload_whole(const struct upload *u);
void upload_end(struct upload *u); /* fine when not begun */

#endif
