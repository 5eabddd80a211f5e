/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may have memory for the body of a request, of a fixed number of bytes for all. Small bodies, which commits of small epochs are made of, go
 * first and have a part of the bytes to themselves; they take no turns. Large ones wait their turn, and the turns go round the machines by the bytes that
 * each was given, and by how long it has held them (start-time fair queueing), however many connections a machine has: what becomes free goes to a machine
 * that gives it back soon rather than to one that holds it while its body trickles in. While others want some no machine holds more than half, so that what
 * it does not give back for a while is not all there is; one that is alone may have all. Any thread; entering may sleep.
 */
#ifndef APPLIANCE_ADMISSION_H
#define APPLIANCE_ADMISSION_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/buffers.h"
#include "lib/clock.h"

#define ADMISSION_SMALL (256u << 10) /* bodies up to this are small */
#define ADMISSION_SMALL_SHARE 8 /* one part in so many is for small bodies alone */
#define ADMISSION_IDLE_SHARE                                                                       \
	4 /* one part in so many is kept while nobody uses it, on top of the bytes */
/* Bytes that are held for so long count once more: little where a body arrives at the speed of a network, hundredfold where it takes half a minute. */
#define ADMISSION_HOLD_NS (NSEC_PER_SEC / 4)
#define ADMISSION_DEBT_NS                                                                          \
	(60 * NSEC_PER_SEC) /* no machine is further behind than if it had held all for so long */

#define ADMISSION_COMPANY_NS                                                                       \
	(60 * NSEC_PER_SEC) /* a machine is alone when no other wanted any for so long */

/* What is remembered of a machine; zero at first, then the admission's alone. */
struct admission_flow {
	uint64_t finish; /* the turn at which what it was given so far is used up */
	uint64_t held; /* bytes of large bodies now */
	uint64_t since; /* what it holds is counted up to this monotonic time */
	uint64_t held_small; /* bytes of small bodies now */
};

struct admission_wait;

struct admission {
	pthread_mutex_t lock;
	uint64_t (*now)(void); /* monotonic ns; tests have a clock of their own */
	uint64_t bytes; /* all there are */
	uint64_t free; /* of these */
	uint64_t reserve; /* of these, what only small bodies get */
	uint64_t turn; /* where the round has come to, in bytes */
	uint64_t debt; /* how far behind it a machine may be */
	const struct admission_flow *asked; /* who wanted some last */
	uint64_t asked_ns, other_asked_ns; /* when it did, and when anybody else did; 0: never */
	struct admission_wait *small, *large; /* who waits, in order of arrival */
	struct buffers buffers; /* what they get */
};

void admission_init(struct admission *a, uint64_t bytes);
void admission_clear(struct admission *a); /* nobody may be inside */

/* Wait at most wait_ns for `bytes`; -EBUSY when they did not become free. */
int admission_enter(struct admission *a, struct admission_flow *flow, uint64_t bytes,
		    uint64_t wait_ns);
/* The flow is the one that entered. */
void admission_leave(struct admission *a, struct admission_flow *flow, uint64_t bytes);

#endif
