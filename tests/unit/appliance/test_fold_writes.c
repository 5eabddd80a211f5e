/* SPDX-License-Identifier: Apache-2.0 */
/* Folding into a base that cannot be written, for a while or for good: readers do not wait for it, and find nothing that is half-written. */
/* wraps: map_collapse */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/base.h"
#include "appliance/lease.h"
#include "appliance/names.h"
#include "tests/unit/appliance/fold_world.h"

int __real_map_collapse(struct map *m);
int __wrap_map_collapse(struct map *m);

static bool no_memory; /* for one map of a whole disk */

int __wrap_map_collapse(struct map *m)
{
	return no_memory ? -ENOMEM : __real_map_collapse(m);
}

/* The world on a store that fails on demand. */
static struct store *faulty(struct world *w, uint64_t seed)
{
	world_make(w, seed);
	w->home.store = fault_store_new(w->home.store, 0, FAULT_FAIL, -EIO, 0);
	return w->home.store;
}

static void take_lease(struct world *w)
{
	struct lease lease;
	struct err e;

	ck_assert_msg(lease_take(&w->home, MACHINE, &lease, &e) == 0, "%s", e.text);
	lease_drop(&lease);
}

/* Too large an image, no space, a quota: found out before anything is written. */
START_TEST(an_image_that_cannot_grow)
{
	static const int errors[] = {-EFBIG, -ENOSPC, -EDQUOT};
	char name[STORE_NAME_MAX];
	struct world w;
	struct store *s = faulty(&w, (uint64_t)_i);
	struct err e;

	fault_store_refuse(s, name_base(name, MACHINE, DISK), errors[_i]);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(fold(&w, s, TARGET, &e), errors[_i]);
		refresh(&w);
		ck_assert(!w.disk.fold_active);
		take_lease(&w);
		check_epochs(&w, 1);
		ck_assert_int_eq(fold_recover(w.home.catalog, s, &w.disk, &e), 0);
	}
	fault_store_refuse(s, NULL, 0);
	ck_assert_msg(fold(&w, s, TARGET, &e) == 0, "%s", e.text);
	check_epochs(&w, TARGET);
	check_base_digests(&w, false);
	world_remove(&w);
}
END_TEST

static bool at_once(void *arg)
{
	(void)arg;
	return true;
}

/* What keeps a fold from going on after a batch that failed half-way. */
static int go_on(struct world *w, struct store *s, int how, struct err *e)
{
	struct fold_hooks stopping = hooks;
	uint64_t lease;
	int rc;

	if (how) {
		stopping.stop = at_once;
		return fold_disk(w->home.catalog, s, &w->disk, TARGET, &stopping, e);
	}
	ck_assert_int_eq(catalog_lease_take(w->home.catalog, MACHINE, UINT64_MAX / 4, &lease, e),
			 0);
	rc = fold_disk(w->home.catalog, s, &w->disk, TARGET, &hooks, e);
	ck_assert_int_eq(catalog_lease_drop(w->home.catalog, lease, NULL), 0);
	return rc;
}

/* A batch that failed half-way is whole before anybody reads again. */
START_TEST(half_a_batch_is_made_whole_first)
{
	unsigned int calls = 1;

	for (unsigned int at = 1; at <= calls; at++) {
		struct world w;
		struct store *s = faulty(&w, 20);
		struct err e;
		int rc;

		ck_assert_int_eq(fold(&w, s, 2, &e), 0);
		fault_store_arm(s, at);
		rc = fold(&w, s, TARGET, &e);
		calls = rc ? at + 1 : 0;
		ck_assert(rc == 0 || rc == -EIO);
		fault_store_arm(s, 0);
		refresh(&w);
		rc = w.disk.base_epoch < TARGET ? go_on(&w, s, _i, &e) : -EAGAIN;
		ck_assert_int_eq(rc, -EAGAIN);
		refresh(&w);
		ck_assert(!w.disk.fold_active);
		check_epochs(&w, TARGET);
		ck_assert_int_eq(fold(&w, s, TARGET, &e), 0);
		check_epochs(&w, TARGET);
		check_base_digests(&w, false);
		world_remove(&w);
	}
}
END_TEST

