/* SPDX-License-Identifier: Apache-2.0 */
/* The journal: what it acknowledged is there after any crash, and nothing else is. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/journal.h"
#include "lib/cleanup.h"
#include "tests/unit/appliance/helpers.h"

#define NAME "machines/m/disks/d/journal/0000000000000001.mj"
#define SEGMENTS 3

static char *dir;
static struct store *store;
static uint8_t *segment[SEGMENTS];
static size_t length[SEGMENTS], total;

/* Small segments one after another on the disk, of data, zeros and both. */
static void setup(void)
{
	static uint8_t data[1024];
	struct part parts[2];
	uint64_t seed = 5;
	struct err e;

	dir = scratch_make();
	ck_assert_int_eq(store_dir_open(dir, &store, &e), 0);
	random_fill(&seed, data, sizeof(data));
	total = 0;
	for (uint32_t i = 0; i < SEGMENTS; i++) {
		parts[0] = (struct part){i * 8192, 1024, data};
		parts[1] = (struct part){i * 8192 + 4096, 4096, NULL};
		segment[i] = segment_make(DISK, 1, i, parts, 1 + i % 2, &length[i]);
		total += length[i];
	}
}

static void teardown(void)
{
	for (int i = 0; i < SEGMENTS; i++)
		free(segment[i]);
	store_destroy(store);
	scratch_remove(dir);
}

static struct journal *must_open(struct store *s)
{
	struct journal *j;
	struct err e;

	ck_assert_msg(journal_open(s, NAME, 0, &j, &e) == 0, "%s", e.text);
	return j;
}

static uint64_t file_size(void)
{
	struct stat st;
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, NAME);
	ck_assert_int_eq(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static void append_all(struct journal *j, int n)
{
	struct err e;

	for (int i = 0; i < n; i++)
		ck_assert_msg(segment_append(j, segment[i], length[i], &e) == 0, "%s", e.text);
}

static int whole_before(uint64_t size)
{
	int n = 0;

	for (uint64_t at = 0; n < SEGMENTS && at + length[n] <= size; n++)
		at += length[n];
	return n;
}

static void check_stored(struct journal *j, int n)
{
	uint32_t number;

	ck_assert(journal_complete(j, (uint64_t)n, &number));
	if (n < SEGMENTS) {
		ck_assert(!journal_complete(j, (uint64_t)n + 1, &number));
		ck_assert_uint_eq(number, (uint32_t)n);
	}
}

START_TEST(stays_after_reopening)
{
	struct journal *j = must_open(store);
	uint32_t number;

	append_all(j, SEGMENTS);
	ck_assert_uint_eq(journal_bytes(j), total);
	journal_close(j);
	j = must_open(store);
	check_stored(j, SEGMENTS);
	ck_assert_uint_eq(journal_bytes(j), total);
	/* A surplus segment is not what was counted either. */
	ck_assert(!journal_complete(j, SEGMENTS - 1, &number));
	ck_assert_uint_eq(number, SEGMENTS - 1);
	journal_close(j);
}
END_TEST

/* The file ends at any byte: every whole segment is there, nothing else is, and the journal goes on. */
START_TEST(torn_at_every_byte)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, NAME);
	for (uint64_t size = total;; size--) {
		struct journal *j = must_open(store);
		int n = whole_before(size);

		append_all(j, SEGMENTS);
		journal_close(j);
		ck_assert_int_eq(truncate(path, (off_t)size), 0);
		j = must_open(store);
		check_stored(j, n);
		ck_assert_uint_eq(file_size(), journal_bytes(j));
		append_all(j, SEGMENTS);
		check_stored(j, SEGMENTS);
		journal_close(j);
		ck_assert_uint_eq(file_size(), total);
		if (size == 0)
			break;
	}
}
END_TEST

/* Any byte of the last segment is not what was written: the segment is not there. */
START_TEST(rotten_at_every_byte_of_the_tail)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, NAME);
	for (size_t at = total - length[2]; at < total; at++) {
		struct journal *j = must_open(store);
		uint8_t byte;
		int fd;

		append_all(j, SEGMENTS);
		journal_close(j);
		fd = open(path, O_RDWR);
		ck_assert_int_eq(pread(fd, &byte, 1, (off_t)at), 1);
		byte ^= 0x40;
		ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
		close(fd);
		j = must_open(store);
		check_stored(j, 2);
		journal_close(j);
	}
}
END_TEST

