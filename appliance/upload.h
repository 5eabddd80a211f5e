/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of one request as it arrives: checked against its limit and the total memory for bodies before anything is allocated. A struct
 * upload belongs to one thread; the budget is shared by all.
 */
#ifndef APPLIANCE_UPLOAD_H
#define APPLIANCE_UPLOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct upload_budget {
	_Atomic uint64_t left; /* bytes */
};

struct upload {
	struct upload_budget *budget;
	uint8_t *data;
	size_t len, want; /* received, announced */
};

/* Room for a body of want bytes: 0, -ENOMEM when the budget or memory does not allow it now. */
int upload_begin(struct upload *u, struct upload_budget *budget, size_t want);
/* -EOVERFLOW: more than was announced */
int upload_add(struct upload *u, const void *data, size_t len);
bool upload_whole(const struct upload *u);
void upload_end(struct upload *u); /* fine when not begun */

#endif
