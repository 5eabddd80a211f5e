/* SPDX-License-Identifier: Apache-2.0 */
/* The set of ranges against a plain array that says which units are covered. */
#include <stdlib.h>
#include <string.h>

#include "appliance/ranges.h"
#include "lib/clock.h"
#include "tests/unit/appliance/helpers.h"

#define UNITS 3000
#define MANY 200000u

/* Ascending ranges in what is still free; the model follows if they are to be added. */
static size_t random_ranges(uint64_t *seed, const bool *covered, bool anywhere, struct range *r)
{
	size_t n = 0, want = 1 + random_next(seed) % 9;
	uint64_t at = random_next(seed) % UNITS;

	while (at < UNITS && n < want) {
		uint64_t end = at, most = 1 + random_next(seed) % 12;

		while (end < UNITS && end - at < most && (anywhere || !covered[end]))
			end++;
		if (end > at)
			r[n++] = (struct range){at, end};
		/* Often the next one touches, or follows what is taken. */
		at = end + (random_next(seed) % 3 ? random_next(seed) % 20 : end == at);
	}
	return n;
}

/* Where the model says that they overlap; UNITS: nowhere. */
static uint64_t model_overlap(const bool *covered, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (uint64_t u = r[i].begin; u < r[i].end; u++) {
			if (covered[u])
				return u;
		}
	}
	return UNITS;
}

static void check_levels(const struct ranges *s)
{
	for (size_t l = 1; l < s->levels; l++)
		ck_assert_uint_gt(s->level[l - 1].count, 2 * s->level[l].count);
}

START_TEST(random_sets)
{
	bool covered[UNITS] = {false};
	uint64_t seed = (uint64_t)_i, at;
	struct ranges s = {0};
	struct range r[9];

	ck_assert(!ranges_overlap(&s, &(struct range){0, UNITS}, 1, &at));
	for (int round = 0; round < 400; round++) {
		size_t n = random_ranges(&seed, covered, true, r);
		uint64_t where = model_overlap(covered, r, n);

		ck_assert(ranges_overlap(&s, r, n, &at) == (where < UNITS));
		if (where < UNITS) {
			bool asked = false;

			/* Some place that both have, whichever. */
			for (size_t i = 0; i < n; i++)
				asked |= r[i].begin <= at && at < r[i].end;
			ck_assert(asked && covered[at]);
		}
		n = random_ranges(&seed, covered, false, r);
		if (!n)
			continue;
		ck_assert(!ranges_overlap(&s, r, n, &at));
		ck_assert_int_eq(ranges_add(&s, r, n), 0);
		for (size_t i = 0; i < n; i++)
			memset(covered + r[i].begin, true, r[i].end - r[i].begin);
		check_levels(&s);
	}
	ranges_clear(&s);
	ck_assert(!ranges_overlap(&s, &(struct range){0, UNITS}, 1, &at));
}
END_TEST

static size_t count_all(const struct ranges *s)
{
	size_t n = 0;

	for (size_t l = 0; l < s->levels; l++)
		n += s->level[l].count;
	return n;
}

/* As several workers fill a disk, each its pieces: in the end there is one range. */
START_TEST(neighbours_become_one)
{
	struct ranges s = {0};
	uint64_t at;

	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t first = i % 2 ? i / 2 : 500 + i / 2;

		ck_assert_int_eq(ranges_add(&s, &(struct range){first * 4096, first * 4096 + 4096},
					    1),
				 0);
		check_levels(&s);
	}
	ck_assert_uint_le(count_all(&s), 12);
	ck_assert(ranges_overlap(&s, &(struct range){999 * 4096ull, 1001 * 4096ull}, 1, &at));
	ck_assert_uint_eq(at, 999 * 4096ull);
	ck_assert(!ranges_overlap(&s, &(struct range){1000 * 4096ull, 1001 * 4096ull}, 1, &at));
	ranges_clear(&s);
}
END_TEST

/* 200,000 ranges with gaps, in an order without any: a search through all of them each time would take minutes. */
START_TEST(many_are_no_burden)
{
	uint64_t began = clock_monotonic_ns(), at;
	struct ranges s = {0};

	for (uint64_t i = 0; i < MANY; i++) {
		uint64_t place = i * 75653 % MANY * 8192; /* a prime: each place once */
		struct range r = {place, place + 4096};

		ck_assert_msg(!ranges_overlap(&s, &r, 1, &at) && !ranges_add(&s, &r, 1), "range %d",
			      (int)i);
	}
	ck_assert_uint_eq(count_all(&s), MANY);
	ck_assert_uint_le(s.levels, 20);
	ck_assert(ranges_overlap(&s, &(struct range){5 * 8192 + 4095, 6 * 8192}, 1, &at));
	ck_assert_uint_lt(clock_monotonic_ns() - began, 30 * NSEC_PER_SEC);
	ranges_clear(&s);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("ranges");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, random_sets, 0, 20);
	tcase_add_test(t, neighbours_become_one);
	tcase_add_test(t, many_are_no_burden);
	return run_tcase("ranges", t);
}
