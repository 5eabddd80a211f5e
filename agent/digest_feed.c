// SPDX-License-Identifier: Apache-2.0
#include "agent/digest_feed.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/digest_tree.h"
#include "lib/log.h"

#define LOOK_NS (NSEC_PER_SEC / 10)

struct digest_feed {
	uint64_t from, to;
	digest_feed_ask ask;
	void *arg;
	uint8_t *digests; /* of every node; those before `have` are there */
	volatile bool stop;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t more;
	uint64_t have; /* bytes of the disk */
	bool ended; /* no more will come */
};

static void *feed_main(void *arg)
{
	struct digest_feed *f = arg;
	struct err e = {0};
	int r = 0;

	for (uint64_t at = f->from;
	     !r && at < f->to && !__atomic_load_n(&f->stop, __ATOMIC_SEQ_CST);) {
		uint64_t length = f->to - at < FEED_ASK_BYTES ? f->to - at : FEED_ASK_BYTES;

		r = f->ask(f->arg, &f->stop, at, length,
			   f->digests + (at - f->from) / TREE_NODE * DIGEST_BYTES, &e);
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
	pthread_condattr_t attr;

	if (!f)
		return NULL;
	f->from = f->have = from;
	f->to = to;
	f->ask = ask;
	f->arg = arg;
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->more, &attr);
	pthread_condattr_destroy(&attr);
	f->digests = malloc((to - from + TREE_NODE - 1) / TREE_NODE * DIGEST_BYTES);
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
	__atomic_store_n(&f->stop, true, __ATOMIC_SEQ_CST);
	pthread_join(f->thread, NULL);
	feed_free(f);
}

/* The lock is held. */
static void wait_a_little(struct digest_feed *f)
{
	uint64_t until = clock_monotonic_ns() + LOOK_NS;
	struct timespec ts = {.tv_sec = (time_t)(until / NSEC_PER_SEC),
			      .tv_nsec = (long)(until % NSEC_PER_SEC)};

	pthread_cond_timedwait(&f->more, &f->lock, &ts);
}

int digest_feed_get(struct digest_feed *f, uint64_t offset, bool (*given_up)(void *arg), void *arg,
		    uint8_t out[DIGEST_BYTES])
{
	int r = 0;

	if (!f || offset < f->from || offset >= f->to)
		return -ENOENT;
	pthread_mutex_lock(&f->lock);
	while (offset >= f->have && !f->ended && !r) {
		wait_a_little(f);
		pthread_mutex_unlock(&f->lock);
		if (given_up(arg))
			r = -ECANCELED;
		pthread_mutex_lock(&f->lock);
	}
	if (!r && offset >= f->have)
		r = -ENOENT;
	pthread_mutex_unlock(&f->lock);
	if (!r)
		memcpy(out, f->digests + (offset - f->from) / TREE_NODE * DIGEST_BYTES,
		       DIGEST_BYTES);
	return r;
}
