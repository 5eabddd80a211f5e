/* SPDX-License-Identifier: Apache-2.0 */
/* The digests of the protocol's levels against a model, what they cost in reads, and that a cache never vouches for what it does not know. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/digests.h"
#include "appliance/fold.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/digest_tree.h"
#include "tests/unit/appliance/helpers.h"

#define SIZE ((3u << 20) + 65536 + 1536)

static char *dir;
static struct home home;
static struct disk_row disk;
static struct live *live;
static uint8_t image[SIZE + 65536];

static void setup(void)
{
	struct err e;

	dir = scratch_make();
	home_make(&home, dir);
	machine_make(&home, MACHINE);
	disk_make(&home, DISK, SIZE, &disk);
	memset(image, 0, sizeof(image));
	ck_assert_int_eq(live_new(&home, &live, &e), 0);
}

static void teardown(void)
{
	live_free(live);
	home_close(&home);
	scratch_remove(dir);
}

/* As docs/protocol.md says it. */
static void model(uint64_t at, uint64_t level, uint8_t out[DIGEST_BYTES])
{
	uint64_t end = disk.size - at < level ? disk.size : at + level, below = TREE_NODE;
	uint8_t children[64 * DIGEST_BYTES];
	size_t n = 0;

	memset(out, 0, DIGEST_BYTES);
	if (level == TREE_LEAF) {
		if (!mem_is_zero(image + at, end - at))
			digest_sha256(image + at, end - at, out);
		return;
	}
	if (level == TREE_NODE)
		below = TREE_LEAF;
	for (; at < end; at += below)
		model(at, below, children + n++ * DIGEST_BYTES);
	if (!mem_is_zero(children, n * DIGEST_BYTES))
		digest_sha256(children, n * DIGEST_BYTES, out);
}