START_TEST(same_bytes_again)
{
	struct journal *j = must_open(store);

	append_all(j, SEGMENTS);
	append_all(j, SEGMENTS);
	ck_assert_uint_eq(journal_bytes(j), total);
	journal_close(j);
	j = must_open(store);
	append_all(j, SEGMENTS);
	ck_assert_uint_eq(journal_bytes(j), total);
	journal_close(j);
}
END_TEST

START_TEST(other_bytes_are_refused)
{
	struct part parts = {0, 4096, NULL};
	struct journal *j = must_open(store);
	struct err e;
	size_t len;
	uint8_t *other = segment_make(DISK, 1, 1, &parts, 1, &len);

	append_all(j, SEGMENTS);
	ck_assert_int_eq(segment_append(j, other, len, &e), -EEXIST);
	ck_assert_uint_eq(journal_bytes(j), total);
	free(other);
	journal_close(j);
}
END_TEST

static int try_zero(struct journal *j, uint32_t number, uint64_t offset, uint64_t len)
{
	struct part part = {offset, len, NULL};
	struct err e;
	size_t bytes;
	uint8_t *s = segment_make(DISK, 1, number, &part, 1, &bytes);
	int rc = segment_append(j, s, bytes, &e);

	free(s);
	return rc;
}

START_TEST(overlaps_are_refused)
{
	/* Segment 1 holds 8192..9216 and 12288..16384, segment 2 16384..17408. */
	static const struct {
		uint64_t offset, length;
		int expect;
	} cases[] = {
		{8192, 512, -EEXIST},  {8704, 1024, -EEXIST}, {7680, 1024, -EEXIST},
		{9216, 3072, 0},       {9216, 3584, -EEXIST}, {1024, 512, 0},
		{0, 512, -EEXIST},     {512, 1024, -EEXIST},  {12288, 4096, -EEXIST},
		{17408, 512, 0},       {1024, 7168, 0},	      {1024, 65536, -EEXIST},
		{16384, 512, -EEXIST}, {0, 1 << 20, -EEXIST}, {1 << 20, 1 << 20, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* After reopening the ranges come from the file. */
		struct journal *j = must_open(store);
		char path[512];

		append_all(j, SEGMENTS);
		if (_i) {
			journal_close(j);
			j = must_open(store);
		}
		ck_assert_msg(try_zero(j, 9, cases[i].offset, cases[i].length) == cases[i].expect,
			      "case %zu", i);
		journal_close(j);
		snprintf(path, sizeof(path), "%s/%s", dir, NAME);
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

START_TEST(numbers_in_any_order)
{
	struct journal *j = must_open(store);
	uint32_t number;
	struct err e;

	ck_assert_int_eq(segment_append(j, segment[2], length[2], &e), 0);
	ck_assert(!journal_complete(j, 3, &number));
	ck_assert_uint_eq(number, 0);
	ck_assert_int_eq(segment_append(j, segment[0], length[0], &e), 0);
	ck_assert(!journal_complete(j, 3, &number));
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(segment_append(j, segment[1], length[1], &e), 0);
	ck_assert(journal_complete(j, 3, &number));
	ck_assert_int_eq(try_zero(j, JOURNAL_SEGMENTS_MAX, 1 << 20, 512), -EEXIST);
	journal_close(j);
}
END_TEST

/* The filesystem is full after any byte: what was acknowledged stays, and there is space later. */
START_TEST(full_at_every_byte)
{
	struct rlimit unlimited;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &unlimited);
	for (uint64_t size = 1; size < total; size += 7) {
		struct rlimit limited = {size, unlimited.rlim_max};
		struct journal *j = must_open(store);
		int n = whole_before(size);
		char path[512];
		struct err e;

		setrlimit(RLIMIT_FSIZE, &limited);
		append_all(j, n);
		ck_assert_int_eq(segment_append(j, segment[n], length[n], &e), -ENOSPC);
		ck_assert_uint_eq(file_size(), journal_bytes(j));
		setrlimit(RLIMIT_FSIZE, &unlimited);
		check_stored(j, n);
		append_all(j, SEGMENTS);
		journal_close(j);
		j = must_open(store);
		check_stored(j, SEGMENTS);
		journal_close(j);
		snprintf(path, sizeof(path), "%s/%s", dir, NAME);
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

START_TEST(reserve_is_kept)
{
	uint64_t space;
	struct journal *j;
	struct err e;

	ck_assert_int_eq(store_space(store, &space, &e), 0);
	ck_assert_int_eq(journal_open(store, NAME, space * 2, &j, &e), 0);
	ck_assert_int_eq(segment_append(j, segment[0], length[0], &e), -ENOSPC);
	ck_assert_uint_eq(file_size(), 0);
	journal_close(j);
}
END_TEST

/* A sync that fails takes back what it would have made durable, and only that. */
START_TEST(failed_sync)
{
	struct store *faulty = fault_store_new(store, 0, FAULT_FAIL_ONCE, -EIO, 0);
	struct journal *j = must_open(faulty);
	struct err e;

	append_all(j, 1);
	fault_store_arm(faulty, 2); /* a write, then the sync */
	ck_assert_int_eq(segment_append(j, segment[1], length[1], &e), -EIO);
	ck_assert_uint_eq(file_size(), length[0]);
	check_stored(j, 1);
	append_all(j, SEGMENTS);
	check_stored(j, SEGMENTS);
	journal_close(j);
	store = faulty; /* which owns the inner one */
	j = must_open(store);
	check_stored(j, SEGMENTS);
	journal_close(j);
}
END_TEST

/*
 * When not even the roll back works nothing is acknowledged behind garbage; when it works again, the journal goes on. The first failure is that of the
 * write, which leaves half of it, or of the sync.
 */
START_TEST(failed_roll_back)
{
	struct store *faulty = fault_store_new(store, 0, FAULT_FAIL, -EIO, 0);
	struct journal *j = must_open(faulty);
	struct err e;

	append_all(j, 1);
	fault_store_arm(faulty, _i ? 2 : 1);
	ck_assert_int_eq(segment_append(j, segment[1], length[1], &e), -EIO);
	ck_assert_uint_gt(file_size(), length[0]);
	ck_assert_int_eq(segment_append(j, segment[1], length[1], &e), -EIO);
	check_stored(j, 1);
	fault_store_arm(faulty, 0);
	/* It is shorter: garbage would show behind it. */
	ck_assert_msg(segment_append(j, segment[2], length[2], &e) == 0, "%s", e.text);
	ck_assert_uint_eq(file_size(), length[0] + length[2]);
	append_all(j, SEGMENTS);
	check_stored(j, SEGMENTS);
	journal_close(j);
	store = faulty;
	j = must_open(store);
	check_stored(j, SEGMENTS);
	journal_close(j);
}
END_TEST

/* What was cut short stays away when the appliance is started again before another segment comes. */
START_TEST(failed_roll_back_and_a_restart)
{
	struct store *faulty = fault_store_new(store, 0, FAULT_FAIL, -EIO, 0);
	struct journal *j = must_open(faulty);
	struct err e;

	append_all(j, 1);
	fault_store_arm(faulty, 1);
	ck_assert_int_eq(segment_append(j, segment[1], length[1], &e), -EIO);
	fault_store_arm(faulty, 0);
	journal_close(j);
	store = faulty;
	j = must_open(store);
	check_stored(j, 1);
	append_all(j, SEGMENTS);
	journal_close(j);
}
END_TEST

#define WRITERS 8
#define EACH 12

struct writer {
	struct journal *journal;
	uint32_t first;
	int result[EACH];
};

static void *write_some(void *arg)
{
	struct writer *w = arg;

	for (uint32_t i = 0; i < EACH; i++) {
		uint32_t number = w->first + i;

		w->result[i] = try_zero(w->journal, number, (uint64_t)number * 4096, 4096);
	}
	return NULL;
}

/* Many writers, a sync that fails in the midst: exactly what was acknowledged is there after. */
START_TEST(many_writers)
{
	struct store *faulty = fault_store_new(store, 0, FAULT_FAIL_ONCE, -EIO, 0);
	struct journal *j = must_open(faulty);
	struct writer w[WRITERS];
	pthread_t thread[WRITERS];
	int stored = 0;

	fault_store_arm(faulty, (unsigned int)(10 + _i * 13));
	for (uint32_t i = 0; i < WRITERS; i++) {
		w[i].journal = j;
		w[i].first = i * EACH;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, write_some, &w[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	journal_close(j);
	store = faulty;
	fault_store_arm(faulty, 0);
	j = must_open(store);
	for (int i = 0; i < WRITERS; i++) {
		for (int k = 0; k < EACH; k++)
			stored += w[i].result[k] == 0;
	}
	/* Every segment of zeros has the same length. */
	ck_assert_uint_eq(journal_bytes(j), (uint64_t)stored * 160);
	for (uint32_t i = 0; i < WRITERS; i++) {
		for (uint32_t k = 0; k < EACH; k++) {
			uint32_t number = w[i].first + k;
			/* Other bytes for the number: a conflict if, and only if, it is there. */
			int rc = try_zero(j, number, ((uint64_t)number + 1000) * 4096, 4096);

			ck_assert_int_eq(rc, w[i].result[k] == 0 ? -EEXIST : 0);
		}
	}
	journal_close(j);
}
END_TEST

static void *write_same(void *arg)
{
	struct writer *w = arg;

	for (uint32_t i = 0; i < EACH; i++)
		w->result[i] = try_zero(w->journal, w->first + i, (uint64_t)i * 4096, 4096);
	return NULL;
}

/* All want the same ranges, durable or not yet: each goes to one of them. */
START_TEST(writers_of_the_same)
{
	struct journal *j = must_open(store);
	struct writer w[WRITERS];
	pthread_t thread[WRITERS];

	for (uint32_t i = 0; i < WRITERS; i++) {
		w[i].journal = j;
		w[i].first = i * EACH;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, write_same, &w[i]), 0);
	}
	for (int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	for (int k = 0; k < EACH; k++) {
		int stored = 0;

		for (int i = 0; i < WRITERS; i++) {
			stored += w[i].result[k] == 0;
			ck_assert(w[i].result[k] == 0 || w[i].result[k] == -EEXIST);
		}
		ck_assert_int_eq(stored, 1);
	}
	ck_assert_uint_eq(journal_bytes(j), EACH * 160);
	journal_close(j);
}
END_TEST

/* Of blocks and of mappings; 0 where a sanitizer has the memory. */
static size_t allocated(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

START_TEST(a_large_number_takes_little)
{
	static const uint32_t numbers[] = {JOURNAL_SEGMENTS_MAX - 1, 1023, 1024, 0};
	size_t before = allocated();
	struct journal *j = must_open(store);
	struct part part = {0, 512, NULL};
	uint32_t number;
	uint8_t *s;
	size_t len;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		part.offset = i * 512;
		s = segment_make(DISK, 1, numbers[i], &part, 1, &len);
		ck_assert_msg(segment_append(j, s, len, &e) == 0, "%s", e.text);
		free(s);
	}
	ck_assert_uint_lt(allocated() - before, 256 << 10);
	ck_assert(!journal_complete(j, 4, &number));
	ck_assert_uint_eq(number, 1);
	ck_assert(!journal_complete(j, 1, &number));
	ck_assert_uint_eq(number, 1023);
	journal_close(j);
	j = must_open(store);
	ck_assert(!journal_complete(j, 0, &number));
	ck_assert_uint_eq(number, 0);
	ck_assert_uint_eq(journal_bytes(j), ARRAY_SIZE(numbers) * len);
	journal_close(j);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("journal");

	tcase_set_timeout(t, 300);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, stays_after_reopening);
	tcase_add_test(t, torn_at_every_byte);
	tcase_add_test(t, rotten_at_every_byte_of_the_tail);
	tcase_add_test(t, same_bytes_again);
	tcase_add_test(t, other_bytes_are_refused);
	tcase_add_loop_test(t, overlaps_are_refused, 0, 2);
	tcase_add_test(t, numbers_in_any_order);
	tcase_add_test(t, a_large_number_takes_little);
	tcase_add_test(t, full_at_every_byte);
	tcase_add_test(t, reserve_is_kept);
	tcase_add_test(t, failed_sync);
	tcase_add_loop_test(t, failed_roll_back, 0, 2);
	tcase_add_test(t, failed_roll_back_and_a_restart);
	tcase_add_loop_test(t, many_writers, 0, 6);
	tcase_add_test(t, writers_of_the_same);
	return run_tcase("journal", t);
}
