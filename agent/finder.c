// SPDX-License-Identifier: Apache-2.0
#include "agent/finder.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/identify.h"
#include "lib/cond.h"

enum stage { STAGE_NONE, STAGE_SEARCHING, STAGE_FOUND };

struct finder {
	pthread_mutex_t lock;
	pthread_cond_t ended;
	/* under lock */
	enum stage stage;
	bool abandoned;
	/* the thread's while it searches, else under lock: the question */
	char key[256], hint[PATH_MAX];
	bool hint_holds;
	/* and the answer */
	int result;
	char path[PATH_MAX];
	struct err e;
};

struct finder *finder_new(void)
{
	struct finder *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	pthread_mutex_init(&f->lock, NULL);
	cond_init(&f->ended);
	return f;
}

static void destroy(struct finder *f)
{
	pthread_cond_destroy(&f->ended);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

void finder_free(struct finder *f)
{
	bool searching;

	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	searching = f->stage == STAGE_SEARCHING;
	f->abandoned = true;
	pthread_mutex_unlock(&f->lock);
	if (!searching)
		destroy(f);
}

static void *search(void *arg)
{
	struct finder *f = arg;
	bool abandoned;

	f->result = identify_find(f->key, f->hint, f->hint_holds, 0, f->path, &f->e);
	pthread_mutex_lock(&f->lock);
	f->stage = STAGE_FOUND;
	abandoned = f->abandoned;
	pthread_cond_signal(&f->ended);
	pthread_mutex_unlock(&f->lock);
	if (abandoned)
		destroy(f);
	return NULL;
}

static int begin(struct finder *f, const char *key, const char *hint, bool hint_holds,
		 struct err *e)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	snprintf(f->key, sizeof(f->key), "%s", key);
	snprintf(f->hint, sizeof(f->hint), "%s", hint);
	f->hint_holds = hint_holds;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	f->stage = STAGE_SEARCHING;
	r = -pthread_create(&thread, &attr, search, f);
	pthread_attr_destroy(&attr);
	if (r) {
		f->stage = STAGE_NONE;
		return err_errno(e, r, "cannot look for %s", key);
	}
	return 0;
}

static void wait_a_moment(struct finder *f)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	while (f->stage == STAGE_SEARCHING &&
	       pthread_cond_timedwait(&f->ended, &f->lock, &until) != ETIMEDOUT)
		;
}

static int take_answer(struct finder *f, char path[PATH_MAX], struct err *e)
{
	f->stage = STAGE_NONE;
	if (f->result)
		return err_set(e, f->result, "%s", f->e.text);
	strcpy(path, f->path);
	return 0;
}

int finder_find(struct finder *f, const char *key, const char *hint, bool hint_holds,
		char path[PATH_MAX], struct err *e)
{
	int r = 0;

	pthread_mutex_lock(&f->lock);
	/* The answer of a search for a disk that nobody misses any more gives way. */
	if (f->stage == STAGE_NONE || (f->stage == STAGE_FOUND && strcmp(f->key, key) != 0)) {
		r = begin(f, key, hint, hint_holds, e);
		if (!r)
			wait_a_moment(f);
	}
	if (!r && f->stage == STAGE_FOUND)
		r = take_answer(f, path, e);
	else if (!r)
		r = err_set(e, -EINPROGRESS,
			    "%s (last seen as %s) is being looked for, and a disk of this machine "
			    "is slow to answer",
			    key, hint);
	pthread_mutex_unlock(&f->lock);
	return r;
}