/* Every digest of every level must be the model's; returns the bytes that had to be read for them. */
static uint64_t check(void)
{
	static const uint64_t levels[] = {TREE_TOP, TREE_NODE, TREE_LEAF};
	struct live_disk *d = live_disk(live, MACHINE, DISK);
	uint8_t want[DIGEST_BYTES], got[DIGEST_BYTES];
	struct digests digests;
	uint64_t read;
	struct err e;

	/* a map that is made now */
	live_drop_map(d);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
	ck_assert_int_eq(live_read_begin(live, d, &e), 0);
	ck_assert_int_eq(digests_open(&home, d, &disk, &digests, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
		for (uint64_t at = 0; at < disk.size; at += levels[i]) {
			model(at, levels[i], want);
			ck_assert_int_eq(digests_node(&digests, at, levels[i], got, &e), 0);
			ck_assert_mem_eq(got, want, DIGEST_BYTES);
		}
	}
	read = digests.read_bytes;
	digests_close(&digests);
	pthread_rwlock_unlock(&d->lock);
	return read;
}

static void epoch(uint64_t number, uint64_t offset, uint64_t length)
{
	struct part part = {offset, length, image + offset};
	uint64_t seed = number;

	random_fill(&seed, image + offset, length);
	epoch_make(&home, &disk, number, &part, 1, true);
}

START_TEST(whole_blocks_are_never_read)
{
	/* The short block at the end is no whole one: once. */
	ck_assert_uint_eq(check(), 1536);
	ck_assert_uint_eq(check(), 0);
	epoch(1, 0, 65536);
	epoch(2, 1 << 20, 65536);
	ck_assert_uint_eq(check(), 0);
}
END_TEST

START_TEST(parts_are_read_once)
{
	struct err e;

	epoch(1, 4096, 4096);
	epoch(2, 1 << 20, 1 << 20);
	ck_assert_uint_gt(check(), 0);
	ck_assert_uint_eq(check(), 0);
	/* A newer write makes what is known of its block old, and of no other. */
	epoch(3, (1 << 20) + 512, 512);
	ck_assert_uint_eq(check(), 65536);
	ck_assert_uint_eq(check(), 0);
	for (uint64_t target = 1; target <= 3; target++) {
		ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
		ck_assert_int_eq(fold_disk(home.catalog, home.store, &disk, target, NULL, &e), 0);
		/* The short block is the base's now, from an epoch that is not known. */
		ck_assert_uint_le(check(), 1536);
		ck_assert_uint_eq(check(), 0);
	}
}
END_TEST

/* What was known of the short block is old when a journal that nobody asked about became part of the base. */
START_TEST(a_fold_makes_the_short_block_unknown)
{
	struct err e;

	epoch(1, 0, 65536);
	check();
	epoch(2, (3 << 20) + 65536, 512);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
	ck_assert_int_eq(fold_disk(home.catalog, home.store, &disk, 2, NULL, &e), 0);
	ck_assert_uint_eq(check(), 1536);
	ck_assert_uint_eq(check(), 0);
}
END_TEST

START_TEST(the_keeper_reads_ahead)
{
	struct live_disk *d = live_disk(live, MACHINE, DISK);
	struct digests digests;
	uint64_t offset = 0;
	unsigned int rounds = 0;
	struct err e;

	epoch(1, 4096, 4096);
	epoch(2, 2 << 20, 512);
	epoch(3, (3 << 20) + 65536, 512);
	ck_assert_int_eq(live_read_begin(live, d, &e), 0);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
	ck_assert_int_eq(digests_open(&home, d, &disk, &digests, &e), 0);
	for (; offset < disk.size; rounds++)
		ck_assert_int_eq(digests_fill(&digests, &offset, 1, &e), 0);
	ck_assert_uint_eq(digests.read_bytes, 2 * 65536 + 1536);
	ck_assert_uint_ge(rounds, 3);
	digests_close(&digests);
	pthread_rwlock_unlock(&d->lock);
	ck_assert_uint_eq(check(), 0);
}
END_TEST

/* Whole blocks of a journal are known and still looked at: they count as well, so that nobody waits for all of them. */
START_TEST(the_keeper_comes_to_an_end)
{
	struct live_disk *d = live_disk(live, MACHINE, DISK);
	struct part parts[41];
	struct digests digests;
	uint64_t offset = 0;
	struct err e;

	random_fill(&(uint64_t){1}, image, 40 * 65536);
	for (size_t i = 0; i < 40; i++)
		parts[i] = (struct part){i * 65536, i == 20 ? 512 : 65536, image + i * 65536};
	parts[40] = (struct part){41 * 65536, 8 * 65536, NULL};
	epoch_make(&home, &disk, 1, parts, ARRAY_SIZE(parts), true);
	ck_assert_int_eq(live_read_begin(live, d, &e), 0);
	ck_assert_int_eq(digests_open(&home, d, &disk, &digests, &e), 0);
	ck_assert_int_eq(digests_fill(&digests, &offset, 8, &e), 0);
	ck_assert_uint_eq(offset, 8 * 65536);
	ck_assert_int_eq(digests_fill(&digests, &offset, 12 + DIGESTS_COMPUTED, &e), 0);
	ck_assert_uint_eq(offset, 21 * 65536);
	ck_assert_uint_eq(digests.read_bytes, 65536);
	/* A run of zeros is one look. */
	ck_assert_int_eq(digests_fill(&digests, &offset, 20, &e), 0);
	ck_assert_uint_eq(offset, 49 * 65536);
	ck_assert_int_eq(digests_fill(&digests, &offset, 1, &e), 0);
	ck_assert_uint_eq(offset, disk.size);
	digests_close(&digests);
	pthread_rwlock_unlock(&d->lock);
}
END_TEST

/* Flip a byte of the cache's entry of a block. */
static void rot(uint64_t block, off_t in)
{
	char path[512], name[STORE_NAME_MAX];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name_digest_cache(name, MACHINE, DISK));
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)(block * 48) + in), 1);
	byte ^= 0x40;
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)(block * 48) + in), 1);
	close(fd);
}

START_TEST(a_torn_entry_is_none)
{
	static const off_t fields[] = {0, 8, 16};

	epoch(1, 4096, 4096);
	check();
	rot(0, fields[_i]);
	ck_assert_uint_eq(check(), 65536);
	ck_assert_uint_eq(check(), 0);
}
END_TEST

START_TEST(a_disk_that_grew_has_another_last_block)
{
	struct err e;

	epoch(1, (3 << 20) + 65536, 1024);
	check();
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
	disk.size = SIZE + 4096;
	ck_assert_int_eq(catalog_disk_put(home.catalog, &disk, &e), 0);
	ck_assert_uint_gt(check(), 0);
	ck_assert_uint_eq(check(), 0);
}
END_TEST

