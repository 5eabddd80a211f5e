/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket for the bytes that all connections of a program send together, with a rate that
 * follows a timetable. Any thread may call any of these on one bucket; none sleeps.
 *
 * Rates are those of the bytes handed to TLS: what TLS and TCP add (about 4 %) is not counted.
 */
#ifndef MOBILITY_RATE_H
#define MOBILITY_RATE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/timetable.h"

struct rate {
	struct timetable table; /* constant after rate_init */
	pthread_mutex_t lock; /* guards the rest */
	uint64_t limit; /* now; 0: none */
	uint64_t looked_ns; /* when the timetable was looked at */
	uint64_t filled_ns; /* up to when tokens were added */
	double tokens; /* bytes that may go at once */
};

void rate_init(struct rate *r, const struct timetable *table);
void rate_destroy(struct rate *r);
/*
 * At most want bytes that may be sent now (> 0 for want > 0), or 0 and in *wait_ns the time after
 * which to ask again. Times are clock_monotonic_ns() and clock_realtime_ns().
 */
size_t rate_take(struct rate *r, size_t want, uint64_t mono_ns, uint64_t real_ns,
		 uint64_t *wait_ns);
/* The limit as of now, bytes a second; 0: none. */
uint64_t rate_limit(struct rate *r, uint64_t mono_ns, uint64_t real_ns);

#endif
