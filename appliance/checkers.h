/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking every digest of a segment against its bytes. What it needs (a decompressor, room for an extent) is kept for the next
 * segments, of a few threads. Any thread.
 */
#ifndef APPLIANCE_CHECKERS_H
#define APPLIANCE_CHECKERS_H

#include <pthread.h>

#include "lib/frame.h"

#define CHECKERS_KEPT 8

struct checker;

struct checkers {
	pthread_mutex_t lock;
	struct checker *idle[CHECKERS_KEPT];
	unsigned int count;
};

void checkers_init(struct checkers *c);
void checkers_clear(struct checkers *c); /* nobody checks */

/* As frame_check(); -ENOMEM. */
int checkers_check(struct checkers *c, const struct frame *f, struct err *e);

#endif
