/* SPDX-License-Identifier: Apache-2.0 */
/* The points that damage harms, found in one pass; damage of content does not hide what is whole; what is known of damage outlives a verification that is cut short. */
/* wraps: clock_monotonic_ns index_walk journal_walk */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/fold.h"
#include "appliance/harm.h"
#include "appliance/names.h"
#include "lib/clock.h"
#include "tests/unit/appliance/helpers.h"

#define BLOCKS 24
#define SIZE (BLOCKS * 65536 + 1536)
#define EPOCHS 300
#define BASE 40 /* the epoch that is folded to */

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);
int __real_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e);
int __wrap_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e);
int __real_journal_walk(struct store_object *o, uint64_t bytes, enum journal_check check,
			journal_fn fn, void *arg, uint64_t *at, struct err *e);
int __wrap_journal_walk(struct store_object *o, uint64_t bytes, enum journal_check check,
			journal_fn fn, void *arg, uint64_t *at, struct err *e);

static char *dir;
static struct home home;
static struct disk_row disk;
static uint64_t ahead, load_ns; /* the clock, and how long an index takes to walk */
static unsigned int loads, walks, last_walk; /* the lease is gone after last_walk, 0: never */
static uint8_t data[4 * 65536];

uint64_t __wrap_clock_monotonic_ns(void)
{
	return __real_clock_monotonic_ns() + ahead;
}

int __wrap_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e)
{
	loads++;
	ahead += load_ns;
	return __real_index_walk(of, fn, arg, e);
}

int __wrap_journal_walk(struct store_object *o, uint64_t bytes, enum journal_check check,
			journal_fn fn, void *arg, uint64_t *at, struct err *e)
{
	if (++walks == last_walk)
		ahead += 2 * LEASE_NS;
	return __real_journal_walk(o, bytes, check, fn, arg, at, e);
}

static void setup(void)
{
	char *argv[] = {(char *)"--name", (char *)"localhost"};
	uint64_t seed = 1;
	struct err e;

	dir = scratch_make();
	ck_assert_int_eq(command_init(dir, 2, argv), EXIT_DONE);
	ck_assert_int_eq(home_open(&home, dir, &e), 0);
	machine_make(&home, MACHINE);
	disk_make(&home, DISK, SIZE, &disk);
	random_fill(&seed, data, sizeof(data));
	ahead = load_ns = 0;
	loads = walks = last_walk = 0;
}

static void teardown(void)
{
	home_close(&home);
	scratch_remove(dir);
}

/* An extent or two at places that the epoch's number gives. */
static void epoch(uint64_t number)
{
	uint64_t seed = number * 977;
	uint64_t at = random_next(&seed) % (BLOCKS - 8) * 65536 + random_next(&seed) % 64 * 512;
	uint64_t length = (1 + random_next(&seed) % 300) * 512;
	struct part parts[] = {
		{at, length, data},
		{at + 65536 * 4, 65536 * (random_next(&seed) % 3), data},
		{SIZE - 2048, number % 7 == 0 ? 2048 : 0, data},
	};
	size_t n = 1;

	if (parts[1].length)
		n++;
	if (parts[2].length)
		parts[n++] = parts[2];
	epoch_make(&home, &disk, number, parts, n, true);
}

enum rot { ROT_PAYLOAD, ROT_HEADER, ROT_NO_INDEX, ROT_GONE, ROT_KINDS };

static void rot(uint64_t number, enum rot how)
{
	char name[STORE_NAME_MAX], index[STORE_NAME_MAX];
	struct err e;

	name_journal(name, MACHINE, DISK, number);
	name_index(index, MACHINE, DISK, number);
	if (how == ROT_GONE)
		ck_assert_int_eq(store_remove(home.store, name, &e), 0);
	else
		flip(dir, name, how == ROT_PAYLOAD ? 300 : 20);
	if (how >= ROT_NO_INDEX)
		ck_assert_int_eq(store_remove(home.store, index, &e), 0);
}

static void make_epochs(void)
{
	struct err e;

	for (uint64_t i = 1; i <= EPOCHS; i++)
		epoch(i);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
	ck_assert_int_eq(fold_disk(home.catalog, home.store, &disk, BASE, NULL, &e), 0);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
}

