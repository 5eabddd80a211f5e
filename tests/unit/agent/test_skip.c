// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "agent/skip.h"
#include "tests/unit/agent/support.h"

#define KIB 1024ull
#define MIB (1024ull << 10)
#define GIB (1024ull << 20)

static struct skip_set s;

static void add(uint64_t from, uint64_t to)
{
	ck_assert_int_eq(skip_add(&s, from, to, SKIP_FREE), 0);
}

static void is(size_t i, uint64_t from, uint64_t to)
{
	ck_assert_uint_lt(i, s.count);
	ck_assert_uint_eq(s.range[i].from, from);
	ck_assert_uint_eq(s.range[i].to, to);
}

START_TEST(settled_ranges_are_sorted_disjoint_and_whole_granules)
{
	skip_clear(&s);
	add(10 * MIB + 1, 12 * MIB + 4095);
	add(1 * MIB, 2 * MIB);
	add(1536 * KIB, 3 * MIB); /* overlaps */
	add(5 * MIB, 5 * MIB); /* empty */
	add(6 * MIB, 6 * MIB + 60 * KIB); /* too short */
	add(7 * MIB + 1, 7 * MIB + 64 * KIB + 1); /* too short when it is cut to granules */
	skip_settle(&s, 0, GIB, 4096);
	ck_assert_uint_eq(s.count, 3);
	is(0, 1 * MIB, 2 * MIB);
	is(1, 2 * MIB, 3 * MIB);
	is(2, 10 * MIB + 4096, 12 * MIB);
}
END_TEST

START_TEST(settled_ranges_are_within_the_slice)
{
	skip_clear(&s);
	add(0, 4 * MIB);
	add(6 * MIB, 20 * MIB);
	add(30 * MIB, UINT64_MAX);
	skip_settle(&s, 2 * MIB, 16 * MIB, MIB);
	ck_assert_uint_eq(s.count, 2);
	is(0, 2 * MIB, 4 * MIB);
	is(1, 6 * MIB, 16 * MIB);
	skip_settle(&s, 2 * MIB, 16 * MIB, 16 * MIB);
	ck_assert_uint_eq(s.count, 0);
}
END_TEST

/* Against a map of bits: exactly what is in both. */
START_TEST(intersections_of_random_sets)
{
	uint8_t in[2][4096], both[4096] = {0};

	srand((unsigned int)_i);
	for (int round = 0; round < 50; round++) {
		struct skip_set set[2] = {0};

		memset(in, 0, sizeof(in));
		memset(both, 0, sizeof(both));
		for (int k = 0; k < 2; k++) {
			for (uint64_t at = (uint64_t)(rand() % 20); at < 4000;) {
				uint64_t end = at + 1 + (uint64_t)(rand() % 60);

				ck_assert_int_eq(skip_add(&set[k], at, end, SKIP_FREE), 0);
				memset(&in[k][at], 1, end - at);
				at = end + (uint64_t)(rand() % 30);
			}
		}
		ck_assert_int_eq(skip_intersect(&set[0], &set[1]), 0);
		for (size_t i = 0; i < set[0].count; i++)
			memset(&both[set[0].range[i].from], 1,
			       set[0].range[i].to - set[0].range[i].from);
		for (size_t i = 0; i < sizeof(both); i++)
			ck_assert_int_eq(both[i], in[0][i] && in[1][i]);
		skip_clear(&set[0]);
		skip_clear(&set[1]);
	}
}
END_TEST

START_TEST(sets_are_bounded)
{
	skip_clear(&s);
	for (uint64_t i = 0; i < SKIP_RANGES_MAX + 100; i++)
		add(i * MIB, i * MIB + 64 * KIB);
	ck_assert_uint_eq(s.count, SKIP_RANGES_MAX);
	skip_clear(&s);
	ck_assert_uint_eq(s.count, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("skip");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, settled_ranges_are_sorted_disjoint_and_whole_granules);
	tcase_add_test(tc, settled_ranges_are_within_the_slice);
	tcase_add_loop_test(tc, intersections_of_random_sets, 1, 4);
	tcase_add_test(tc, sets_are_bounded);
	return run_tcase("skip", tc);
}
