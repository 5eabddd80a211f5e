/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folding: points read the same before, during and after; killed or without power at every step it ends in the same bytes; damage stays damage.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "appliance/lease.h"
#include "appliance/names.h"
#include "appliance/point.h"
#include "lib/cleanup.h"
#include "tests/unit/appliance/fold_world.h"

START_TEST(points_read_the_same_after)
{
	struct world w;
	struct err e;
	char name[STORE_NAME_MAX];
	struct store_object *o;

	world_make(&w, (uint64_t)_i);
	check_epochs(&w, 1);
	for (uint64_t target = 1; target <= EPOCHS; target++) {
		ck_assert_msg(fold(&w, w.home.store, target, &e) == 0, "%s", e.text);
		check_epochs(&w, target);
		check_base_digests(&w, false);
		ck_assert_uint_eq(w.disk.base_epoch, target);
		ck_assert_int_eq(store_open(w.home.store, name_journal(name, MACHINE, DISK, target),
					    STORE_READ, &o, &e),
				 -ENOENT);
	}
	world_remove(&w);
}
END_TEST

/* Fold in a child that dies at the given call; true when it came to its end first. */
static bool fold_and_die(struct world *w, unsigned int at, enum fault how)
{
	int status;
	pid_t child;

	home_close(&w->home);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct store *s;
		struct err e;

		home_make(&w->home, w->dir);
		s = fault_store_new(w->home.store, at, how, 0, at);
		_exit(fold(w, s, TARGET, &e) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	home_make(&w->home, w->dir);
	ck_assert(WIFEXITED(status));
	ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 42);
	return WEXITSTATUS(status) == 0;
}

/* Each of as many seeds tries one step in so many, from another one on: together they try all. An odd number. */
#define SHARES 5U

static void die_everywhere(enum fault how, bool recover, uint64_t seed)
{
	bool done = false;
	struct err e;

	for (unsigned int at = 1 + (unsigned int)seed % SHARES; !done; at += SHARES) {
		struct world w;

		ck_assert_uint_lt(at, 500);
		world_make(&w, seed);
		done = fold_and_die(&w, at, how);
		refresh(&w);
		if (recover) {
			ck_assert_msg(fold_recover(w.home.catalog, w.home.store, &w.disk, &e) == 0,
				      "%s", e.text);
			/* Between recovery and the rest of the fold all newer points can be read. */
			check_epochs(&w, TARGET);
		}
		ck_assert_msg(fold(&w, w.home.store, TARGET, &e) == 0, "%s", e.text);
		check_epochs(&w, TARGET);
		check_base_digests(&w, false);
		world_remove(&w);
	}
}

START_TEST(killed_at_every_step)
{
	die_everywhere(FAULT_KILL, _i % 2, (uint64_t)_i);
}
END_TEST

START_TEST(without_power_at_every_step)
{
	die_everywhere(FAULT_POWER, _i % 2, (uint64_t)_i);
}
END_TEST

/* A block that becomes zeros has the digest of zeros while the image still has the old bytes. */
START_TEST(killed_on_the_way_to_zeros)
{
	static uint8_t piece[4096];
	struct part data = {0, sizeof(piece), piece}, zeros = {0, sizeof(piece), NULL};
	uint64_t seed = 6;
	bool done = false;

	random_fill(&seed, piece, sizeof(piece));
	/* From the second call on: the first is the digest, which is written as a whole or not at all. */
	for (unsigned int at = 2; !done; at++) {
		uint8_t *got = malloc(SIZE);
		struct world w;
		struct err e;

		empty_world(&w);
		epoch_make(&w.home, &w.disk, 1, &data, 1, true);
		ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
		epoch_make(&w.home, &w.disk, 2, &zeros, 1, true);
		done = fold_and_die(&w, at, FAULT_KILL);
		refresh(&w);
		ck_assert_int_eq(fold_recover(w.home.catalog, w.home.store, &w.disk, &e), 0);
		ck_assert_msg(read_epoch(&w, 2, got, &e) == 0, "%s", e.text);
		ck_assert(mem_is_zero(got, SIZE));
		check_base_digests(&w, false);
		free(got);
		world_remove(&w);
	}
}
END_TEST

