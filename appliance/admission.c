/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>

#include "appliance/admission.h"
#include "lib/clock.h"
#include "lib/cond.h"

struct admission_wait {
	struct admission_wait *next;
	struct admission_flow *flow;
	uint64_t bytes;
	bool granted;
	pthread_cond_t wake;
};

void admission_init(struct admission *a, uint64_t bytes)
{
	*a = (struct admission){
		.now = clock_monotonic_ns,
		.bytes = bytes,
		.free = bytes,
		.reserve = bytes / ADMISSION_SMALL_SHARE,
		.debt = bytes * (ADMISSION_DEBT_NS / ADMISSION_HOLD_NS),
	};
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

static void note_asked(struct admission *a, const struct admission_flow *f)
{
	if (a->asked != f) {
		a->other_asked_ns = a->asked_ns;
		a->asked = f;
	}
	a->asked_ns = a->now();
}

/* Did anybody else want some lately? Whoever waits now did. */
static bool in_company(const struct admission *a, const struct admission_flow *f)
{
	uint64_t other = a->asked == f ? a->other_asked_ns : a->asked_ns;

	return other && a->now() - other < ADMISSION_COMPANY_NS;
}

/* One body a machine gets whatever its size. */
static bool within_share(const struct admission *a, const struct admission_wait *w)
{
	uint64_t held = is_small(w->bytes) ? w->flow->held_small : w->flow->held;
	uint64_t most = (is_small(w->bytes) ? a->reserve : a->bytes) / 2;

	return !held || held + w->bytes <= most || !in_company(a, w->flow);
}

/* Count what the flow holds for the time until now. */
static void charge(const struct admission *a, struct admission_flow *f)
{
	uint64_t now = a->now(), most = a->turn + a->debt;
	double cost = (double)f->held * (double)(now - f->since) / ADMISSION_HOLD_NS;

	f->since = now;
	if (f->finish < most)
		f->finish = cost < (double)(most - f->finish) ? f->finish + (uint64_t)cost : most;
}

static uint64_t turn_of(const struct admission *a, const struct admission_flow *f)
{
	return f->finish > a->turn ? f->finish : a->turn;
}

static struct admission_wait **next_small(struct admission *a)
{
	for (struct admission_wait **w = &a->small; *w; w = &(*w)->next) {
		if (within_share(a, *w))
			return w;
	}
	return NULL;
}

/* Whose turn it is of the large ones; of those with the same turn who came first. */
static struct admission_wait **next_large(struct admission *a)
{
	struct admission_wait **next = NULL;

	for (struct admission_wait **w = &a->large; *w; w = &(*w)->next) {
		charge(a, (*w)->flow);
		if (!within_share(a, *w))
			continue;
		if (!next || turn_of(a, (*w)->flow) < turn_of(a, (*next)->flow))
			next = w;
	}
	return next;
}

static void grant(struct admission *a, struct admission_wait **at)
{
	struct admission_wait *w = *at;

	*at = w->next;
	a->free -= w->bytes;
	w->granted = true;
	pthread_cond_signal(&w->wake);
}

static void grant_small(struct admission *a, struct admission_wait **at)
{
	(*at)->flow->held_small += (*at)->bytes;
	grant(a, at);
}

static void grant_large(struct admission *a, struct admission_wait **at)
{
	struct admission_flow *f = (*at)->flow;
	uint64_t bytes = (*at)->bytes;

	a->turn = turn_of(a, f);
	f->finish = a->turn + bytes;
	f->held += bytes;
	grant(a, at);
}

/* Whoever is next and does not fit makes those behind wait: else a large body might never be let in. Nobody waits for one that has its share. */
static void grant_all(struct admission *a)
{
	struct admission_wait **next;

	while ((next = next_small(a)) && fits(a, (*next)->bytes))
		grant_small(a, next);
	if (next)
		return;
	while ((next = next_large(a)) && fits(a, (*next)->bytes))
		grant_large(a, next);
}

static void enqueue(struct admission_wait **list, struct admission_wait *w)
{
	while (*list)
		list = &(*list)->next;
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

	while (!w->granted && cond_wait_until(&w->wake, &a->lock, until) != ETIMEDOUT)
		;
}

int admission_enter(struct admission *a, struct admission_flow *flow, uint64_t bytes,
		    uint64_t wait_ns)
{
	struct admission_wait w = {.flow = flow, .bytes = bytes};
	struct admission_wait **list = is_small(bytes) ? &a->small : &a->large;

	cond_init(&w.wake);
	pthread_mutex_lock(&a->lock);
	if (bytes)
		note_asked(a, flow);
	enqueue(list, &w);
	grant_all(a);
	wait_granted(a, &w, wait_ns);
	if (!w.granted) {
		withdraw(list, &w);
		/* Those behind may fit now. */
		grant_all(a);
	}
	pthread_mutex_unlock(&a->lock);
	pthread_cond_destroy(&w.wake);
	return w.granted ? 0 : -EBUSY;
}

void admission_leave(struct admission *a, struct admission_flow *flow, uint64_t bytes)
{
	pthread_mutex_lock(&a->lock);
	if (is_small(bytes)) {
		flow->held_small -= bytes;
	} else {
		charge(a, flow);
		flow->held -= bytes;
	}
	a->free += bytes;
	grant_all(a);
	pthread_mutex_unlock(&a->lock);
}