/* What verify found damaged is read, whatever the cache has; a journal that is gone has no digests. */
START_TEST(damage_is_not_vouched_for)
{
	struct live_disk *d = live_disk(live, MACHINE, DISK);
	char path[512], name[STORE_NAME_MAX];
	uint8_t got[DIGEST_BYTES];
	struct damage_row known = {4096, 512};
	struct digests digests;
	struct err e;

	epoch(1, 4096, 4096);
	check();
	ck_assert_int_eq(catalog_damage_add(home.catalog, DISK, 4096, 512, &e), 0);
	ck_assert_uint_ge(check(), 65536);
	ck_assert_int_eq(catalog_damage_forget(home.catalog, DISK, &known, 1, &e), 0);
	ck_assert_uint_eq(check(), 0);
	snprintf(path, sizeof(path), "%s/%s", dir, name_journal(name, MACHINE, DISK, 1));
	ck_assert_int_eq(truncate(path, 100), 0);
	snprintf(path, sizeof(path), "%s/%s", dir, name_index(name, MACHINE, DISK, 1));
	ck_assert_int_eq(unlink(path), 0);
	live_drop_map(d);
	ck_assert_int_eq(live_read_begin(live, d, &e), 0);
	ck_assert_int_eq(digests_open(&home, d, &disk, &digests, &e), 0);
	ck_assert_int_eq(digests_node(&digests, 0, TREE_LEAF, got, &e), 0);
	ck_assert(digest_is_damaged(got));
	ck_assert_int_eq(digests_node(&digests, 0, TREE_TOP, got, &e), 0);
	ck_assert(digest_is_damaged(got));
	digests_close(&digests);
	pthread_rwlock_unlock(&d->lock);
}
END_TEST

/* A block that cannot be read has to be sent again: the query is answered, and nothing of that is remembered. */
START_TEST(what_cannot_be_read_is_asked_for)
{
	struct live_disk *d = live_disk(live, MACHINE, DISK);
	char name[STORE_NAME_MAX];
	uint8_t got[DIGEST_BYTES];
	struct digests digests;
	uint64_t offset = 0;
	struct err e;

	epoch(1, 0, 65536);
	epoch(2, 65536 + 4096, 4096);
	home.store = fault_store_new(home.store, 0, FAULT_FAIL, 0, 0);
	/* of 1, whose digest is stored, the index; of 2 the content */
	fault_store_deny(home.store,
			 _i ? name_journal(name, MACHINE, DISK, 2)
			    : name_index(name, MACHINE, DISK, 1),
			 64, _i ? 65536 : 64);
	live_drop_map(d);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
	ck_assert_int_eq(live_read_begin(live, d, &e), 0);
	ck_assert_int_eq(digests_open(&home, d, &disk, &digests, &e), 0);
	ck_assert_int_eq(digests_node(&digests, _i ? 65536 : 0, TREE_LEAF, got, &e), 0);
	ck_assert(digest_is_damaged(got));
	ck_assert_int_eq(digests_fill(&digests, &offset, 256, &e), 0);
	digests_close(&digests);
	pthread_rwlock_unlock(&d->lock);
	fault_store_deny(home.store, NULL, 0, 0);
	ck_assert_uint_ge(check(), _i ? 65536 : 0);
}
END_TEST

/* What is left of a full store is for folds: the cache takes nothing of it, and gives what it has. */
START_TEST(a_full_store_remembers_nothing)
{
	char path[512], name[STORE_NAME_MAX];
	struct store *s = fault_store_new(home.store, 0, FAULT_FAIL, 0, 0);

	home.store = s;
	epoch(1, 4096, 4096);
	snprintf(path, sizeof(path), "%s/%s", dir, name_digest_cache(name, MACHINE, DISK));
	fault_store_space(s, home.config.reserve);
	ck_assert_uint_gt(check(), 0);
	ck_assert_uint_gt(check(), 0);
	ck_assert_int_ne(access(path, F_OK), 0);
	fault_store_space(s, home.config.reserve + 1);
	ck_assert_uint_gt(check(), 0);
	fault_store_space(s, home.config.reserve);
	ck_assert_uint_eq(check(), 0);
	epoch(2, 1 << 20, 4096);
	ck_assert_uint_gt(check(), 0);
	ck_assert_uint_gt(check(), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("digests");

	tcase_set_timeout(t, 300);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, whole_blocks_are_never_read);
	tcase_add_test(t, parts_are_read_once);
	tcase_add_test(t, a_fold_makes_the_short_block_unknown);
	tcase_add_test(t, the_keeper_reads_ahead);
	tcase_add_test(t, the_keeper_comes_to_an_end);
	tcase_add_test(t, a_full_store_remembers_nothing);
	tcase_add_loop_test(t, a_torn_entry_is_none, 0, 3);
	tcase_add_test(t, a_disk_that_grew_has_another_last_block);
	tcase_add_test(t, damage_is_not_vouched_for);
	tcase_add_loop_test(t, what_cannot_be_read_is_asked_for, 0, 2);
	return run_tcase("digests", t);
}