START_TEST(a_lease_keeps_it_away)
{
	struct world w;
	struct err e;
	uint64_t lease, now = (uint64_t)time(NULL) * 1000000000ull;

	world_make(&w, 7);
	ck_assert_int_eq(catalog_lease_take(w.home.catalog, MACHINE, now + 60000000000ull, &lease,
					    &e),
			 0);
	ck_assert_int_eq(fold(&w, w.home.store, TARGET, &e), -EAGAIN);
	refresh(&w);
	ck_assert_uint_eq(w.disk.base_epoch, 0);
	ck_assert(!w.disk.fold_active);
	ck_assert_int_eq(catalog_lease_drop(w.home.catalog, lease, &e), 0);
	ck_assert_int_eq(fold(&w, w.home.store, TARGET, &e), 0);
	check_epochs(&w, TARGET);
	world_remove(&w);
}
END_TEST

/* Bytes that were damaged in the base must not get a fresh digest by being folded over in part; a whole new block heals. */
START_TEST(damage_stays_damage)
{
	static uint8_t block[65536], piece[512];
	struct part whole = {0, sizeof(block), block}, some = {512, sizeof(piece), piece};
	char name[STORE_NAME_MAX];
	uint8_t got[512];
	struct journal_row *journals;
	struct reader *r;
	struct world w = {.dir = scratch_make()};
	struct image im;
	struct err e;
	uint64_t seed = 1;

	random_fill(&seed, block, sizeof(block));
	random_fill(&seed, piece, sizeof(piece));
	home_make(&w.home, w.dir);
	machine_make(&w.home, MACHINE);
	disk_make(&w.home, DISK, SIZE, &w.disk);
	epoch_make(&w.home, &w.disk, 1, &whole, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
	flip(w.dir, name_base(name, MACHINE, DISK), 4000);
	epoch_make(&w.home, &w.disk, 2, &some, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 2, &e), 0);
	refresh(&w);
	ck_assert_int_eq(image_open(w.home.store, &w.disk, NULL, 0, &im, &e), 0);
	ck_assert_int_eq(reader_open(&im, &r, &e), 0);
	ck_assert_int_eq(reader_read(r, got, sizeof(got), 0, &e), -EILSEQ);
	reader_close(r);
	image_clear(&im);
	epoch_make(&w.home, &w.disk, 3, &whole, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 3, &e), 0);
	ck_assert_int_eq(catalog_journals(w.home.catalog, DISK, 3, &journals, &e), 0);
	free(journals);
	ck_assert_int_eq(image_open(w.home.store, &w.disk, NULL, 0, &im, &e), 0);
	ck_assert_int_eq(reader_open(&im, &r, &e), 0);
	ck_assert_int_eq(reader_read(r, got, sizeof(got), 0, &e), 0);
	ck_assert_mem_eq(got, block, sizeof(got));
	reader_close(r);
	image_clear(&im);
	world_remove(&w);
}
END_TEST

/* What no journal can give, as it is past the end of the disk, does not keep the short last block from being healed. */
START_TEST(the_short_last_block_heals)
{
	static const off_t where[] = {100, 1000}; /* on the disk, and past its end */
	static uint8_t tail[512];
	struct part part = {SIZE - sizeof(tail), sizeof(tail), tail};
	char name[STORE_NAME_MAX];
	uint8_t *got = malloc(SIZE);
	struct world w;
	struct err e;
	uint64_t seed = 4;

	empty_world(&w);
	random_fill(&seed, tail, sizeof(tail));
	epoch_make(&w.home, &w.disk, 1, &part, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
	flip(w.dir, name_base(name, MACHINE, DISK), SIZE - 512 + where[_i]);
	refresh(&w);
	ck_assert_int_eq(read_epoch(&w, 1, got, &e), -EILSEQ);
	random_fill(&seed, tail, sizeof(tail));
	epoch_make(&w.home, &w.disk, 2, &part, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 2, &e), 0);
	refresh(&w);
	ck_assert_msg(read_epoch(&w, 2, got, &e) == 0, "%s", e.text);
	ck_assert_mem_eq(got + SIZE - 512, tail, sizeof(tail));
	free(got);
	world_remove(&w);
}
END_TEST