struct found {
	struct harm harm[512];
	size_t count;
};

static int collect(void *arg, const struct damage *d, struct err *e)
{
	struct found *f = arg;
	struct damage *own = &f->harm[f->count].damage;

	(void)e;
	ck_assert_uint_lt(f->count, 511);
	f->count++;
	*own = *d;
	if (own->length > SIZE - own->offset)
		own->length = SIZE - own->offset;
	return 0;
}

/* Does the image take any byte of the range from that epoch's journal (0: from the base)? */
static bool image_uses(const struct image *im, const struct damage *d)
{
	uint64_t offset = d->offset, left = d->length ? d->length : SIZE, n;

	for (; left; left -= n, offset += n) {
		struct piece p;

		if ((map_find(&im->map, offset, left, &p, &n) ? p.epoch : 0) == d->epoch)
			return true;
	}
	return false;
}

/* What harm_find() says of each point up to the last and damage, against an image made for that point. */
static void check_against_images(const struct found *f, uint64_t last)
{
	unsigned int harmed = 0, healed = 0;

	for (uint64_t point = BASE; point <= last; point++) {
		struct journal_row *journals;
		struct image im;
		struct err e;
		int n = catalog_journals(home.catalog, DISK, point, &journals, &e);

		ck_assert_int_ge(n, 0);
		ck_assert_int_eq(image_open(home.store, &disk, journals, (size_t)n, &im, &e), 0);
		for (size_t i = 0; i < f->count; i++) {
			const struct harm *h = &f->harm[i];
			bool uses = image_uses(&im, &h->damage);

			ck_assert_msg((point >= h->damage.epoch && point < h->until) == uses,
				      "epoch %d, %d bytes at %d: point %d is%s harmed",
				      (int)h->damage.epoch, (int)h->damage.length,
				      (int)h->damage.offset, (int)point, uses ? "" : " not");
			harmed += uses;
			healed += !uses && point > h->damage.epoch;
		}
		image_clear(&im);
		free(journals);
	}
	ck_assert_uint_gt(harmed, 100);
	ck_assert_uint_gt(healed, 100);
}

/* No point has come yet after the last epochs, as while a disk is resynchronised. */
static const uint64_t without_points[2] = {0, 40};

START_TEST(harm_of_many)
{
	uint64_t last = EPOCHS - without_points[_i];
	static struct found f;
	struct verify v = {&home, NULL, &disk, collect, &f, 0};
	char name[STORE_NAME_MAX];
	struct lease lease;
	struct err e;

	make_epochs();
	name_base(name, MACHINE, DISK);
	flip(dir, name, 9 * 65536 + 5);
	flip(dir, name, SIZE - 5);
	for (uint64_t i = BASE + 1; i < EPOCHS; i += 1 + i % 20)
		rot(i, i < 200 ? ROT_PAYLOAD : ROT_PAYLOAD + i % ROT_KINDS);
	ck_assert_int_eq(lease_take(&home, MACHINE, &lease, &e), 0);
	v.lease = &lease;
	ck_assert_int_eq(verify_disk(&v, UINT64_MAX, &e), 0);
	ck_assert_uint_gt(f.count, 20);
	loads = 0;
	/* Each takes so long that the lease would run out on the way. */
	load_ns = 11 * NSEC_PER_SEC;
	ck_assert_msg(harm_find(&home, &lease, &disk, last, f.harm, f.count, &e) == 0, "%s",
		      e.text);
	ck_assert_uint_eq(loads, last - BASE);
	lease_drop(&lease);
	check_against_images(&f, last);
}
END_TEST

static int verify(void)
{
	char *argv[] = {(char *)MACHINE};

	return command_verify(dir, 1, argv);
}

/* The whole command, damage in most epochs: no map for each point. */
START_TEST(work_is_bounded)
{
	make_epochs();
	for (uint64_t i = BASE + 1; i < EPOCHS; i += 2)
		rot(i, ROT_PAYLOAD);
	loads = 0;
	ck_assert_int_eq(verify(), EXIT_FAILED);
	ck_assert_uint_ge(loads, EPOCHS - BASE - 2);
	ck_assert_uint_le(loads, 40 * (EPOCHS - BASE));
}
END_TEST

