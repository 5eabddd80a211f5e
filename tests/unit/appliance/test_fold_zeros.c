/* SPDX-License-Identifier: Apache-2.0 */
/* Folding zeros over zeros: a disk may be longer than anything that is in it. */
#include <errno.h>
#include <sys/stat.h>

#include "appliance/names.h"
#include "lib/cleanup.h"
#include "tests/unit/appliance/fold_world.h"

#define HUGE_DISK (1ull << 50)

static void huge_make(struct world *w)
{
	*w = (struct world){.dir = scratch_make()};
	home_make(&w->home, w->dir);
	machine_make(&w->home, MACHINE);
	disk_make(&w->home, DISK, HUGE_DISK, &w->disk);
}

static struct stat stat_of(struct world *w, const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	ck_assert_int_eq(stat(path, &st), 0);
	return st;
}

/* A disk of zeros costs nothing, however long it is; what the base had elsewhere becomes zeros, once. */
START_TEST(zeros_over_zeros)
{
	static uint8_t block[65536];
	struct part zeros = {0, HUGE_DISK, NULL};
	struct part some[] = {{3 * 65536, sizeof(block), block}, {1ull << 40, 512, block}};
	struct base_of of = {NULL, MACHINE, DISK, HUGE_DISK, 3};
	char name[STORE_NAME_MAX];
	struct world w;
	struct store *s;
	struct base b;
	struct err e;
	uint64_t seed = 3;

	huge_make(&w);
	of.store = w.home.store;
	random_fill(&seed, block, sizeof(block));
	epoch_make(&w.home, &w.disk, 1, &zeros, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
	ck_assert_int_eq(stat_of(&w, name_base(name, MACHINE, DISK)).st_size, 0);
	ck_assert_int_eq(stat_of(&w, name_base_digests(name, MACHINE, DISK)).st_size, 0);
	epoch_make(&w.home, &w.disk, 2, some, ARRAY_SIZE(some), true);
	ck_assert_int_eq(fold(&w, w.home.store, 2, &e), 0);
	epoch_make(&w.home, &w.disk, 3, &zeros, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 3, &e), 0);
	ck_assert_int_eq(stat_of(&w, name_base(name, MACHINE, DISK)).st_blocks, 0);
	ck_assert_int_eq(base_open(&of, false, &b, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		ck_assert_int_eq(base_digest(&b, some[i].offset / BASE_BLOCK, block, &e), 0);
		ck_assert(base_digest_is_zero(block));
	}
	base_close(&b);
	epoch_make(&w.home, &w.disk, 4, &zeros, 1, true);
	s = fault_store_new(w.home.store, 0, FAULT_FAIL, 0, 0);
	w.home.store = s;
	ck_assert_int_eq(fold(&w, s, 4, &e), 0);
	/* the note of the epoch, written and made durable, and the removal of the journal and its index */
	ck_assert_uint_eq(fault_store_calls(s), 4);
	refresh(&w);
	ck_assert_uint_eq(w.disk.base_epoch, 4);
	world_remove(&w);
}
END_TEST

/* Killed after a hole was made and before it was durable: whoever finds the hole and goes on sees to it that it stays. */
START_TEST(holes_of_a_killed_fold_are_made_durable)
{
	static uint8_t block[65536];
	struct part data = {0, sizeof(block), block}, zeros = {0, sizeof(block), NULL};
	uint64_t seed = 8;
	struct world w;
	struct store *s;
	struct err e;

	empty_world(&w);
	random_fill(&seed, block, sizeof(block));
	epoch_make(&w.home, &w.disk, 1, &data, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
	epoch_make(&w.home, &w.disk, 2, &zeros, 1, true);
	/* the digest, its sync, the hole, and its sync, which does not come */
	s = fault_store_new(w.home.store, 4, FAULT_FAIL, -EIO, 0);
	w.home.store = s;
	ck_assert_int_eq(fold(&w, s, 2, &e), -EIO);
	fault_store_arm(s, 1);
	refresh(&w);
	ck_assert(w.disk.fold_active);
	ck_assert_int_eq(fold_recover(w.home.catalog, s, &w.disk, &e), -EIO);
	ck_assert_int_eq(fold(&w, s, 2, &e), -EIO);
	fault_store_arm(s, 0);
	ck_assert_int_eq(fold(&w, s, 2, &e), 0);
	world_remove(&w);
}
END_TEST

static bool second_time(void *arg)
{
	return ++*(int *)arg == 2;
}

/* Where every block has to be looked at, whoever waits has a turn in between. */
START_TEST(looking_for_blocks_stops)
{
	static const uint8_t no_digests[3 * 65536 * DIGEST_BYTES];
	struct part zeros = {0, HUGE_DISK, NULL};
	char name[STORE_NAME_MAX];
	struct fold_hooks stopping = hooks;
	struct store_object *o;
	struct world w;
	struct err e;
	int asked = 0;

	huge_make(&w);
	epoch_make(&w.home, &w.disk, 1, &zeros, 1, true);
	ck_assert_int_eq(store_open(w.home.store, name_base_digests(name, MACHINE, DISK),
				    STORE_WRITE | STORE_CREATE, &o, &e),
			 0);
	ck_assert_int_eq(store_write(o, no_digests, sizeof(no_digests), 0, &e), 0);
	store_close(o);
	stopping.stop = second_time;
	stopping.arg = &asked;
	refresh(&w);
	ck_assert_int_eq(fold_disk(w.home.catalog, w.home.store, &w.disk, 1, &stopping, &e),
			 -EAGAIN);
	refresh(&w);
	ck_assert_uint_eq(w.disk.fold_block, 65536);
	ck_assert_uint_eq(w.disk.base_epoch, 0);
	ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
	refresh(&w);
	ck_assert_uint_eq(w.disk.base_epoch, 1);
	world_remove(&w);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("fold_zeros");

	tcase_set_timeout(t, 300);
	tcase_add_test(t, zeros_over_zeros);
	tcase_add_test(t, holes_of_a_killed_fold_are_made_durable);
	tcase_add_test(t, looking_for_blocks_stops);
	return run_tcase("fold_zeros", t);
}