/* A journal that rots is damage from its epoch on, until it is written again; folding it keeps that. */
START_TEST(damaged_journal_is_not_folded_as_good)
{
	static uint8_t block[65536], other[65536];
	struct part whole = {0, sizeof(block), block}, again = {0, sizeof(other), other};
	char name[STORE_NAME_MAX];
	uint8_t *got = malloc(SIZE);
	struct world w = {.dir = scratch_make()};
	struct err e;
	uint64_t seed = 2;

	random_fill(&seed, block, sizeof(block));
	random_fill(&seed, other, sizeof(other));
	home_make(&w.home, w.dir);
	machine_make(&w.home, MACHINE);
	disk_make(&w.home, DISK, SIZE, &w.disk);
	epoch_make(&w.home, &w.disk, 1, &whole, 1, true);
	epoch_make(&w.home, &w.disk, 2, &again, 1, true);
	flip(w.dir, name_journal(name, MACHINE, DISK, 1), 5000);
	ck_assert_int_eq(read_epoch(&w, 1, got, &e), -EILSEQ);
	ck_assert_int_eq(read_epoch(&w, 2, got, &e), 0);
	ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
	refresh(&w);
	ck_assert_int_eq(read_epoch(&w, 1, got, &e), -EILSEQ);
	ck_assert_int_eq(read_epoch(&w, 2, got, &e), 0);
	ck_assert_mem_eq(got, other, sizeof(other));
	check_base_digests(&w, true);
	free(got);
	world_remove(&w);
}
END_TEST

static void take_lease(struct world *w)
{
	struct lease lease;
	struct err e;

	ck_assert_msg(lease_take(&w->home, MACHINE, &lease, &e) == 0, "%s", e.text);
	lease_drop(&lease);
}

/* What is left when a fold cannot read: nobody waits for it, and the digest of the block has the agent send it again. */
static void check_paused(struct world *w, bool with_digest)
{
	struct journal_row *journals;
	uint8_t digest[DIGEST_BYTES];
	struct reader *r;
	struct image im;
	struct err e;
	int n;

	refresh(w);
	ck_assert(!w->disk.fold_active);
	take_lease(w);
	n = catalog_journals(w->home.catalog, DISK, UINT64_MAX, &journals, &e);
	ck_assert_int_eq(image_open(w->home.store, &w->disk, journals, (size_t)n, &im, &e), 0);
	ck_assert_int_eq(reader_open(&im, &r, &e), 0);
	for (int reread = 0; reread < 2 && with_digest; reread++) {
		ck_assert_int_eq(reader_digest(r, 0, SIZE, reread, digest, &e), 0);
		ck_assert(base_digest_is_damaged(digest));
	}
	reader_close(r);
	image_clear(&im);
	free(journals);
}

/* A base or a journal that cannot be read pauses the fold; what newer journals have of that block lets it go on. */
START_TEST(what_cannot_be_read_pauses)
{
	static uint8_t block[65536], piece[512], again[2 * 65536];
	struct part whole = {0, sizeof(block), block}, some = {512, sizeof(piece), piece};
	struct part both = {0, sizeof(again), again};
	int error = _i < 2 ? -EIO : -ENOENT;
	char base[STORE_NAME_MAX], journal[STORE_NAME_MAX];
	uint8_t *got = malloc(SIZE);
	uint64_t seed = 5;
	struct world w;
	struct err e;

	empty_world(&w);
	random_fill(&seed, block, sizeof(block));
	random_fill(&seed, piece, sizeof(piece));
	random_fill(&seed, again, sizeof(again));
	epoch_make(&w.home, &w.disk, 1, &whole, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
	epoch_make(&w.home, &w.disk, 2, &some, 1, true);
	w.home.store = fault_store_new(w.home.store, 0, FAULT_FAIL, 0, 0);
	name_base(base, MACHINE, DISK);
	name_journal(journal, MACHINE, DISK, 2);
	if (_i < 2)
		fault_store_deny(w.home.store, _i ? journal : base, 0, 65536);
	else
		ck_assert_int_eq(store_remove(w.home.store, journal, &e), 0);
	ck_assert_int_eq(fold(&w, w.home.store, 2, &e), error);
	check_paused(&w, true);
	epoch_make(&w.home, &w.disk, 3, &some, 1, true);
	/* The same part again is no help where the rest of the block is the base's. */
	if (_i == 0)
		ck_assert_int_eq(fold(&w, w.home.store, 3, &e), error);
	check_paused(&w, _i == 0);
	epoch_make(&w.home, &w.disk, 4, &both, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, 2, &e), error);
	check_paused(&w, false);
	ck_assert_msg(fold(&w, w.home.store, 4, &e) == 0, "%s", e.text);
	fault_store_deny(w.home.store, NULL, 0, 0);
	refresh(&w);
	ck_assert_uint_eq(w.disk.base_epoch, 4);
	ck_assert_int_eq(read_epoch(&w, 4, got, &e), 0);
	ck_assert_mem_eq(got, again, sizeof(again));
	check_base_digests(&w, false);
	free(got);
	world_remove(&w);
}
END_TEST

