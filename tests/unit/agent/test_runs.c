// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "agent/runs.h"
#include "tests/unit/agent/support.h"

#define KIB 1024ull
#define MIB (1024ull << 10)

static bool get(const uint8_t *map, uint64_t bit)
{
	return map[bit / 8] >> (bit % 8) & 1;
}

static void set(uint8_t *map, uint64_t bit)
{
	map[bit / 8] |= (uint8_t)(1u << (bit % 8));
}

/* Every run is maximal, in order, and together they are exactly the set bits. */
static void check_runs(const uint8_t *map, uint64_t bits)
{
	uint64_t pos = 0, start, end, seen = 0;

	while (runs_next(map, bits, &pos, &start, &end)) {
		ck_assert_uint_lt(start, end);
		ck_assert_uint_le(end, bits);
		for (; seen < start; seen++)
			ck_assert(!get(map, seen));
		for (; seen < end; seen++)
			ck_assert(get(map, seen));
		ck_assert(end == bits || !get(map, end));
	}
	for (; seen < bits; seen++)
		ck_assert(!get(map, seen));
}

START_TEST(runs_of_random_bitmaps)
{
	uint8_t map[64];

	srandom(7);
	for (int round = 0; round < 2000; round++) {
		uint64_t bits = 1 + (uint64_t)random() % 512;
		int density = (int)(random() % 4);

		memset(map, 0, sizeof(map));
		for (uint64_t b = 0; b < bits; b++) {
			if (random() % 4 <= density - (random() % 2))
				set(map, b);
		}
		/* Bits past the end are not part of the bitmap. */
		for (uint64_t b = bits; b < 512 && round % 2; b++)
			set(map, b);
		check_runs(map, bits);
	}
}
END_TEST

START_TEST(runs_at_the_edges)
{
	uint8_t none[16] = {0}, all[16];
	uint64_t pos = 0, start, end;

	memset(all, 0xff, sizeof(all));
	ck_assert(!runs_next(none, 128, &pos, &start, &end));
	ck_assert(runs_next(all, 127, &pos, &start, &end));
	ck_assert_uint_eq(start, 0);
	ck_assert_uint_eq(end, 127);
	ck_assert(!runs_next(all, 127, &pos, &start, &end));
	pos = 500;
	ck_assert(!runs_next(all, 127, &pos, &start, &end));
}
END_TEST

/*
 * Take a plan apart and check what every plan must keep to. Returns the bytes that were handed
 * out.
 */
static uint64_t check_plan(struct plan_disk *d, uint8_t *seen, uint64_t unit)
{
	struct plan plan = {.disks = d, .disk_count = 1};
	struct piece piece;
	uint64_t sum = 0, last = 0;

	while (plan_next(&plan, &piece)) {
		uint64_t bytes = 0;

		ck_assert_ptr_eq(piece.owner, d->owner);
		ck_assert_uint_ge(piece.run_count, 1);
		ck_assert_uint_le(piece.run_count, PIECE_RUNS);
		for (unsigned int i = 0; i < piece.run_count; i++) {
			const struct run *r = &piece.run[i];

			ck_assert_uint_ge(r->offset, last);
			last = r->offset + r->length;
			ck_assert_uint_le(last, d->size);
			bytes += r->length;
			for (uint64_t u = r->offset / unit; seen && u * unit < last; u++) {
				ck_assert(!get(seen, u));
				set(seen, u);
			}
		}
		ck_assert_uint_eq(bytes, piece.bytes);
		ck_assert(bytes <= PIECE_COMPARE_BYTES || piece.run_count == 1);
		sum += bytes;
	}
	ck_assert(!plan_next(&plan, &piece));
	return sum;
}

START_TEST(plan_covers_what_is_dirty)
{
	uint8_t map[1024], seen[1024];
	uint64_t granule = 4 * KIB, size = 8191 * granule + 512, dirty = 0;
	int owner;
	struct plan_disk d = {.owner = &owner,
			      .bitmap = map,
			      .granules = 8192,
			      .shift = 12,
			      .size = size,
			      .span_count = 1,
			      .spans = {{0, size, PIECE_SEND}}};

	srandom(11);
	memset(map, 0, sizeof(map));
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 3000; i++)
		set(map, (uint64_t)random() % 8192);
	set(map, 8191); /* the short one at the end */
	for (uint64_t b = 0; b < 8192; b++)
		dirty += get(map, b) ? (b == 8191 ? 512 : granule) : 0;
	ck_assert_uint_eq(plan_bytes(&d), dirty);
	ck_assert_uint_eq(check_plan(&d, seen, granule), dirty);
	ck_assert_mem_eq(map, seen, sizeof(map));
}
END_TEST

