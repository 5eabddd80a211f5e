/* SPDX-License-Identifier: Apache-2.0 */
/* The maps that are kept in memory: what they take together, which of them go, and how they follow commits. */
/* wraps: index_walk */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/live.h"
#include "lib/cleanup.h"
#include "tests/unit/appliance/helpers.h"

#define DISKS 4
#define SIZE (1ull << 24)
#define PARTS 200
#define PIECE (sizeof(struct piece))
#define MAP_BYTES ((PARTS + 1) * PIECE) /* of a disk with one epoch */

int __real_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e);
int __wrap_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e);

static __thread bool slow; /* this thread's maps take until go_on to make */
static sem_t making, go_on;

static char *dir;
static struct home home;
static struct live *live;
static struct disk_row row[DISKS];
static uint64_t epoch;

int __wrap_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e)
{
	if (slow) {
		slow = false;
		sem_post(&making);
		sem_wait(&go_on);
	}
	return __real_index_walk(of, fn, arg, e);
}

/* Zeros apart from each other: a piece of the map each. */
static void write_from(int disk, uint64_t offset, size_t count)
{
	static struct part parts[PARTS];

	for (size_t i = 0; i < count; i++)
		parts[i] = (struct part){offset + i * 8192, 4096, NULL};
	epoch_make(&home, &row[disk], ++epoch, parts, count, false);
}

static void write_some(int disk)
{
	write_from(disk, 0, PARTS);
}

static struct live_disk *entry(int disk)
{
	return live_disk(live, MACHINE, row[disk].id);
}

static void setup(void)
{
	char id[UUID_TEXT_BYTES];
	struct err e;

	dir = scratch_make();
	home_make(&home, dir);
	machine_make(&home, MACHINE);
	ck_assert_int_eq(live_new(&home, &live, &e), 0);
	epoch = 0;
	for (int i = 0; i < DISKS; i++) {
		strcpy(id, DISK);
		id[strlen(id) - 1] = (char)('1' + i);
		disk_make(&home, id, SIZE, &row[i]);
		write_some(i);
	}
}

static void teardown(void)
{
	live_free(live);
	home_close(&home);
	scratch_remove(dir);
}

static void begin(int disk)
{
	struct err e;

	ck_assert_msg(live_read_begin(live, entry(disk), &e) == 0, "%s", e.text);
}

static void end(int disk)
{
	pthread_rwlock_unlock(&entry(disk)->lock);
}

static void read_one(int disk)
{
	begin(disk);
	end(disk);
}

static void expect_mapped(bool a, bool b, bool c, bool d)
{
	const bool expected[DISKS] = {a, b, c, d};
	uint64_t sum = 0;

	for (int i = 0; i < DISKS; i++) {
		ck_assert_msg(live_mapped(entry(i)) == expected[i], "disk %d", i);
		sum += atomic_load(&entry(i)->map_bytes);
	}
	ck_assert_uint_eq(live_map_bytes(live), sum);
}

START_TEST(who_was_not_used_for_longest_goes)
{
	home.config.map_memory = 2 * MAP_BYTES;
	ck_assert_uint_eq(live_map_bytes(live), 0);
	read_one(0);
	ck_assert_uint_eq(live_map_bytes(live), MAP_BYTES);
	read_one(1);
	expect_mapped(true, true, false, false);
	read_one(0);
	read_one(2);
	expect_mapped(true, false, true, false);
	read_one(3);
	expect_mapped(false, false, true, true);
	/* What went comes back. */
	read_one(1);
	expect_mapped(false, true, false, true);
	live_trim(live, 0);
	expect_mapped(false, false, false, false);
	ck_assert_uint_eq(live_map_bytes(live), 0);
}
END_TEST

START_TEST(what_is_being_read_stays)
{
	home.config.map_memory = MAP_BYTES;
	begin(0);
	read_one(1);
	/* Both in use meanwhile: the bound has to wait. */
	expect_mapped(true, true, false, false);
	begin(2);
	expect_mapped(true, false, true, false);
	end(0);
	end(2);
	read_one(3);
	expect_mapped(false, false, false, true);
}
END_TEST

START_TEST(one_alone_may_be_larger_than_the_bound)
{
	home.config.map_memory = MAP_BYTES / 2;
	read_one(0);
	expect_mapped(true, false, false, false);
	read_one(1);
	expect_mapped(false, true, false, false);
	ck_assert_uint_eq(live_map_bytes(live), MAP_BYTES);
}
END_TEST

static void commit_from(int disk, uint64_t offset, size_t count)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	struct err e;
	int n;

	write_from(disk, offset, count);
	n = catalog_journals(home.catalog, row[disk].id, UINT64_MAX, &journals, &e);
	ck_assert_int_gt(n, 1);
	live_committed(entry(disk), &journals[n - 1]);
}

static void commit_more(int disk)
{
	commit_from(disk, 0, PARTS);
}

