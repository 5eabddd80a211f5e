// SPDX-License-Identifier: Apache-2.0
#include "agent/meter.h"
#include "agent/slice.h"
#include "tests/unit/agent/support.h"

START_TEST(slices_aim_at_their_time)
{
	/* As fast as planned: the same again; slower: smaller, but not below the least. */
	ck_assert_uint_eq(slice_next(SLICE_MIN, SLICE_TARGET_NS), SLICE_MIN);
	ck_assert_uint_eq(slice_next(SLICE_MIN, 100 * SLICE_TARGET_NS), SLICE_MIN);
	ck_assert_uint_eq(slice_next(8 * SLICE_MIN, 2 * SLICE_TARGET_NS), 4 * SLICE_MIN);
	/* Faster: larger, four times at most, and bounded. */
	ck_assert_uint_eq(slice_next(SLICE_MIN, SLICE_TARGET_NS / 2), 2 * SLICE_MIN);
	ck_assert_uint_eq(slice_next(SLICE_MIN, 1), 4 * SLICE_MIN);
	ck_assert_uint_eq(slice_next(SLICE_MIN, 0), 4 * SLICE_MIN);
	ck_assert_uint_eq(slice_next(SLICE_MAX, 1), SLICE_MAX);
	/* The last slice of a disk may be short: it does not make the next one tiny. */
	ck_assert_uint_ge(slice_next(4096, SLICE_TARGET_NS / 100), SLICE_MIN);
	for (uint64_t ns = 1; ns < SLICE_TARGET_NS * 4; ns += SLICE_TARGET_NS / 7)
		ck_assert_uint_eq(slice_next(3 * SLICE_MIN, ns) % SLICE_ALIGN, 0);
}
END_TEST

START_TEST(slices_end_aligned_or_with_the_disk)
{
	uint64_t size = 1000 * SLICE_ALIGN + 512, at = 0;
	unsigned int count = 0;

	while (at < size) {
		uint64_t end = slice_end(at, SLICE_MIN, size);

		ck_assert_uint_gt(end, at);
		ck_assert(end == size || end % SLICE_ALIGN == 0);
		at = end;
		count++;
	}
	ck_assert_uint_eq(count, 251);
	ck_assert_uint_eq(slice_end(0, SLICE_MIN, 512), 512);
	ck_assert_uint_eq(slice_end(600, SLICE_MIN, 512), 512);
	ck_assert_uint_eq(slice_end(512, SLICE_MIN, UINT64_MAX) % SLICE_ALIGN, 0);
	ck_assert_uint_eq(slice_end(0, UINT64_MAX, size), size);
}
END_TEST

START_TEST(rates_settle_and_start_anew)
{
	struct meter m = {0};
	uint64_t now = 5 * NSEC_PER_SEC, value = 0;

	for (int i = 0; i < 120; i++) {
		meter_update(&m, now, value);
		now += NSEC_PER_SEC;
		value += 1000;
	}
	ck_assert_uint_ge(meter_rate(&m), 990);
	ck_assert_uint_le(meter_rate(&m), 1010);
	/* Another counter: no jump. */
	meter_update(&m, now, 5);
	ck_assert_uint_le(meter_rate(&m), 1010);
	for (int i = 0; i < 300; i++)
		meter_update(&m, now += NSEC_PER_SEC, 5);
	ck_assert_uint_eq(meter_rate(&m), 0);
}
END_TEST

START_TEST(time_left)
{
	ck_assert_uint_eq(meter_eta_ns(0, 0), 0);
	ck_assert_uint_eq(meter_eta_ns(100, 0), UINT64_MAX);
	ck_assert_uint_eq(meter_eta_ns(100, 50), 2 * NSEC_PER_SEC);
	ck_assert_uint_eq(meter_eta_ns(UINT64_MAX, 1), UINT64_MAX);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("slice");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, slices_aim_at_their_time);
	tcase_add_test(tc, slices_end_aligned_or_with_the_disk);
	tcase_add_test(tc, rates_settle_and_start_anew);
	tcase_add_test(tc, time_left);
	return run_tcase("slice", tc);
}
