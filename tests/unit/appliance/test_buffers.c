/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers come back to who wants one of their size, and not more of them stay than allowed. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/buffers.h"
#include "lib/cleanup.h"
#include "tests/unit/run_tcase.h"

#define MIB (1u << 20)

static struct buffers b;

static void setup(void)
{
	buffers_init(&b, 4 * MIB);
}

static void teardown(void)
{
	buffers_clear(&b);
}

START_TEST(a_large_one_is_used_again)
{
	uint8_t *first = buffers_take(&b, MIB + 1), *second;

	memset(first, 1, MIB + 1);
	buffers_give(&b, first);
	ck_assert_uint_ge(b.idle_bytes, MIB + 1);
	second = buffers_take(&b, MIB);
	ck_assert_ptr_eq(second, first);
	ck_assert_uint_eq(b.idle_bytes, 0);
	memset(second, 2, MIB);
	buffers_give(&b, second);
}
END_TEST

START_TEST(a_small_one_is_not_kept)
{
	void *p = buffers_take(&b, BUFFERS_LARGE - 1);

	buffers_give(&b, p);
	ck_assert_uint_eq(b.idle_bytes, 0);
	buffers_give(&b, NULL);
}
END_TEST

START_TEST(none_is_too_small_or_much_too_large)
{
	void *large = buffers_take(&b, 3 * MIB), *small, *larger;

	buffers_give(&b, large);
	small = buffers_take(&b, MIB);
	ck_assert_ptr_ne(small, large);
	larger = buffers_take(&b, 3 * MIB + BUFFERS_STEP);
	ck_assert_ptr_ne(larger, large);
	memset(larger, 1, 3 * MIB + BUFFERS_STEP);
	ck_assert_uint_eq(b.idle_bytes, 3 * MIB);
	buffers_give(&b, small);
	buffers_give(&b, larger);
}
END_TEST

START_TEST(the_smallest_that_fits_is_taken)
{
	void *two = buffers_take(&b, 2 * MIB), *less = buffers_take(&b, 2 * MIB - BUFFERS_STEP);

	buffers_give(&b, less);
	buffers_give(&b, two);
	ck_assert_ptr_eq(buffers_take(&b, MIB + BUFFERS_STEP), less);
	ck_assert_ptr_eq(buffers_take(&b, MIB + BUFFERS_STEP), two);
	buffers_give(&b, less);
	buffers_give(&b, two);
}
END_TEST

START_TEST(what_was_not_wanted_longest_goes_first)
{
	void *p[3];

	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = buffers_take(&b, 2 * MIB);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		buffers_give(&b, p[i]);
		ck_assert_uint_le(b.idle_bytes, 4 * MIB);
	}
	ck_assert_uint_eq(b.idle_bytes, 4 * MIB);
	ck_assert_ptr_eq(buffers_take(&b, 2 * MIB), p[2]);
	ck_assert_ptr_eq(buffers_take(&b, 2 * MIB), p[1]);
	ck_assert_uint_eq(b.idle_bytes, 0);
	buffers_give(&b, p[1]);
	buffers_give(&b, p[2]);
	/* larger than all that may stay */
	buffers_give(&b, buffers_take(&b, 5 * MIB));
	ck_assert_uint_le(b.idle_bytes, 4 * MIB);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("buffers");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_large_one_is_used_again);
	tcase_add_test(tc, a_small_one_is_not_kept);
	tcase_add_test(tc, none_is_too_small_or_much_too_large);
	tcase_add_test(tc, the_smallest_that_fits_is_taken);
	tcase_add_test(tc, what_was_not_wanted_longest_goes_first);
	return run_tcase("buffers", tc);
}
