/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have memory for the body of a request, of a fixed number of bytes for all. Small bodies, which commits of small epochs are made of, go
 * first and have a part of the bytes to themselves. Large ones wait their turn, and the turns go round the machines by the bytes that each
 * was given (start-time fair queueing), however many connections a machine has. Any thread; entering may sleep.
 */
#ifndef APPLIANCE_ADMISSION_H
#define APPLIANCE_ADMISSION_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/buffers.h"

#define ADMISSION_SMALL (256u << 10) /* bodies up to this are small */
#define ADMISSION_SMALL_SHARE 8 /* one part in so many is for small bodies alone */
#define ADMISSION_IDLE_SHARE                                                                       \
	4 /* one part in so many is kept while nobody uses it, on top of the bytes */

/* What is remembered of a machine; zero at first, then the admission's alone. */
struct admission_flow {
	uint64_t finish; /* the turn at which what it was given so far is used up */
};

struct admission_wait;

struct admission {
	pthread_mutex_t lock;
	uint64_t free; /* bytes */
	uint64_t reserve; /* of these, what only small bodies get */
	uint64_t turn; /* where the round has come to */
	struct admission_wait *small,
		*large; /* who waits: small in order of arrival, large by turn */
	struct buffers buffers; /* what they get */
};

void admission_init(struct admission *a, uint64_t bytes);
void admission_clear(struct admission *a); /* nobody may be inside */

/* Wait at most wait_ns for `bytes`; -EBUSY when they did not become free. */
int admission_enter(struct admission *a, struct admission_flow *flow, uint64_t bytes,
		    uint64_t wait_ns);
void admission_leave(struct admission *a, uint64_t bytes);

#endif
