// SPDX-License-Identifier: Apache-2.0
#include "agent/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/cond.h"

#define PATIENCE_NS (2 * NSEC_PER_SEC) /* no read is left behind earlier */
#define LOOK_NS (NSEC_PER_SEC / 4)
#define STACK_BYTES (256u << 10)

struct reads {
	_Atomic unsigned int references;
	_Atomic unsigned int under_way;
	_Atomic uint64_t changed_ns; /* monotonic: when one began or came back last */
};

struct reads *reads_new(void)
{
	struct reads *r = calloc(1, sizeof(*r));

	if (r)
		atomic_init(&r->references, 1);
	return r;
}

void reads_put(struct reads *r)
{
	if (r && atomic_fetch_sub(&r->references, 1) == 1)
		free(r);
}

uint64_t reads_hanging_ns(const struct reads *r)
{
	uint64_t since = atomic_load(&r->changed_ns), now = clock_monotonic_ns();

	return atomic_load(&r->under_way) && now > since ? now - since : 0;
}

static void read_begins(struct reads *r)
{
	if (!r)
		return;
	atomic_fetch_add(&r->references, 1);
	atomic_store(&r->changed_ns, clock_monotonic_ns());
	atomic_fetch_add(&r->under_way, 1);
}

static void read_ends(struct reads *r)
{
	if (!r)
		return;
	atomic_store(&r->changed_ns, clock_monotonic_ns());
	atomic_fetch_sub(&r->under_way, 1);
	reads_put(r);
}

/* --- the thread ------------------------------------------------------------------------------- */

struct reader_thread {
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t asked, done;
	enum { IDLE, ASKED, LEFT, END } state;
	int fd; /* its own: whoever left it behind may close the other */
	void *to;
	size_t len;
	uint64_t offset;
	struct reads *reads;
	ssize_t result;
	uint8_t *buf; /* of a read that was left behind */
};

static _Atomic unsigned int left_behind;

static void thread_free(struct reader_thread *t)
{
	pthread_cond_destroy(&t->asked);
	pthread_cond_destroy(&t->done);
	pthread_mutex_destroy(&t->lock);
	free(t->buf);
	free(t);
}

/* A read of r that has begun. fd is its own, and closed. */
static ssize_t read_it(struct reads *r, int fd, void *buf, size_t len, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		n = -errno;
	close(fd);
	read_ends(r);
	return n;
}

/* The lock is held. */
static void read_as_asked(struct reader_thread *t)
{
	ssize_t n;

	pthread_mutex_unlock(&t->lock);
	n = read_it(t->reads, t->fd, t->to, t->len, t->offset);
	pthread_mutex_lock(&t->lock);
	t->result = n;
	if (t->state == ASKED) {
		t->state = IDLE;
		pthread_cond_signal(&t->done);
	}
}

static void *thread_main(void *arg)
{
	struct reader_thread *t = arg;
	bool left;

	pthread_mutex_lock(&t->lock);
	while (t->state == IDLE || t->state == ASKED) {
		if (t->state == ASKED)
			read_as_asked(t);
		else
			pthread_cond_wait(&t->asked, &t->lock);
	}
	left = t->state == LEFT;
	pthread_mutex_unlock(&t->lock);
	/* Else whoever ended us waits for that. */
	if (left) {
		thread_free(t);
		atomic_fetch_sub(&left_behind, 1);
	}
	return NULL;
}

/* NULL: there can be none now. */
static struct reader_thread *thread_new(void)
{
	struct reader_thread *t = calloc(1, sizeof(*t));
	pthread_attr_t attr;
	int r;

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->asked, NULL);
	cond_init(&t->done);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	r = pthread_create(&t->thread, &attr, thread_main, t);
	pthread_attr_destroy(&attr);
	if (r) {
		thread_free(t);
		return NULL;
	}
	return t;
}

/* --- the worker's side ------------------------------------------------------------------------ */

static bool may_leave(const struct reader *r)
{
	if (!r->given_up(r->arg))
		return false;
	if (atomic_fetch_add(&left_behind, 1) < READER_LEFT_MAX)
		return true;
	atomic_fetch_sub(&left_behind, 1);
	return false;
}

/* The lock is held. False: it has not come back in that time. */
static bool wait_done(struct reader_thread *t, uint64_t ns)
{
	uint64_t until = clock_monotonic_ns() + ns;

	while (t->state == ASKED && cond_wait_until(&t->done, &t->lock, until) != ETIMEDOUT)
		;
	return t->state != ASKED;
}

/* The lock is held, and given up here: the thread is its own from now on. */
static void leave(struct reader *r)
{
	struct reader_thread *t = r->thread;

	r->thread = NULL;
	t->buf = *r->buf;
	*r->buf = NULL;
	*r->buf_size = 0;
	t->state = LEFT;
	pthread_detach(t->thread);
	pthread_mutex_unlock(&t->lock);
}

/* The lock is held. */
static void ask(struct reader_thread *t, const struct reader *r, int fd, void *buf, size_t len,
		uint64_t offset)
{
	t->fd = fd;
	t->to = buf;
	t->len = len;
	t->offset = offset;
	t->reads = r->reads;
	t->state = ASKED;
	pthread_cond_signal(&t->asked);
}

ssize_t reader_pread(struct reader *r, int fd, void *buf, size_t len, uint64_t offset)
{
	uint64_t patience = PATIENCE_NS;
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct reader_thread *t;
	ssize_t n;

	if (own < 0)
		return -errno;
	read_begins(r->reads);
	if (!r->thread && !(r->thread = thread_new()))
		return read_it(r->reads, own, buf, len, offset);
	t = r->thread;
	pthread_mutex_lock(&t->lock);
	ask(t, r, own, buf, len, offset);
	for (; !wait_done(t, patience); patience = LOOK_NS) {
		if (may_leave(r)) {
			leave(r);
			return -ECANCELED;
		}
	}
	n = t->result;
	pthread_mutex_unlock(&t->lock);
	return n;
}

void reader_clear(struct reader *r)
{
	struct reader_thread *t = r->thread;

	r->thread = NULL;
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->state = END;
	pthread_cond_signal(&t->asked);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	thread_free(t);
}
