/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of one request as it arrives: checked against its limit and admitted (admission.h) before anything is allocated. A struct
 * upload belongs to one thread.
 */
#ifndef APPLIANCE_UPLOAD_H
#define APPLIANCE_UPLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/admission.h"

struct upload {
	struct admission *admission;
	struct admission_flow *flow;
	uint8_t *data;
	size_t len, want; /* received, announced */
};

/* Room for a body of want bytes, after waiting for it: 0, -EBUSY it did not become free in time, -ENOMEM. The flow is used until upload_end(). */
int upload_begin(struct upload *u, struct admission *a, struct admission_flow *flow, size_t want,
		 uint64_t wait_ns);
/* -EOVERFLOW: more than was announced */
int upload_add(struct upload *u, const void *data, size_t len);
bool upload_whole(const struct upload *u);
void upload_end(struct upload *u); /* fine when not begun */

#endif