START_TEST(a_map_that_grows_counts)
{
	home.config.map_memory = 2 * MAP_BYTES + MAP_BYTES / 2;
	read_one(0);
	read_one(1);
	/* The same ranges again: newer pieces in place of older ones. */
	commit_more(1);
	expect_mapped(true, true, false, false);
	ck_assert_uint_eq(live_map_bytes(live), 2 * MAP_BYTES);
	/* The third epoch has a level of its own, until there is a fourth. */
	commit_more(1);
	expect_mapped(false, true, false, false);
	ck_assert_uint_eq(live_map_bytes(live), 2 * MAP_BYTES);
	/* Folded: the base has all of it. */
	pthread_rwlock_wrlock(&entry(1)->lock);
	live_folded(entry(1), epoch);
	pthread_rwlock_unlock(&entry(1)->lock);
	ck_assert_uint_eq(live_map_bytes(live), 2 * PIECE);
	/* A commit of a disk without a map makes none. */
	commit_more(2);
	expect_mapped(false, true, false, false);
}
END_TEST

static void *read_often(void *arg)
{
	const int *first = arg;
	struct err e;

	for (int i = 0; i < 300; i++) {
		struct live_disk *d = entry((*first + i) % DISKS);
		struct piece p;
		uint64_t n;

		if (live_read_begin(live, d, &e) < 0)
			return NULL;
		if (!map_find(&d->image.map, 8192, SIZE - 8192, &p, &n))
			return NULL;
		pthread_rwlock_unlock(&d->lock);
	}
	return arg;
}

/* More in use than there is room for, all the time: everybody gets on, and in the end the bound holds. */
START_TEST(many_readers)
{
	int first[2 * DISKS];
	pthread_t thread[2 * DISKS];
	void *result;

	home.config.map_memory = MAP_BYTES;
	for (int i = 0; i < 2 * DISKS; i++) {
		first[i] = i % DISKS;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, read_often, &first[i]), 0);
	}
	for (int i = 0; i < 2 * DISKS; i++) {
		pthread_join(thread[i], &result);
		ck_assert_ptr_nonnull(result);
	}
	for (int i = 0; i < DISKS; i++)
		read_one(i);
	live_drop_map(entry(0));
	read_one(0);
	ck_assert_uint_eq(live_map_bytes(live), MAP_BYTES);
}
END_TEST

/* Whose is this byte, as readers see it? 0: the base's. */
static uint64_t epoch_at(int disk, uint64_t offset)
{
	struct piece p;
	uint64_t n;

	return map_find(&entry(disk)->image.map, offset, 512, &p, &n) ? p.epoch : 0;
}

static void *read_slowly(void *arg)
{
	slow = true;
	begin(0);
	*(uint64_t *)arg = epoch_at(0, 4096);
	end(0);
	return NULL;
}

/* Making a map takes minutes where there are many epochs: commits go on, and who waits for the map sees them. */
START_TEST(commits_do_not_wait_for_a_map)
{
	pthread_t thread;
	uint64_t seen;

	sem_init(&making, 0, 0);
	sem_init(&go_on, 0, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_slowly, &seen), 0);
	sem_wait(&making);
	alarm(20);
	commit_from(0, 4096, PARTS);
	commit_more(0);
	alarm(0);
	sem_post(&go_on);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(seen, epoch - 1);
	begin(0);
	ck_assert_uint_eq(epoch_at(0, 0), epoch);
	end(0);
	ck_assert_uint_eq(entry(0)->map_epoch, epoch);
}
END_TEST

/* Nor for a reader; and what it let pass is added before what comes later. */
START_TEST(commits_do_not_wait_for_a_reader)
{
	begin(0);
	alarm(20);
	commit_from(0, 4096, PARTS);
	alarm(0);
	ck_assert_uint_eq(epoch_at(0, 4096), 0);
	end(0);
	commit_more(0);
	begin(0);
	ck_assert_uint_eq(epoch_at(0, 4096), epoch - 1);
	ck_assert_uint_eq(epoch_at(0, 0), epoch);
	end(0);
	/* Once it has followed, it does so at once again. */
	commit_more(0);
	ck_assert_uint_eq(entry(0)->map_epoch, epoch);
}
END_TEST

static _Atomic uint64_t committed;
static _Atomic bool done;

static void *read_committed(void *arg)
{
	while (!atomic_load(&done)) {
		uint64_t least = atomic_load(&committed);
		struct err e;

		if (live_read_begin(live, entry(0), &e) < 0 || entry(0)->map_epoch < least)
			return NULL;
		pthread_rwlock_unlock(&entry(0)->lock);
		/* Sometimes there is none, and it is made while commits come. */
		if (least % 8 == 0)
			live_drop_map(entry(0));
		usleep(1000);
	}
	return arg;
}

/* Who begins to read after a commit sees it, whoever was in the way of the map. */
START_TEST(readers_see_what_was_committed)
{
	pthread_t thread[3];
	void *result;

	atomic_store(&committed, 0);
	atomic_store(&done, false);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, read_committed, &done), 0);
	for (int i = 0; i < 60; i++) {
		commit_from(0, 0, 2);
		atomic_store(&committed, epoch);
	}
	atomic_store(&done, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(thread[i], &result);
		ck_assert_ptr_nonnull(result);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("live");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, who_was_not_used_for_longest_goes);
	tcase_add_test(t, what_is_being_read_stays);
	tcase_add_test(t, one_alone_may_be_larger_than_the_bound);
	tcase_add_test(t, a_map_that_grows_counts);
	tcase_add_test(t, many_readers);
	tcase_add_test(t, commits_do_not_wait_for_a_map);
	tcase_add_test(t, commits_do_not_wait_for_a_reader);
	tcase_add_test(t, readers_see_what_was_committed);
	return run_tcase("live", t);
}