static int known(struct damage_row **list)
{
	struct err e;

	return catalog_damage(home.catalog, DISK, list, &e);
}

START_TEST(cut_short)
{
	struct damage_row *rows;
	struct err e;

	for (uint64_t i = 1; i <= 10; i++)
		epoch(i);
	rot(7, ROT_HEADER);
	/* One that is there no more, and the whole disk for a journal that cannot be read. */
	ck_assert_int_eq(catalog_damage_add(home.catalog, DISK, 4096, 512, &e), 0);
	ck_assert_int_eq(catalog_damage_add(home.catalog, DISK, 0, SIZE, &e), 0);
	walks = 0;
	last_walk = 4;
	ck_assert_int_eq(verify(), EXIT_FAILED);
	ck_assert_int_eq(known(&rows), 2);
	free(rows);
	/* One point alone proves nothing of the others. */
	{
		char *argv[] = {(char *)MACHINE, (char *)"5"};

		last_walk = 0;
		ck_assert_int_eq(command_verify(dir, 2, argv), EXIT_DONE);
		ck_assert_int_eq(known(&rows), 2);
		free(rows);
	}
	ck_assert_int_eq(verify(), EXIT_FAILED);
	ck_assert_int_eq(known(&rows), 1);
	ck_assert_uint_eq(rows[0].length, SIZE);
	free(rows);
	rot(7, ROT_HEADER);
	ck_assert_int_eq(verify(), EXIT_DONE);
	ck_assert_int_eq(known(&rows), 0);
	free(rows);
}
END_TEST

/* Blocks 0, 2, 4 and 5, and 7 in two segments; some of them again later. */
static void few_epochs(uint16_t version)
{
	static const unsigned int blocks[][4] = {{0, 2, 4, 5}, {2, 20, 21, 22}, {4, 5, 20, 21}};

	segment_version = version;
	for (size_t i = 0; i < 3; i++) {
		struct part parts[4];

		for (size_t k = 0; k < 4; k++)
			parts[k] = (struct part){blocks[i][k] * 65536, 65536, data + k * 65536};
		epoch_make(&home, &disk, i + 1, parts, 4, true);
	}
	segment_version = WIRE_VERSION;
}

static void load(uint64_t number, struct index *ix)
{
	struct journal_row *j;
	struct err e;
	int n = catalog_journals(home.catalog, DISK, number, &j, &e);
	const struct index_of of = {home.store, MACHINE,	   DISK,
				    number,	j[n - 1].segments, j[n - 1].bytes};

	ck_assert_int_eq(n, (int)number);
	ck_assert_msg(index_load(__real_index_walk, &of, ix, &e) == 0, "%s", e.text);
	free(j);
}

/* A bit of the stored bytes of the block in the epoch's journal, or of what is so far before them. */
static void rot_block(uint64_t number, unsigned int block, off_t before)
{
	char name[STORE_NAME_MAX];
	struct index ix;

	load(number, &ix);
	for (size_t i = 0; i < ix.count; i++) {
		if (ix.entries[i].offset == block * 65536)
			flip(dir, name_journal(name, MACHINE, DISK, number),
			     (off_t)ix.entries[i].at + 77 - before);
	}
	index_clear(&ix);
}

static void remove_index(uint64_t number)
{
	char name[STORE_NAME_MAX];
	struct err e;

	ck_assert_int_eq(store_remove(home.store, name_index(name, MACHINE, DISK, number), &e), 0);
}

static void find(struct found *f)
{
	struct verify v = {&home, NULL, &disk, collect, f, 0};
	struct lease lease;
	struct err e;

	f->count = 0;
	ck_assert_int_eq(lease_take(&home, MACHINE, &lease, &e), 0);
	v.lease = &lease;
	ck_assert_msg(verify_disk(&v, UINT64_MAX, &e) == 0, "%s", e.text);
	ck_assert_int_eq(harm_find(&home, &lease, &disk, 3, f->harm, f->count, &e), 0);
	lease_drop(&lease);
}

static void check_found(const struct harm *h, uint64_t number, unsigned int block,
			unsigned int blocks, uint64_t until)
{
	ck_assert_uint_eq(h->damage.epoch, number);
	ck_assert_uint_eq(h->damage.offset, block * 65536);
	ck_assert_uint_eq(h->damage.length, blocks * 65536);
	ck_assert_uint_eq(h->until, until);
}

