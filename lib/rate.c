/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rate.h"

#include <string.h>

#include "lib/clock.h"

#define LOOK_NS NSEC_PER_SEC /* the timetable is by the minute */
#define BURST_S 0.1 /* what was not used is saved for so long */
#define QUANTUM_S 0.02 /* one sender takes no more at a time, so that others get their share */
#define QUANTUM_MIN 1024.0

void rate_init(struct rate *r, const struct timetable *table)
{
	memset(r, 0, sizeof(*r));
	r->table = *table;
	pthread_mutex_init(&r->lock, NULL);
}

void rate_destroy(struct rate *r)
{
	pthread_mutex_destroy(&r->lock);
}

/* The lock is held. */
static void look(struct rate *r, uint64_t mono_ns, uint64_t real_ns)
{
	time_t now = (time_t)(real_ns / NSEC_PER_SEC);
	struct tm local;

	if (r->looked_ns && mono_ns < r->looked_ns + LOOK_NS)
		return;
	r->looked_ns = mono_ns;
	if (localtime_r(&now, &local))
		r->limit = timetable_at(&r->table, &local);
}

/* The clock was read before the lock was taken: what another has filled since is not filled again. */
static void fill(struct rate *r, uint64_t mono_ns)
{
	double rate = (double)r->limit, most = rate * BURST_S;

	if (most < QUANTUM_MIN)
		most = QUANTUM_MIN;
	if (!r->filled_ns)
		r->tokens = most;
	else if (mono_ns > r->filled_ns)
		r->tokens += rate * (double)(mono_ns - r->filled_ns) / (double)NSEC_PER_SEC;
	if (r->tokens > most)
		r->tokens = most;
	if (mono_ns > r->filled_ns)
		r->filled_ns = mono_ns;
}

/* With the lock, and a limit. */
static size_t take(struct rate *r, size_t want, uint64_t *wait_ns)
{
	double quantum = (double)r->limit * QUANTUM_S;

	if (quantum < QUANTUM_MIN)
		quantum = QUANTUM_MIN;
	if ((double)want < quantum)
		quantum = (double)want;
	if (r->tokens >= quantum) {
		r->tokens -= quantum;
		return (size_t)quantum;
	}
	*wait_ns = (uint64_t)((quantum - r->tokens) / (double)r->limit * (double)NSEC_PER_SEC) + 1;
	return 0;
}

size_t rate_take(struct rate *r, size_t want, uint64_t mono_ns, uint64_t real_ns, uint64_t *wait_ns)
{
	size_t granted = want;

	*wait_ns = 0;
	pthread_mutex_lock(&r->lock);
	look(r, mono_ns, real_ns);
	if (r->limit && want) {
		fill(r, mono_ns);
		granted = take(r, want, wait_ns);
	}
	pthread_mutex_unlock(&r->lock);
	return granted;
}

uint64_t rate_limit(struct rate *r, uint64_t mono_ns, uint64_t real_ns)
{
	uint64_t limit;

	pthread_mutex_lock(&r->lock);
	look(r, mono_ns, real_ns);
	limit = r->limit;
	pthread_mutex_unlock(&r->lock);
	return limit;
}
