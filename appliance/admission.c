/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <time.h>

#include "appliance/admission.h"
#include "lib/clock.h"

struct admission_wait {
	struct admission_wait *next;
	uint64_t bytes, start; /* start: its turn */
	bool granted;
	pthread_cond_t wake;
};

void admission_init(struct admission *a, uint64_t bytes)
{
	*a = (struct admission){.free = bytes, .reserve = bytes / ADMISSION_SMALL_SHARE};
	pthread_mutex_init(&a->lock, NULL);
	buffers_init(&a->buffers, bytes / ADMISSION_IDLE_SHARE);
}

void admission_clear(struct admission *a)
{
	buffers_clear(&a->buffers);
	pthread_mutex_destroy(&a->lock);
}

static bool is_small(uint64_t bytes)
{
	return bytes <= ADMISSION_SMALL;
}

static bool fits(const struct admission *a, uint64_t bytes)
{
	uint64_t reserve = is_small(bytes) ? 0 : a->reserve;

	return a->free >= reserve && a->free - reserve >= bytes;
}

static void grant(struct admission *a, struct admission_wait **list)
{
	struct admission_wait *w = *list;

	*list = w->next;
	a->free -= w->bytes;
	if (w->start > a->turn)
		a->turn = w->start;
	w->granted = true;
	pthread_cond_signal(&w->wake);
}

/* Whoever is first and does not fit makes those behind wait: else a large body might never be let in. */
static void grant_all(struct admission *a)
{
	while (a->small && fits(a, a->small->bytes))
		grant(a, &a->small);
	while (!a->small && a->large && fits(a, a->large->bytes))
		grant(a, &a->large);
}

static void enqueue(struct admission_wait **list, struct admission_wait *w, bool by_turn)
{
	while (*list && (!by_turn || (*list)->start <= w->start))
		list = &(*list)->next;
	w->next = *list;
	*list = w;
}

static void withdraw(struct admission_wait **list, struct admission_wait *w)
{
	while (*list != w)
		list = &(*list)->next;
	*list = w->next;
}

static void wait_granted(struct admission *a, struct admission_wait *w, uint64_t wait_ns)
{
	uint64_t until = clock_monotonic_ns() + wait_ns;
	struct timespec t = {(time_t)(until / NSEC_PER_SEC), (long)(until % NSEC_PER_SEC)};

	while (!w->granted && pthread_cond_timedwait(&w->wake, &a->lock, &t) != ETIMEDOUT)
		;
}

int admission_enter(struct admission *a, struct admission_flow *flow, uint64_t bytes,
		    uint64_t wait_ns)
{
	struct admission_wait w = {.bytes = bytes};
	struct admission_wait **list = is_small(bytes) ? &a->small : &a->large;
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w.wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_lock(&a->lock);
	w.start = flow->finish > a->turn ? flow->finish : a->turn;
	flow->finish = w.start + bytes;
	enqueue(list, &w, list == &a->large);
	grant_all(a);
	wait_granted(a, &w, wait_ns);
	if (!w.granted) {
		withdraw(list, &w);
		/* What was not given is not counted against it, and those behind may fit now. */
		flow->finish -= bytes;
		grant_all(a);
	}
	pthread_mutex_unlock(&a->lock);
	pthread_cond_destroy(&w.wake);
	return w.granted ? 0 : -EBUSY;
}

void admission_leave(struct admission *a, uint64_t bytes)
{
	pthread_mutex_lock(&a->lock);
	a->free += bytes;
	grant_all(a);
	pthread_mutex_unlock(&a->lock);
}