/* Of either version: each extent by itself, in all segments and journals, and what is not damaged is still had. */
START_TEST(content_by_extent)
{
	char name[STORE_NAME_MAX];
	uint64_t size, now;
	struct store_object *o;
	static struct found f;
	struct err e;

	few_epochs((uint16_t)_i);
	rot_block(1, 2, 0);
	rot_block(1, 4, 0);
	rot_block(1, 5, 0);
	rot_block(3, 21, 0);
	ck_assert_int_eq(store_open(home.store, name_index(name, MACHINE, DISK, 1), STORE_READ, &o,
				    &e),
			 0);
	ck_assert_int_eq(store_size(o, &size, &e), 0);
	find(&f);
	ck_assert_uint_eq(f.count, 3);
	/* Segments were stored from the end on. */
	check_found(&f.harm[0], 1, 4, 2, 3);
	check_found(&f.harm[1], 1, 2, 1, 2);
	check_found(&f.harm[2], 3, 21, 1, UINT64_MAX);
	store_close(o);
	/* The index is not what is wrong. */
	ck_assert_int_eq(store_open(home.store, name, STORE_READ, &o, &e), 0);
	ck_assert_int_eq(store_size(o, &now, &e), 0);
	ck_assert_uint_eq(now, size);
	store_close(o);
}
END_TEST

/* Can the block be had as of the epoch? */
static bool readable(uint64_t number, unsigned int block)
{
	static uint8_t got[65536];
	struct journal_row *journals;
	struct reader *r;
	struct image im;
	struct err e;
	int n = catalog_journals(home.catalog, DISK, number, &journals, &e), rc;

	ck_assert_int_eq(image_open(home.store, &disk, journals, (size_t)n, &im, &e), 0);
	ck_assert_int_eq(reader_open(&im, &r, &e), 0);
	rc = reader_read(r, got, sizeof(got), block * 65536, &e);
	reader_close(r);
	image_clear(&im);
	free(journals);
	return rc == 0;
}

/* Without the index the trailer has to prove the extents, and version 1 has one for all. */
START_TEST(content_without_index)
{
	static struct found f;

	few_epochs((uint16_t)_i);
	rot_block(1, 2, 0);
	remove_index(1);
	find(&f);
	ck_assert_uint_eq(f.count, 1);
	if (_i == WIRE_VERSION_OLD)
		check_found(&f.harm[0], 1, 0, 0, UINT64_MAX);
	else
		check_found(&f.harm[0], 1, 2, 1, 2);
	remove_index(1);
	ck_assert(!readable(1, 2));
	ck_assert(readable(1, 4) == (_i != WIRE_VERSION_OLD));
	ck_assert(readable(2, 2));
}
END_TEST

/* Header and extents: what was written is unknown, what the segments after it have is looked at all the same. */
START_TEST(heads)
{
	static struct found f;

	few_epochs((uint16_t)_i);
	/* The digest of its first extent, and content of the other segment. */
	rot_block(1, 4, 77 + 2 * WIRE_EXTENT_BYTES - 40);
	rot_block(1, 2, 0);
	find(&f);
	ck_assert_uint_eq(f.count, 2);
	check_found(&f.harm[0], 1, 0, 0, UINT64_MAX);
	check_found(&f.harm[1], 1, 2, 1, 2);
	/* Where the next segment begins is not known any more. */
	flip(dir, "machines/" MACHINE "/disks/" DISK "/journal/0000000000000003.mj", 32);
	find(&f);
	ck_assert_uint_eq(f.count, 3);
	check_found(&f.harm[2], 3, 0, 0, UINT64_MAX);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("verify");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, harm_of_many, 0, 2);
	tcase_add_test(t, work_is_bounded);
	tcase_add_test(t, cut_short);
	tcase_add_loop_test(t, content_by_extent, WIRE_VERSION_OLD, WIRE_VERSION + 1);
	tcase_add_loop_test(t, content_without_index, WIRE_VERSION_OLD, WIRE_VERSION + 1);
	tcase_add_loop_test(t, heads, WIRE_VERSION_OLD, WIRE_VERSION + 1);
	return run_tcase("verify", t);
}
