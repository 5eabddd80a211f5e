// SPDX-License-Identifier: Apache-2.0
#include "agent/bookmark.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/cond.h"

#define PAUSE_MIN_NS (30 * NSEC_PER_SEC)

enum stage { WAITING, TAKEN, ANSWERED };

struct bookmark {
	struct bookmark *next;
	enum stage stage;
	bool abandoned; /* nobody waits for the answer any more */
	char name[BOOKMARK_NAME_BYTES];
	bool app;
	uint64_t due_ns, pause_ns; /* monotonic: not taken before; how long it was put off last */
	int code;
	char why[512];
	struct bookmark_result result;
};

struct bookmarks {
	pthread_mutex_t lock; /* guards all below and the requests */
	pthread_cond_t answered;
	struct bookmark *first; /* in the order in which they came */
	bool ended;
};

struct bookmarks *bookmarks_new(void)
{
	struct bookmarks *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	pthread_mutex_init(&q->lock, NULL);
	cond_init(&q->answered);
	return q;
}

void bookmarks_free(struct bookmarks *q)
{
	if (!q)
		return;
	while (q->first) {
		struct bookmark *next = q->first->next;

		free(q->first);
		q->first = next;
	}
	pthread_cond_destroy(&q->answered);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static void append(struct bookmarks *q, struct bookmark *b)
{
	struct bookmark **at = &q->first;

	while (*at)
		at = &(*at)->next;
	*at = b;
}

static void unlink_request(struct bookmarks *q, struct bookmark *b)
{
	struct bookmark **at = &q->first;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
}

/* Wait until b is answered; the lock is held. */
static int wait_answered(struct bookmarks *q, struct bookmark *b, uint64_t timeout_ns)
{
	uint64_t until = clock_monotonic_ns() + timeout_ns;

	while (b->stage != ANSWERED) {
		if (cond_wait_until(&q->answered, &q->lock, until) == ETIMEDOUT)
			return b->stage == ANSWERED ? 0 : -ETIMEDOUT;
	}
	return 0;
}

/* The lock is held; b is freed here unless the session still has it. */
static int conclude(struct bookmarks *q, struct bookmark *b, int waited,
		    struct bookmark_result *out, struct err *e)
{
	int r;

	if (!waited) {
		*out = b->result;
		r = b->code ? err_set(e, b->code, "%s", b->why) : 0;
		free(b);
		return r;
	}
	r = err_set(e, -ETIMEDOUT, "no recovery point within the time%s%s", b->why[0] ? ": " : "",
		    b->why[0] ? b->why : ": the epoch under way is not on the appliance yet");
	if (b->stage == TAKEN) {
		b->abandoned = true;
	} else {
		unlink_request(q, b);
		free(b);
	}
	return r;
}

int bookmarks_ask(struct bookmarks *q, const char *name, bool app, uint64_t timeout_ns,
		  void (*asked)(void *arg), void *arg, struct bookmark_result *out, struct err *e)
{
	struct bookmark *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(b->name, sizeof(b->name), "%s", name);
	b->app = app;
	pthread_mutex_lock(&q->lock);
	if (q->ended) {
		pthread_mutex_unlock(&q->lock);
		free(b);
		return err_set(e, -ECANCELED, "mobilityd is stopping");
	}
	append(q, b);
	pthread_mutex_unlock(&q->lock);
	asked(arg);
	pthread_mutex_lock(&q->lock);
	r = wait_answered(q, b, timeout_ns);
	r = conclude(q, b, r, out, e);
	pthread_mutex_unlock(&q->lock);
	return r;
}

/* The first that is not put off, or NULL; the lock is held. */
static struct bookmark *first_due(const struct bookmarks *q)
{
	uint64_t now = clock_monotonic_ns();
	struct bookmark *b = q->first;

	while (b && b->due_ns > now)
		b = b->next;
	return b;
}

bool bookmarks_waiting(struct bookmarks *q)
{
	bool waiting;

	pthread_mutex_lock(&q->lock);
	waiting = first_due(q) != NULL;
	pthread_mutex_unlock(&q->lock);
	return waiting;
}

struct bookmark *bookmarks_take(struct bookmarks *q, const char **name)
{
	struct bookmark *b;

	pthread_mutex_lock(&q->lock);
	b = first_due(q);
	if (b) {
		unlink_request(q, b);
		b->next = NULL;
		b->stage = TAKEN;
		*name = b->name;
	}
	pthread_mutex_unlock(&q->lock);
	return b;
}

bool bookmark_is_app(const struct bookmark *b)
{
	return b->app;
}

/* The lock is held. */
static void answer(struct bookmarks *q, struct bookmark *b)
{
	if (b->abandoned) {
		free(b);
		return;
	}
	b->stage = ANSWERED;
	pthread_cond_broadcast(&q->answered);
}

void bookmarks_done(struct bookmarks *q, struct bookmark *b, const struct bookmark_result *r)
{
	pthread_mutex_lock(&q->lock);
	b->result = *r;
	b->code = 0;
	answer(q, b);
	pthread_mutex_unlock(&q->lock);
}

void bookmarks_refuse(struct bookmarks *q, struct bookmark *b, int code, const char *why)
{
	pthread_mutex_lock(&q->lock);
	b->code = code;
	snprintf(b->why, sizeof(b->why), "%s", why);
	answer(q, b);
	pthread_mutex_unlock(&q->lock);
}

/* The lock is held; b may be freed here. */
static void put_back(struct bookmarks *q, struct bookmark *b, const char *why)
{
	snprintf(b->why, sizeof(b->why), "%s", why);
	if (b->abandoned) {
		free(b);
	} else if (q->ended) {
		b->code = -ECANCELED;
		answer(q, b);
	} else {
		b->stage = WAITING;
		b->next = q->first;
		q->first = b;
	}
}

void bookmarks_retry(struct bookmarks *q, struct bookmark *b, const char *why)
{
	pthread_mutex_lock(&q->lock);
	put_back(q, b, why);
	pthread_mutex_unlock(&q->lock);
}

void bookmarks_put_off(struct bookmarks *q, struct bookmark *b, const char *why)
{
	pthread_mutex_lock(&q->lock);
	b->pause_ns = b->pause_ns ? 2 * b->pause_ns : PAUSE_MIN_NS;
	b->due_ns = clock_monotonic_ns() + b->pause_ns;
	put_back(q, b, why);
	pthread_mutex_unlock(&q->lock);
}

void bookmarks_end(struct bookmarks *q)
{
	struct bookmark *b;

	pthread_mutex_lock(&q->lock);
	q->ended = true;
	while ((b = q->first)) {
		q->first = b->next;
		b->code = -ECANCELED;
		snprintf(b->why, sizeof(b->why), "mobilityd is stopping");
		answer(q, b);
	}
	pthread_mutex_unlock(&q->lock);
}
