// SPDX-License-Identifier: Apache-2.0
#include "agent/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sender.h"
#include "agent/worker.h"
#include "lib/clock.h"
#include "lib/cond.h"
#include "lib/log.h"

#define BEAT_NS (NSEC_PER_SEC / 4)
#define WORKERS_MAX 16

/* A worker with its thread, and whoever goes on in its place (reader.h). */
struct hand {
	struct drain_pool *pool;
	pthread_t thread;
	uint64_t round; /* which drain it has joined last: each once */
	struct worker w;
	struct piece *piece; /* written under lock, the last of what is made; NULL: there is no w */
};

struct drain_pool {
	struct agent *agent;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work, done;
	struct drain *drain; /* NULL: nothing to do */
	unsigned int left; /* workers that have not finished this drain, segments on their way */
	uint64_t round; /* number of the drain */
	int error;
	struct err why;
	bool end;
	struct senders *senders;
	unsigned int count;
	struct hand hand[WORKERS_MAX];
};

static bool given_up(void *arg)
{
	struct drain_pool *p = arg;
	bool given;

	if (__atomic_load_n(&p->agent->cancel, __ATOMIC_ACQUIRE))
		return true;
	pthread_mutex_lock(&p->lock);
	given = p->error != 0;
	pthread_mutex_unlock(&p->lock);
	return given;
}

static void fail(struct drain_pool *p, int code, const struct err *e)
{
	pthread_mutex_lock(&p->lock);
	if (!p->error) {
		p->error = code;
		p->why = *e;
	}
	pthread_mutex_unlock(&p->lock);
}

/* A worker, or a segment that one handed over, has come to its end. */
static void one_less(struct drain_pool *p)
{
	pthread_mutex_lock(&p->lock);
	if (--p->left == 0)
		pthread_cond_signal(&p->done);
	pthread_mutex_unlock(&p->lock);
}

static void segment_begun(void *arg)
{
	struct drain_pool *p = arg;

	pthread_mutex_lock(&p->lock);
	p->left++;
	pthread_mutex_unlock(&p->lock);
}

static void segment_ended(void *arg, int code, const struct err *e)
{
	struct drain_pool *p = arg;

	if (code)
		fail(p, code, e);
	one_less(p);
}

static bool next_piece(struct drain_pool *p, struct drain *d, struct piece *piece)
{
	bool more;

	pthread_mutex_lock(&p->lock);
	more = !p->error && plan_next(&d->plan, piece);
	pthread_mutex_unlock(&p->lock);
	return more;
}

static void work(struct hand *h, struct drain *d)
{
	struct drain_pool *p = h->pool;
	struct worker *w = &h->w;
	struct err e = {0};
	int r = 0;

	w->epoch = d->epoch;
	while (!r && next_piece(p, d, h->piece)) {
		if (given_up(p))
			r = err_set(&e, -ECANCELED, "canceled");
		else
			r = worker_piece(w, h->piece, &e);
	}
	if (!r && !given_up(p))
		worker_flush(w);
	if (!r && w->open)
		r = err_set(&e, -ECANCELED, "canceled");
	worker_forget(w);
	if (r)
		fail(p, r, &e);
}

/* The next drain, or NULL at the end. */
static struct drain *wait_for_work(struct hand *h)
{
	struct drain_pool *p = h->pool;
	struct drain *d = NULL;

	pthread_mutex_lock(&p->lock);
	while (!p->end && (!p->drain || p->round == h->round))
		pthread_cond_wait(&p->work, &p->lock);
	if (!p->end) {
		d = p->drain;
		h->round = p->round;
	}
	pthread_mutex_unlock(&p->lock);
	return d;
}

