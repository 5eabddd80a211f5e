// SPDX-License-Identifier: Apache-2.0
#include "agent/digest_feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/cond.h"
#include "lib/digest_tree.h"
#include "lib/log.h"

#define LOOK_NS (NSEC_PER_SEC / 10)

struct digest_feed {
	uint64_t from, to;
	digest_feed_ask ask;
	void *arg;
	volatile bool stop;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t more; /* there is more, or more is wanted, or it ends */
	/* of the nodes of [kept, have), at their places in a ring; the thread alone writes to the other places */
	uint8_t *digests;
	uint64_t kept, have; /* bytes of the disk */
	uint64_t wanted; /* the furthest that was */
	bool ended; /* no more will come */
};

static uint8_t *place(const struct digest_feed *f, uint64_t offset)
{
	return f->digests + (offset - f->from) % FEED_WINDOW_BYTES / TREE_NODE * DIGEST_BYTES;
}

static bool stopping(const struct digest_feed *f)
{
	return __atomic_load_n(&f->stop, __ATOMIC_SEQ_CST);
}

/* Wait until what begins at `at` is wanted soon, and make room for it. False: it ends. */
static bool make_room(struct digest_feed *f, uint64_t at)
{
	pthread_mutex_lock(&f->lock);
	while (!stopping(f) && at >= f->wanted + FEED_WINDOW_BYTES / 2)
		pthread_cond_wait(&f->more, &f->lock);
	if (at + FEED_ASK_BYTES > f->kept + FEED_WINDOW_BYTES)
		f->kept = at + FEED_ASK_BYTES - FEED_WINDOW_BYTES;
	pthread_mutex_unlock(&f->lock);
	return !stopping(f);
}

static void *feed_main(void *arg)
{
	struct digest_feed *f = arg;
	struct err e = {0};
	int r = 0;

	for (uint64_t at = f->from; !r && at < f->to && make_room(f, at);) {
		uint64_t length = f->to - at < FEED_ASK_BYTES ? f->to - at : FEED_ASK_BYTES;

		r = f->ask(f->arg, &f->stop, at, length, place(f, at), &e);
		at += length;
		pthread_mutex_lock(&f->lock);
		if (!r)
			f->have = at;
		pthread_cond_broadcast(&f->more);
		pthread_mutex_unlock(&f->lock);
	}
	if (r && r != -ECANCELED)
		log_debug("digests are asked for block by block: %s", e.text);
	pthread_mutex_lock(&f->lock);
	f->ended = true;
	pthread_cond_broadcast(&f->more);
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

static void feed_free(struct digest_feed *f)
{
	pthread_cond_destroy(&f->more);
	pthread_mutex_destroy(&f->lock);
	free(f->digests);
	free(f);
}

struct digest_feed *digest_feed_start(uint64_t from, uint64_t to, digest_feed_ask ask, void *arg)
{
	struct digest_feed *f = calloc(1, sizeof(*f));
	uint64_t window = to - from < FEED_WINDOW_BYTES ? to - from : FEED_WINDOW_BYTES;

	if (!f)
		return NULL;
	f->from = f->kept = f->have = f->wanted = from;
	f->to = to;
	f->ask = ask;
	f->arg = arg;
	pthread_mutex_init(&f->lock, NULL);
	cond_init(&f->more);
	f->digests = malloc((window + TREE_NODE - 1) / TREE_NODE * DIGEST_BYTES);
	if (!f->digests || pthread_create(&f->thread, NULL, feed_main, f)) {
		feed_free(f);
		return NULL;
	}
	return f;
}

void digest_feed_stop(struct digest_feed *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	__atomic_store_n(&f->stop, true, __ATOMIC_SEQ_CST);
	pthread_cond_broadcast(&f->more);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	feed_free(f);
}

/* The lock is held. */
static void wait_a_little(struct digest_feed *f)
{
	cond_wait_until(&f->more, &f->lock, clock_monotonic_ns() + LOOK_NS);
}

int digest_feed_get(struct digest_feed *f, uint64_t offset, bool (*given_up)(void *arg), void *arg,
		    uint8_t out[DIGEST_BYTES])
{
	int r = 0;

	if (!f || offset < f->from || offset >= f->to)
		return -ENOENT;
	pthread_mutex_lock(&f->lock);
	if (offset > f->wanted) {
		f->wanted = offset;
		pthread_cond_broadcast(&f->more);
	}
	while (offset >= f->have && !f->ended && !r) {
		wait_a_little(f);
		pthread_mutex_unlock(&f->lock);
		if (given_up(arg))
			r = -ECANCELED;
		pthread_mutex_lock(&f->lock);
	}
	if (!r && (offset < f->kept || offset >= f->have))
		r = -ENOENT;
	if (!r)
		memcpy(out, place(f, offset), DIGEST_BYTES);
	pthread_mutex_unlock(&f->lock);
	return r;
}