START_TEST(slices_leave_out_what_comes_later)
{
	uint8_t map[32];
	int owner;
	/* 256 granules of 1 MiB: 64 replicated, a slice of 32 more */
	struct plan_disk d = {.owner = &owner,
			      .bitmap = map,
			      .granules = 256,
			      .shift = 20,
			      .size = 256 * MIB,
			      .span_count = 2,
			      .spans = {{0, 64 * MIB, PIECE_SEND},
					{64 * MIB, 96 * MIB, PIECE_COMPARE}}};
	struct plan plan = {.disks = &d, .disk_count = 1};
	struct piece piece;

	memset(map, 0, sizeof(map));
	set(map, 3);
	set(map, 63);
	for (uint64_t b = 64; b < 96; b++)
		set(map, b);
	set(map, 96);
	set(map, 200);
	ck_assert_uint_eq(plan_bytes(&d), 34 * MIB);
	ck_assert(plan_next(&plan, &piece));
	ck_assert_int_eq(piece.mode, PIECE_SEND);
	ck_assert_uint_eq(piece.run_count, 2);
	ck_assert_uint_eq(piece.run[0].offset, 3 * MIB);
	ck_assert_uint_eq(piece.run[1].offset, 63 * MIB);
	/* The run goes over the cursor: it is cut there. */
	ck_assert_uint_eq(piece.run[1].length, MIB);
	ck_assert(plan_next(&plan, &piece));
	ck_assert_int_eq(piece.mode, PIECE_COMPARE);
	ck_assert_uint_eq(piece.run_count, 1);
	ck_assert_uint_eq(piece.run[0].offset, 64 * MIB);
	ck_assert_uint_eq(piece.run[0].length, 32 * MIB);
	ck_assert(!plan_next(&plan, &piece));
}
END_TEST

START_TEST(pieces_are_bounded)
{
	uint8_t map[8];
	int owner;
	struct plan_disk whole = {.owner = &owner,
				  .size = 100 * MIB + 512,
				  .span_count = 1,
				  .spans = {{0, UINT64_MAX, PIECE_SEND}}};
	struct plan_disk large = {.owner = &owner,
				  .bitmap = map,
				  .granules = 7,
				  .shift = 24,
				  .size = 100 * MIB,
				  .span_count = 1,
				  .spans = {{0, 100 * MIB, PIECE_SEND}}};
	struct plan plan = {.disks = &whole, .disk_count = 1};
	struct piece piece;

	while (plan_next(&plan, &piece))
		ck_assert_uint_le(piece.bytes, PIECE_SEND_BYTES);
	/* A granule is never cut, however large it is. */
	memset(map, 0xff, sizeof(map));
	plan = (struct plan){.disks = &large, .disk_count = 1};
	for (int i = 0; i < 7; i++) {
		ck_assert(plan_next(&plan, &piece));
		ck_assert_uint_eq(piece.bytes, i < 6 ? 16 * MIB : 4 * MIB);
	}
	ck_assert(!plan_next(&plan, &piece));
}
END_TEST

START_TEST(disks_come_one_after_the_other)
{
	int owner[3];
	struct plan_disk d[3] = {
		{.owner = &owner[0], .size = MIB, .span_count = 1, .spans = {{0, MIB, PIECE_SEND}}},
		{.owner = &owner[1], .size = MIB}, /* nothing to do */
		{.owner = &owner[2],
		 .size = MIB,
		 .span_count = 1,
		 .spans = {{512 * KIB, MIB, PIECE_VERIFY}}},
	};
	struct plan plan = {.disks = d, .disk_count = 3};
	struct piece piece;

	ck_assert(plan_next(&plan, &piece));
	ck_assert_ptr_eq(piece.owner, &owner[0]);
	ck_assert(plan_next(&plan, &piece));
	ck_assert_ptr_eq(piece.owner, &owner[2]);
	ck_assert_uint_eq(piece.run[0].offset, 512 * KIB);
	ck_assert(!plan_next(&plan, &piece));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("runs");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, runs_of_random_bitmaps);
	tcase_add_test(tc, runs_at_the_edges);
	tcase_add_test(tc, plan_covers_what_is_dirty);
	tcase_add_test(tc, slices_leave_out_what_comes_later);
	tcase_add_test(tc, pieces_are_bounded);
	tcase_add_test(tc, disks_come_one_after_the_other);
	return run_tcase("runs", tc);
}
