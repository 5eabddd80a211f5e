// SPDX-License-Identifier: Apache-2.0
/* Reads that come back late, or with an error: who waits for them, and what is left behind. */
/* wraps: pread64 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
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
static _Atomic bool answers, wanted;
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

static bool given_up(void *arg)
{
	(void)arg;
	return !atomic_load(&wanted);
}

struct side {
	uint8_t *buf;
	size_t buf_size;
	struct reader reader;
};

static void side_make(struct side *s, struct reads *reads)
{
	s->buf = malloc(SIZE);
	ck_assert_ptr_nonnull(s->buf);
	s->buf_size = SIZE;
	s->reader = (struct reader){.given_up = given_up,
				    .buf = &s->buf,
				    .buf_size = &s->buf_size,
				    .reads = reads};
}

static void side_clear(struct side *s)
{
	reader_clear(&s->reader);
	free(s->buf);
}

static void setup(void)
{
	disk = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(disk, 0);
	atomic_store(&answers, false);
	atomic_store(&wanted, true);
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

static void wait_answered(const struct reads *reads)
{
	atomic_store(&answers, true);
	while (atomic_load(&hanging) || reads_hanging_ns(reads))
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

START_TEST(left_behind_when_not_wanted)
{
	struct reads *reads = reads_new();
	struct side s;

	side_make(&s, reads);
	atomic_store(&wanted, false);
	ck_assert_int_eq(reader_pread(&s.reader, disk, s.buf, SIZE, HANGS), -ECANCELED);
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
	side_clear(&s);
	wait_answered(reads);
	reads_put(reads);
}
END_TEST

static void *answer_soon(void *arg)
{
	(void)arg;
	sleep(3); /* longer than anybody is patient who does not want it */
	atomic_store(&answers, true);
	return NULL;
}

START_TEST(waited_for_while_wanted)
{
	struct reads *reads = reads_new();
	uint64_t began = clock_monotonic_ns();
	pthread_t thread;
	struct side s;

	side_make(&s, reads);
	ck_assert_int_eq(pthread_create(&thread, NULL, answer_soon, NULL), 0);
	ck_assert_int_eq(reader_pread(&s.reader, disk, s.buf, SIZE, HANGS), SIZE);
	ck_assert_uint_ge(clock_monotonic_ns() - began, 2 * NSEC_PER_SEC);
	ck_assert_uint_eq(s.buf[SIZE - 1], HANGS & 0xff);
	pthread_join(thread, NULL);
	side_clear(&s);
	reads_put(reads);
}
END_TEST

static _Atomic unsigned int gone;

static void *read_it(void *arg)
{
	struct side *s = arg;

	if (reader_pread(&s->reader, disk, s->buf, SIZE, HANGS) == -ECANCELED)
		atomic_fetch_add(&gone, 1);
	return NULL;
}

START_TEST(not_without_bound)
{
	struct side s[READER_LEFT_MAX + 2];
	struct reads *reads = reads_new();
	pthread_t thread[READER_LEFT_MAX + 2];

	atomic_store(&wanted, false);
	for (unsigned int i = 0; i < READER_LEFT_MAX + 2; i++) {
		side_make(&s[i], reads);
		ck_assert_int_eq(pthread_create(&thread[i], NULL, read_it, &s[i]), 0);
	}
	while (atomic_load(&gone) < READER_LEFT_MAX)
		usleep(1000);
	sleep(1);
	ck_assert_uint_eq(atomic_load(&gone), READER_LEFT_MAX);
	atomic_store(&answers, true);
	for (unsigned int i = 0; i < READER_LEFT_MAX + 2; i++) {
		pthread_join(thread[i], NULL);
		side_clear(&s[i]);
	}
	wait_answered(reads);
	reads_put(reads);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("reader");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, as_pread);
	tcase_add_test(t, left_behind_when_not_wanted);
	tcase_add_test(t, waited_for_while_wanted);
	tcase_add_test(t, not_without_bound);
	return run_tcase("reader", t);
}
