/* SPDX-License-Identifier: Apache-2.0 */
/* The maps that are kept in memory: what they take together, and which of them go. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/live.h"
#include "lib/cleanup.h"
#include "tests/unit/appliance/helpers.h"

#define DISKS 4
#define SIZE (1ull << 24)
#define PARTS 200
#define PIECE (sizeof(struct piece))
#define MAP_BYTES ((PARTS + 1) * PIECE) /* of a disk with one epoch */

static char *dir;
static struct home home;
static struct live *live;
static struct disk_row row[DISKS];
static uint64_t epoch;

/* Zeros apart from each other: a piece of the map each. */
static void write_some(int disk)
{
	static struct part parts[PARTS];

	for (int i = 0; i < PARTS; i++)
		parts[i] = (struct part){(uint64_t)i * 8192, 4096, NULL};
	epoch_make(&home, &row[disk], ++epoch, parts, PARTS, false);
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

static void commit_more(int disk)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	struct err e;
	int n;

	write_some(disk);
	n = catalog_journals(home.catalog, row[disk].id, UINT64_MAX, &journals, &e);
	ck_assert_int_gt(n, 1);
	live_committed(entry(disk), &journals[n - 1]);
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
	return run_tcase("live", t);
}