/* Where it is refused the next drain tries again. */
static int make_ready(struct hand *h, struct err *e)
{
	struct drain_pool *p = h->pool;
	struct piece *piece;
	int r;

	h->w = (struct worker){.given_up = given_up,
			       .begun = segment_begun,
			       .arg = p,
			       .senders = p->senders};
	r = worker_init(&h->w, p->agent, e);
	piece = malloc(sizeof(*piece));
	if (!r && !piece)
		r = err_set(e, -ENOMEM, "out of memory");
	if (r) {
		free(piece);
		worker_clear(&h->w);
		return r;
	}
	pthread_mutex_lock(&p->lock);
	h->piece = piece;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static void *hand_main(void *arg)
{
	struct hand *h = arg;
	struct drain *d;
	struct err e;
	int r;

	while ((d = wait_for_work(h))) {
		r = h->piece ? 0 : make_ready(h, &e);
		if (r)
			fail(h->pool, r, &e);
		else
			work(h, d);
		one_less(h->pool);
	}
	return NULL;
}

/* In place of a thread that was left behind in a read of a drain that was given up. */
static void *hand_goes_on(void *arg)
{
	struct hand *h = arg;
	struct err e;

	worker_forget(&h->w);
	fail(h->pool, err_set(&e, -ECANCELED, "canceled"), &e);
	one_less(h->pool);
	return hand_main(h);
}

static int start_hands(struct drain_pool *p)
{
	unsigned int wanted = p->agent->config.workers;
	struct hand *h;
	int r;

	if (wanted > WORKERS_MAX)
		wanted = WORKERS_MAX;
	for (; p->count < wanted; p->count++) {
		h = &p->hand[p->count];
		h->pool = p;
		r = pthread_create(&h->thread, NULL, hand_main, h);
		if (r)
			return -r;
	}
	return 0;
}

int drain_pool_new(struct agent *a, struct drain_pool **out, struct err *e)
{
	struct drain_pool *p = calloc(1, sizeof(*p));
	struct sender_events events = {.given_up = given_up, .ended = segment_ended, .arg = p};
	int r;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->agent = a;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	cond_init(&p->done);
	r = senders_new(a, &events, &p->senders, e);
	if (r) {
		drain_pool_free(p);
		return r;
	}
	r = start_hands(p);
	if (r) {
		drain_pool_free(p);
		return err_errno(e, r, "cannot start a worker thread");
	}
	*out = p;
	return 0;
}

static void hand_end(struct hand *h)
{
	pthread_join(h->thread, NULL);
	if (h->piece)
		worker_clear(&h->w);
	free(h->piece);
}

void drain_pool_free(struct drain_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->end = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned int i = 0; i < p->count; i++)
		hand_end(&p->hand[i]);
	senders_free(p->senders);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Of a drain that was given up no read is waited for. */
static void leave_reads(struct drain_pool *p)
{
	struct hand *h;
	bool ready;

	if (!given_up(p))
		return;
	for (unsigned int i = 0; i < p->count; i++) {
		h = &p->hand[i];
		pthread_mutex_lock(&p->lock);
		ready = h->piece != NULL;
		pthread_mutex_unlock(&p->lock);
		if (ready)
			reader_leave(&h->w.reader, &h->thread, hand_goes_on, h);
	}
}

/* Wait for the workers and their segments; the lock is held. */
static void wait_done(struct drain_pool *p, void (*beat)(void *arg), void *arg)
{
	while (p->left) {
		cond_wait_until(&p->done, &p->lock, clock_monotonic_ns() + BEAT_NS);
		pthread_mutex_unlock(&p->lock);
		beat(arg);
		leave_reads(p);
		pthread_mutex_lock(&p->lock);
	}
}

int drain_run(struct drain_pool *p, struct drain *d, void (*beat)(void *arg), void *arg,
	      struct err *e)
{
	int r;

	pthread_mutex_lock(&p->lock);
	p->drain = d;
	p->left = p->count;
	p->round++;
	p->error = 0;
	pthread_cond_broadcast(&p->work);
	wait_done(p, beat, arg);
	p->drain = NULL;
	r = p->error;
	if (r && e)
		*e = p->why;
	pthread_mutex_unlock(&p->lock);
	return r;
}
