// SPDX-License-Identifier: Apache-2.0
#include "agent/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"

#define PATIENCE_NS (2 * NSEC_PER_SEC) /* no read is left behind earlier */

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

/* --- one that can be left behind --------------------------------------------------------------- */

/* The reader's, and of the reading thread alone once that was left behind. */
struct reading {
	pthread_mutex_t lock; /* guards all below */
	enum { IDLE, UNDER_WAY, LEFT } state;
	uint64_t since_ns; /* monotonic */
	uint8_t *buf; /* of a read that was left behind */
};

static _Atomic unsigned int left_behind;

static struct reading *reading_new(void)
{
	struct reading *g = calloc(1, sizeof(*g));

	if (g)
		pthread_mutex_init(&g->lock, NULL);
	return g;
}

static void reading_free(struct reading *g)
{
	if (!g)
		return;
	pthread_mutex_destroy(&g->lock);
	free(g->buf);
	free(g);
}

int reader_init(struct reader *r)
{
	r->reading = reading_new();
	return r->reading ? 0 : -ENOMEM;
}

void reader_clear(struct reader *r)
{
	reading_free(r->reading);
	r->reading = NULL;
}

static void reading_begins(struct reading *g)
{
	pthread_mutex_lock(&g->lock);
	g->state = UNDER_WAY;
	g->since_ns = clock_monotonic_ns();
	pthread_mutex_unlock(&g->lock);
}

/* False: it was left behind, and the reader is somebody else's. */
static bool reading_ends(struct reading *g)
{
	bool ours;

	pthread_mutex_lock(&g->lock);
	ours = g->state == UNDER_WAY;
	if (ours)
		g->state = IDLE;
	pthread_mutex_unlock(&g->lock);
	return ours;
}

int64_t reader_call(struct reader *r, int fd, int64_t (*fn)(int fd, const void *arg),
		    const void *arg)
{
	/* Its own: whoever leaves it behind may close the other. */
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct reading *g = r->reading;
	struct reads *reads = r->reads;
	int64_t result;

	if (own < 0)
		return -errno;
	read_begins(reads);
	reading_begins(g);
	result = fn(own, arg);
	close(own);
	read_ends(reads);
	if (!reading_ends(g)) {
		reading_free(g);
		atomic_fetch_sub(&left_behind, 1);
		pthread_exit(NULL);
	}
	return result;
}

struct range {
	void *buf;
	size_t len;
	uint64_t offset;
};

static int64_t read_range(int fd, const void *arg)
{
	const struct range *range = arg;
	ssize_t n;

	do
		n = pread(fd, range->buf, range->len, (off_t)range->offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t reader_pread(struct reader *r, int fd, void *buf, size_t len, uint64_t offset)
{
	const struct range range = {buf, len, offset};

	return (ssize_t)reader_call(r, fd, read_range, &range);
}

static bool may_leave(void)
{
	if (atomic_fetch_add(&left_behind, 1) < READER_LEFT_MAX)
		return true;
	atomic_fetch_sub(&left_behind, 1);
	return false;
}

/* The lock is held, and the read takes long. */
static bool leave(struct reader *r, pthread_t *thread, void *(*instead)(void *arg), void *arg)
{
	struct reading *g = r->reading, *next = reading_new();
	size_t size = *r->buf_size;
	pthread_t left = *thread;

	if (!next || !may_leave()) {
		reading_free(next);
		return false;
	}
	g->buf = *r->buf;
	*r->buf = NULL;
	*r->buf_size = 0;
	r->reading = next;
	if (pthread_create(thread, NULL, instead, arg)) {
		/* Nobody else has looked at the reader: its thread is in the read. */
		*thread = left;
		*r->buf = g->buf;
		*r->buf_size = size;
		g->buf = NULL;
		r->reading = g;
		reading_free(next);
		atomic_fetch_sub(&left_behind, 1);
		return false;
	}
	g->state = LEFT;
	pthread_detach(left);
	return true;
}

bool reader_leave(struct reader *r, pthread_t *thread, void *(*instead)(void *arg), void *arg)
{
	struct reading *g = r->reading;
	bool done = false;

	pthread_mutex_lock(&g->lock);
	if (g->state == UNDER_WAY && clock_monotonic_ns() - g->since_ns >= PATIENCE_NS)
		done = leave(r, thread, instead, arg);
	pthread_mutex_unlock(&g->lock);
	return done;
}
