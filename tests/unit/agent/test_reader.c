// SPDX-License-Identifier: Apache-2.0
/* Reads that come back late, or with an error: who waits for them, and what is left behind. */
/* wraps: pread64 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/reader.h"
#include "lib/clock.h"
#include "tests/unit/run_tcase.h"

#define SIZE 8192u
#define HANGS 1000 /* where the disk does not answer, */
#define FAILS 1001 /* where it fails, */
#define SIGNALS 1002 /* and where a signal comes between */

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset);

static int disk;
static nlink_t threads; /* before any of ours */
static _Atomic bool answers;
static _Atomic unsigned int hanging, interrupted;

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t offset)
{
	(void)fd;
	if (offset == HANGS) {
		atomic_fetch_add(&hanging, 1);
		while (!atomic_load(&answers))
			usleep(1000);
		atomic_fetch_sub(&hanging, 1);
	}
	if (offset == FAILS || (offset == SIGNALS && atomic_fetch_add(&interrupted, 1) < 3)) {
		errno = offset == FAILS ? ENODATA : EINTR;
		return -1;
	}
	memset(buf, (int)offset & 0xff, len);
	return (ssize_t)len;
}

struct side {
	uint8_t *buf;
	size_t buf_size;
	struct reader reader;
	pthread_t thread;
	_Atomic ssize_t result;
	_Atomic bool instead; /* another thread went on */
};

static void side_make(struct side *s, struct reads *reads)
{
	memset(s, 0, sizeof(*s));
	s->buf = malloc(SIZE);
	ck_assert_ptr_nonnull(s->buf);
	s->buf_size = SIZE;
	s->reader = (struct reader){.buf = &s->buf, .buf_size = &s->buf_size, .reads = reads};
	ck_assert_int_eq(reader_init(&s->reader), 0);
}

static void side_clear(struct side *s)
{
	reader_clear(&s->reader);
	free(s->buf);
}

static void *read_hanging(void *arg)
{
	struct side *s = arg;

	atomic_store(&s->result, reader_pread(&s->reader, disk, s->buf, SIZE, HANGS));
	return NULL;
}

static void *go_on(void *arg)
{
	struct side *s = arg;

	atomic_store(&s->instead, true);
	return NULL;
}

static bool left(struct side *s)
{
	return reader_leave(&s->reader, &s->thread, go_on, s);
}

/* Threads: a folder for each, and some more. */
static nlink_t threads_now(void)
{
	struct stat s;

	ck_assert_int_eq(stat("/proc/self/task", &s), 0);
	return s.st_nlink;
}

static void *nothing(void *arg)
{
	return arg;
}

static void setup(void)
{
	pthread_t first;

	/* With the first thread the thread sanitizer starts one of its own. */
	ck_assert_int_eq(pthread_create(&first, NULL, nothing, NULL), 0);
	pthread_join(first, NULL);
	disk = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(disk, 0);
	atomic_store(&answers, false);
	threads = threads_now();
}

/* Nothing is left open. */
static void teardown(void)
{
	int next;

	close(disk);
	next = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(next, disk);
	ck_assert_int_eq(fcntl(disk + 1, F_GETFD), -1);
	close(next);
}

/* The threads that were left behind have ended as well. */
static void wait_answered(const struct reads *reads)
{
	atomic_store(&answers, true);
	while (reads_hanging_ns(reads) || threads_now() > threads)
		usleep(1000);
}

START_TEST(as_pread)
{
	struct reads *reads = reads_new();
	struct side s;

	side_make(&s, reads);
	for (unsigned int i = 0; i < 1000; i++) {
		ck_assert_int_eq(reader_pread(&s.reader, disk, s.buf + 10, 100, i), 100);
		ck_assert_uint_eq(s.buf[10], i & 0xff);
		ck_assert_uint_eq(s.buf[109], i & 0xff);
	}
	ck_assert_int_eq(reader_pread(&s.reader, disk, s.buf, 1, FAILS), -ENODATA);
	ck_assert_int_eq(reader_pread(&s.reader, disk, s.buf, 1, SIGNALS), 1);
	ck_assert_uint_eq(atomic_load(&interrupted), 4);
	ck_assert_uint_eq(reads_hanging_ns(reads), 0);
	side_clear(&s);
	reads_put(reads);
}
END_TEST

