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

struct drain_pool {
	struct agent *agent;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work, done;
	struct drain *drain; /* NULL: nothing to do */
	unsigned int left; /* workers that have not finished this drain, segments on their way */
	uint64_t round; /* number of the drain, so that a worker joins each once */
	int error;
	struct err why;
	bool end;
	struct senders *senders;
	unsigned int count;
	pthread_t thread[WORKERS_MAX];
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

static void work(struct drain_pool *p, struct worker *w, struct drain *d, struct piece *piece)
{
	struct err e = {0};
	int r = 0;

	w->epoch = d->epoch;
	while (!r && next_piece(p, d, piece)) {
		if (given_up(p))
			r = err_set(&e, -ECANCELED, "canceled");
		else
			r = worker_piece(w, piece, &e);
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
static struct drain *wait_for_work(struct drain_pool *p, uint64_t *round)
{
	struct drain *d = NULL;

	pthread_mutex_lock(&p->lock);
	while (!p->end && (!p->drain || p->round == *round))
		pthread_cond_wait(&p->work, &p->lock);
	if (!p->end) {
		d = p->drain;
		*round = p->round;
	}
	pthread_mutex_unlock(&p->lock);
	return d;
}

/* What a worker needs, *piece the last of it. Where it is refused the next drain tries again. */
static int make_ready(struct drain_pool *p, struct worker *w, struct piece **piece, struct err *e)
{
	int r = worker_init(w, p->agent, e);

	if (!r && !(*piece = malloc(sizeof(**piece))))
		r = err_set(e, -ENOMEM, "out of memory");
	if (r)
		worker_clear(w);
	return r;
}

static void *worker_main(void *arg)
{
	struct drain_pool *p = arg;
	struct worker w = {.given_up = given_up,
			   .begun = segment_begun,
			   .arg = p,
			   .senders = p->senders};
	struct piece *piece = NULL;
	uint64_t round = 0;
	struct drain *d;
	struct err e;
	int r;

	while ((d = wait_for_work(p, &round))) {
		r = piece ? 0 : make_ready(p, &w, &piece, &e);
		if (r)
			fail(p, r, &e);
		else
			work(p, &w, d, piece);
		one_less(p);
	}
	if (piece)
		worker_clear(&w);
	free(piece);
	return NULL;
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
	while (!r && p->count < a->config.workers && p->count < WORKERS_MAX) {
		r = pthread_create(&p->thread[p->count], NULL, worker_main, p);
		if (!r)
			p->count++;
	}
	if (r) {
		drain_pool_free(p);
		return err_errno(e, -r, "cannot start a worker thread");
	}
	*out = p;
	return 0;
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
		pthread_join(p->thread[i], NULL);
	senders_free(p->senders);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Wait for the workers and their segments; the lock is held. */
static void wait_done(struct drain_pool *p, void (*beat)(void *arg), void *arg)
{
	while (p->left) {
		cond_wait_until(&p->done, &p->lock, clock_monotonic_ns() + BEAT_NS);
		pthread_mutex_unlock(&p->lock);
		beat(arg);
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
