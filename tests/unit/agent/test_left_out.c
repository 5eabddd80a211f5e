// SPDX-License-Identifier: Apache-2.0
/* Ranges against a map of bytes: never less than was added, exactly that while there is room. */
#include "agent/left_out.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/agent/support.h"

#define SIZE 4096u

static bool added[SIZE];

static void check(const struct left_out *l, bool exact)
{
	bool fine = l->count <= LEFT_OUT_RANGES;

	for (unsigned int i = 0; fine && i < l->count; i++)
		fine = l->range[i].from < l->range[i].to &&
		       (!i || l->range[i - 1].to < l->range[i].from);
	for (unsigned int at = 0; fine && at < SIZE; at++) {
		bool in = left_out_touches(l, at, at + 1);

		fine = exact ? in == added[at] : in || !added[at];
	}
	ck_assert(fine);
}

START_TEST(against_a_map)
{
	struct left_out l = {0};
	bool joined = false;

	srand((unsigned int)_i);
	memset(added, 0, sizeof(added));
	for (unsigned int n = 0; n < 200; n++) {
		unsigned int from = (unsigned int)rand() % SIZE;
		unsigned int to = from + (unsigned int)rand() % 40;

		to = to < SIZE ? to : SIZE;
		/* One more may mean that two were joined. */
		joined |= l.count == LEFT_OUT_RANGES;
		left_out_add(&l, from, to);
		for (unsigned int at = from; at < to; at++)
			added[at] = true;
		check(&l, !joined);
	}
	ck_assert(joined);
}
END_TEST

START_TEST(the_nearest_are_joined)
{
	struct left_out l = {0};

	for (unsigned int i = 0; i < LEFT_OUT_RANGES; i++)
		left_out_add(&l, i * 100, i * 100 + 10 + (i == 7 ? 80 : 0));
	left_out_add(&l, 99000, 99001);
	ck_assert_uint_eq(l.count, LEFT_OUT_RANGES);
	ck_assert(left_out_touches(&l, 790, 800));
	ck_assert(!left_out_touches(&l, 890, 900));
	ck_assert(left_out_touches(&l, 99000, 99001));
	ck_assert(!left_out_touches(&l, 99001, 99002));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("left_out");

	tcase_add_loop_test(t, against_a_map, 0, 20);
	tcase_add_test(t, the_nearest_are_joined);
	return run_tcase("left_out", t);
}