static void set_aside(const struct world *w, const char *name, bool back)
{
	char path[512], aside[520];

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	snprintf(aside, sizeof(aside), "%s.aside", path);
	ck_assert_int_eq(back ? rename(aside, path) : rename(path, aside), 0);
}

/* Nobody knows what an epoch wrote whose journal is gone with its index: nothing is folded over it, and it may come back. */
START_TEST(a_missing_journal_may_come_back)
{
	char journal[STORE_NAME_MAX], index[STORE_NAME_MAX];
	struct world w;
	struct err e;

	world_make(&w, (uint64_t)_i);
	if (_i % 2)
		ck_assert_int_eq(fold(&w, w.home.store, 1, &e), 0);
	set_aside(&w, name_journal(journal, MACHINE, DISK, 2), false);
	set_aside(&w, name_index(index, MACHINE, DISK, 2), false);
	ck_assert_int_eq(fold(&w, w.home.store, TARGET, &e), -ENOENT);
	check_paused(&w, true);
	ck_assert_uint_eq(w.disk.base_epoch, _i % 2);
	ck_assert_int_eq(fold(&w, w.home.store, EPOCHS, &e), -ENOENT);
	check_paused(&w, true);
	set_aside(&w, journal, true);
	ck_assert_msg(fold(&w, w.home.store, TARGET, &e) == 0, "%s", e.text);
	check_epochs(&w, TARGET);
	check_base_digests(&w, false);
	world_remove(&w);
}
END_TEST

/* Or all of the disk is written again. */
START_TEST(a_missing_journal_is_not_needed_for_ever)
{
	uint8_t *all = malloc(SIZE), *got = malloc(SIZE);
	struct part whole = {0, SIZE, all};
	char name[STORE_NAME_MAX];
	uint64_t seed = 8;
	struct world w;
	struct err e;

	world_make(&w, seed);
	ck_assert_int_eq(store_remove(w.home.store, name_journal(name, MACHINE, DISK, 2), &e), 0);
	ck_assert_int_eq(store_remove(w.home.store, name_index(name, MACHINE, DISK, 2), &e), 0);
	ck_assert_int_eq(fold(&w, w.home.store, TARGET, &e), -ENOENT);
	random_fill(&seed, all, SIZE);
	epoch_make(&w.home, &w.disk, EPOCHS + 1, &whole, 1, true);
	ck_assert_int_eq(fold(&w, w.home.store, EPOCHS, &e), -ENOENT);
	ck_assert_msg(fold(&w, w.home.store, EPOCHS + 1, &e) == 0, "%s", e.text);
	refresh(&w);
	ck_assert_int_eq(read_epoch(&w, EPOCHS + 1, got, &e), 0);
	ck_assert_mem_eq(got, all, SIZE);
	check_base_digests(&w, false);
	free(all);
	free(got);
	world_remove(&w);
}
END_TEST

/* A base that is lost before anything was folded into it for good: the journals have all of it. */
START_TEST(a_lost_base_of_the_first_fold)
{
	bool done = false, half = false;
	char name[STORE_NAME_MAX];
	struct err e;

	for (unsigned int at = 1 + (unsigned int)_i % SHARES; !done; at += SHARES) {
		struct world w;

		ck_assert_uint_lt(at, 500);
		world_make(&w, (uint64_t)_i);
		done = fold_and_die(&w, at, FAULT_KILL);
		refresh(&w);
		half |= !done && w.disk.fold_block;
		if (!done && at % 3)
			store_remove(w.home.store, name_base(name, MACHINE, DISK), &e);
		if (!done && at % 3 != 1)
			store_remove(w.home.store, name_base_digests(name, MACHINE, DISK), &e);
		refresh(&w);
		/* Where it was done already, it is lost for good. */
		if (!w.disk.base_epoch) {
			ck_assert_msg(fold(&w, w.home.store, TARGET, &e) == 0, "%s", e.text);
			check_epochs(&w, TARGET);
			check_base_digests(&w, false);
		}
		world_remove(&w);
	}
	ck_assert(half);
}
END_TEST