/* A write that fails again and again in the middle of a batch: who wants to read waits for the second attempt, whoever makes that. */
START_TEST(a_batch_that_is_never_whole)
{
	char name[STORE_NAME_MAX];
	uint8_t *got = malloc(SIZE);
	struct world w;
	struct store *s = faulty(&w, 20);
	struct err e;

	ck_assert_int_eq(fold(&w, s, 2, &e), 0);
	for (int i = 0; i < 3; i++) {
		fault_store_refuse(s, name_base(name, MACHINE, DISK), -EDQUOT);
		ck_assert_int_eq(fold(&w, s, TARGET, &e), -EDQUOT);
		refresh(&w);
		ck_assert(w.disk.fold_active);
		if (_i)
			take_lease(&w);
		else
			ck_assert_int_eq(fold(&w, s, TARGET, &e), -EDQUOT);
		refresh(&w);
		ck_assert(!w.disk.fold_active);
		/* Right, or refused; never wrong. */
		if (read_epoch(&w, EPOCHS, got, &e) == 0)
			ck_assert_mem_eq(got, w.images[EPOCHS], SIZE);
	}
	fault_store_refuse(s, NULL, 0);
	ck_assert_msg(fold(&w, s, TARGET, &e) == 0, "%s", e.text);
	check_epochs(&w, TARGET);
	check_base_digests(&w, false);
	free(got);
	world_remove(&w);
}
END_TEST

static bool after_some(void *arg)
{
	return --*(int *)arg < 0;
}

/* Pieces of blocks: epoch 1 has those of the first five, which 2 to 4 write over in part, and in four more. */
static struct store *overlapping(struct world *w)
{
	uint64_t seed = 9;

	empty_world(w);
	w->images[0] = calloc(1, SIZE);
	for (uint64_t i = 1; i <= EPOCHS; i++) {
		struct part parts[9];
		size_t n = i == 1 ? 5 : 9;

		w->images[i] = malloc(SIZE);
		memcpy(w->images[i], w->images[i - 1], SIZE);
		for (size_t k = 0; k < n; k++) {
			parts[k].offset = k * BASE_BLOCK + i * 512;
			parts[k].length = 1024;
			parts[k].data = w->images[i] + parts[k].offset;
			random_fill(&seed, w->images[i] + parts[k].offset, 1024);
		}
		epoch_make(&w->home, &w->disk, i, parts, n, true);
	}
	w->home.store = fault_store_new(w->home.store, 0, FAULT_FAIL, -EIO, 0);
	return w->home.store;
}

/*
 * A fold that has written some batches and has no space for the rest ends at an earlier target, which may fail at any step. The points from its first target
 * on are what they were all the time.
 */
START_TEST(an_earlier_target)
{
	bool done = false;

	for (unsigned int at = 1; !done; at++) {
		struct fold_hooks stopping = hooks;
		int left = 1 + _i, rc;
		struct world w;
		struct store *s = overlapping(&w);
		struct err e;

		ck_assert_uint_lt(at, 100);
		stopping.stop = after_some;
		stopping.arg = &left;
		ck_assert_int_eq(fold_disk(w.home.catalog, s, &w.disk, TARGET, &stopping, &e),
				 -EAGAIN);
		/* for two blocks, which is what epoch 1 needs at most, and the others do not have enough in */
		fault_store_space(s, 712 << 10);
		ck_assert_int_eq(fold(&w, s, TARGET, &e), -ENOSPC);
		check_epochs(&w, TARGET);
		fault_store_arm(s, at);
		rc = fold(&w, s, 1, &e);
		done = rc == 0;
		ck_assert_msg(done || rc == -EIO || rc == -ENOSPC, "%s", e.text);
		fault_store_arm(s, 0);
		refresh(&w);
		ck_assert(!done || w.disk.base_epoch == 1);
		ck_assert_int_eq(fold_recover(w.home.catalog, s, &w.disk, &e), 0);
		check_epochs(&w, TARGET);
		fault_store_space(s, 0);
		ck_assert_int_eq(fold(&w, s, TARGET, &e), 0);
		check_epochs(&w, TARGET);
		check_base_digests(&w, false);
		world_remove(&w);
	}
}
END_TEST

/* Whoever asked can tell why. */
START_TEST(no_memory_for_a_map)
{
	struct err e = {.text = "nobody said anything"};
	struct world w;

	world_make(&w, 5);
	no_memory = true;
	ck_assert_int_eq(fold(&w, w.home.store, TARGET, &e), -ENOMEM);
	ck_assert_int_eq(e.code, -ENOMEM);
	ck_assert_ptr_nonnull(strstr(e.text, "out of memory"));
	no_memory = false;
	ck_assert_int_eq(fold(&w, w.home.store, TARGET, &e), 0);
	check_epochs(&w, TARGET);
	world_remove(&w);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("fold_writes");

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, an_image_that_cannot_grow, 0, 3);
	tcase_add_loop_test(t, half_a_batch_is_made_whole_first, 0, 2);
	tcase_add_loop_test(t, a_batch_that_is_never_whole, 0, 2);
	tcase_add_loop_test(t, an_earlier_target, 0, 2);
	tcase_add_test(t, no_memory_for_a_map);
	return run_tcase("fold_writes", t);
}