START_TEST(left_behind)
{
	struct reads *reads = reads_new();
	uint64_t began = clock_monotonic_ns();
	struct side s;

	side_make(&s, reads);
	ck_assert(!left(&s));
	ck_assert_int_eq(pthread_create(&s.thread, NULL, read_hanging, &s), 0);
	while (!left(&s))
		usleep(1000);
	ck_assert_uint_ge(clock_monotonic_ns() - began, 2 * NSEC_PER_SEC);
	pthread_join(s.thread, NULL);
	ck_assert(atomic_load(&s.instead));
	ck_assert_ptr_null(s.buf);
	ck_assert_uint_eq(s.buf_size, 0);
	ck_assert_uint_gt(reads_hanging_ns(reads), 0);
	/* The source is closed, and others are read meanwhile. */
	close(disk);
	disk = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	s.buf = malloc(SIZE);
	s.buf_size = SIZE;
	ck_assert_int_eq(reader_pread(&s.reader, disk, s.buf, SIZE, 7), SIZE);
	ck_assert_uint_eq(s.buf[SIZE - 1], 7);
	ck_assert_uint_eq(atomic_load(&hanging), 1);
	wait_answered(reads);
	/* What came back late goes nowhere. */
	ck_assert_uint_eq(s.buf[SIZE - 1], 7);
	ck_assert_int_eq(atomic_load(&s.result), 0);
	side_clear(&s);
	reads_put(reads);
}
END_TEST

START_TEST(waited_for_while_nobody_leaves)
{
	struct reads *reads = reads_new();
	struct side s;

	side_make(&s, reads);
	ck_assert_int_eq(pthread_create(&s.thread, NULL, read_hanging, &s), 0);
	sleep(3);
	ck_assert_int_eq(atomic_load(&s.result), 0);
	atomic_store(&answers, true);
	pthread_join(s.thread, NULL);
	ck_assert_int_eq(atomic_load(&s.result), SIZE);
	ck_assert_uint_eq(s.buf[SIZE - 1], HANGS & 0xff);
	/* It has come back: there is nothing to leave. */
	ck_assert(!left(&s));
	side_clear(&s);
	reads_put(reads);
}
END_TEST

START_TEST(not_without_bound)
{
	struct side s[READER_LEFT_MAX + 2];
	struct reads *reads = reads_new();
	unsigned int gone = 0;

	for (unsigned int i = 0; i < READER_LEFT_MAX + 2; i++) {
		side_make(&s[i], reads);
		ck_assert_int_eq(pthread_create(&s[i].thread, NULL, read_hanging, &s[i]), 0);
	}
	while (atomic_load(&hanging) < READER_LEFT_MAX + 2)
		usleep(1000);
	sleep(3);
	for (unsigned int i = 0; i < READER_LEFT_MAX + 2; i++)
		gone += left(&s[i]);
	ck_assert_uint_eq(gone, READER_LEFT_MAX);
	atomic_store(&answers, true);
	for (unsigned int i = 0; i < READER_LEFT_MAX + 2; i++) {
		pthread_join(s[i].thread, NULL);
		ck_assert_int_eq(atomic_load(&s[i].result), i < READER_LEFT_MAX ? 0 : SIZE);
		ck_assert(atomic_load(&s[i].instead) == (i < READER_LEFT_MAX));
		side_clear(&s[i]);
	}
	wait_answered(reads);
	reads_put(reads);
}
END_TEST

static int64_t add(int fd, const void *arg)
{
	struct stat own, ours;

	/* It is the same, under another number. */
	ck_assert_int_ne(fd, disk);
	ck_assert(!fstat(fd, &own) && !fstat(disk, &ours));
	ck_assert_uint_eq(own.st_rdev, ours.st_rdev);
	return *(const int64_t *)arg + 1;
}

static int64_t ask_hanging(int fd, const void *arg)
{
	(void)fd;
	while (!atomic_load(&answers))
		usleep(1000);
	return *(const int64_t *)arg;
}

static void *call_hanging(void *arg)
{
	struct side *s = arg;
	int64_t value = 5;

	atomic_store(&s->result, (ssize_t)reader_call(&s->reader, disk, ask_hanging, &value));
	return NULL;
}

START_TEST(another_question)
{
	struct reads *reads = reads_new();
	int64_t value = 41;
	struct side s;

	side_make(&s, reads);
	ck_assert_int_eq(reader_call(&s.reader, disk, add, &value), 42);
	ck_assert_uint_eq(reads_hanging_ns(reads), 0);
	ck_assert_int_eq(pthread_create(&s.thread, NULL, call_hanging, &s), 0);
	while (!left(&s))
		usleep(1000);
	pthread_join(s.thread, NULL);
	ck_assert_uint_gt(reads_hanging_ns(reads), 0);
	wait_answered(reads);
	ck_assert_int_eq(atomic_load(&s.result), 0);
	side_clear(&s);
	reads_put(reads);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("reader");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, as_pread);
	tcase_add_test(t, left_behind);
	tcase_add_test(t, waited_for_while_nobody_leaves);
	tcase_add_test(t, not_without_bound);
	tcase_add_test(t, another_question);
	return run_tcase("reader", t);
}