/* The catalog of another day: what is there is not what it says, and stays as it is. */
START_TEST(a_base_of_another_epoch)
{
	char name[STORE_NAME_MAX];
	struct base_of of;
	struct world w;
	struct err e;

	world_make(&w, 9);
	ck_assert_int_eq(fold(&w, w.home.store, 2, &e), 0);
	refresh(&w);
	of = (struct base_of){w.home.store, MACHINE, DISK, SIZE, 2};
	ck_assert_int_eq(base_check_epoch(&of, 0, &e), 0);
	of.epoch = 1;
	ck_assert_int_eq(base_check_epoch(&of, 2, &e), 0);
	ck_assert_int_eq(base_check_epoch(&of, 3, &e), -EUCLEAN);
	ck_assert_int_eq(base_check_epoch(&of, 0, &e), -EUCLEAN);
	ck_assert_int_eq(catalog_fold_done(w.home.catalog, DISK, 3, &e), 0);
	ck_assert_int_eq(fold(&w, w.home.store, TARGET, &e), -EUCLEAN);
	refresh(&w);
	ck_assert_uint_eq(w.disk.base_epoch, 3);
	/* A note that is torn, or none as in an older store, says nothing. */
	flip(w.dir, name_base_epoch(name, MACHINE, DISK), 3);
	of.epoch = 3;
	ck_assert_int_eq(base_check_epoch(&of, 0, &e), 0);
	ck_assert_int_eq(store_remove(w.home.store, name, &e), 0);
	ck_assert_int_eq(base_check_epoch(&of, 0, &e), 0);
	world_remove(&w);
}
END_TEST

/*
 * Killed in a batch that cannot be read after that: it is let alone, and nothing is lost when it can be read again.
 */
START_TEST(killed_and_unreadable)
{
	bool done = false;
	char name[STORE_NAME_MAX];
	struct err e;
	int rc = 0;

	for (unsigned int at = 1 + (unsigned int)_i % SHARES; !done; at += SHARES) {
		struct world w;

		ck_assert_uint_lt(at, 500);
		world_make(&w, (uint64_t)_i);
		done = fold_and_die(&w, at, FAULT_KILL);
		w.home.store = fault_store_new(w.home.store, 0, FAULT_FAIL, 0, 0);
		fault_store_deny(w.home.store,
				 name_journal(name, MACHINE, DISK, 1 + (uint64_t)_i % TARGET), 0,
				 1 << 20);
		refresh(&w);
		/* The one who starts `serve`, or who wants to read while it does not run. */
		if (at % 2)
			rc = fold_recover(w.home.catalog, w.home.store, &w.disk, &e);
		else
			take_lease(&w);
		ck_assert(rc == 0 || rc == -EIO);
		check_paused(&w, false);
		rc = fold(&w, w.home.store, EPOCHS, &e);
		ck_assert(rc == 0 || rc == -EIO);
		check_paused(&w, false);
		fault_store_deny(w.home.store, NULL, 0, 0);
		ck_assert_msg(fold(&w, w.home.store, EPOCHS, &e) == 0, "%s", e.text);
		check_epochs(&w, EPOCHS);
		check_base_digests(&w, false);
		world_remove(&w);
	}
}
END_TEST

START_TEST(full_store)
{
	struct world w;
	struct store *s;
	struct err e;

	/* Every call from one on fails, as on a full disk; later there is space again. */
	for (unsigned int at = 1; at < 20; at++) {
		world_make(&w, 3);
		s = fault_store_new(w.home.store, at, FAULT_FAIL, -ENOSPC, 0);
		w.home.store = s;
		ck_assert_int_eq(fold(&w, s, TARGET, &e), -ENOSPC);
		fault_store_arm(s, 0);
		ck_assert_int_eq(fold(&w, s, TARGET, &e), 0);
		check_epochs(&w, TARGET);
		check_base_digests(&w, false);
		world_remove(&w);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("fold");

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, points_read_the_same_after, 0, 8);
	tcase_add_loop_test(t, killed_at_every_step, 0, SHARES);
	tcase_add_loop_test(t, without_power_at_every_step, 2, 2 + SHARES);
	tcase_add_test(t, killed_on_the_way_to_zeros);
	tcase_add_test(t, a_lease_keeps_it_away);
	tcase_add_test(t, damage_stays_damage);
	tcase_add_loop_test(t, the_short_last_block_heals, 0, 2);
	tcase_add_test(t, damaged_journal_is_not_folded_as_good);
	tcase_add_loop_test(t, what_cannot_be_read_pauses, 0, 3);
	tcase_add_loop_test(t, a_missing_journal_may_come_back, 0, 4);
	tcase_add_test(t, a_missing_journal_is_not_needed_for_ever);
	tcase_add_loop_test(t, a_lost_base_of_the_first_fold, 0, SHARES);
	tcase_add_test(t, a_base_of_another_epoch);
	tcase_add_loop_test(t, killed_and_unreadable, 0, SHARES);
	tcase_add_test(t, full_store);
	return run_tcase("fold", t);
}
