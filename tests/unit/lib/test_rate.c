/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/rate.h"
#include "tests/unit/lib/support.h"

#define MIB (1ull << 20)
#define BEGIN NSEC_PER_SEC /* of the monotonic clock */

static struct rate r;

static void begin(const char *table)
{
	struct timetable t;
	struct err e;

	setenv("TZ", "UTC", 1);
	assert_ok(timetable_parse(table, &t, &e), &e);
	rate_init(&r, &t);
}

/* Bytes that `senders` get, who take turns, each as much as it can and all in the given time. */
static uint64_t all_get(unsigned int senders, size_t want, uint64_t from_ns, uint64_t for_ns,
			uint64_t real_ns, uint64_t *each)
{
	uint64_t wake[8] = {0}, sum = 0;

	for (uint64_t now = from_ns; now < from_ns + for_ns; now += 1000000) {
		for (unsigned int i = 0; i < senders; i++) {
			uint64_t wait;
			size_t n;

			if (wake[i] > now)
				continue;
			n = rate_take(&r, want, now, real_ns + now, &wait);
			ck_assert(n <= want && (n || wait));
			wake[i] = now + wait;
			sum += n;
			if (each)
				each[i] += n;
		}
	}
	return sum;
}

START_TEST(no_limit_lets_all_through)
{
	uint64_t wait = 1;

	begin("none");
	ck_assert_uint_eq(rate_take(&r, 5 * MIB, BEGIN, 0, &wait), 5 * MIB);
	ck_assert_uint_eq(wait, 0);
	ck_assert_uint_eq(rate_limit(&r, BEGIN, 0), 0);
}
END_TEST

START_TEST(all_senders_together_keep_the_rate)
{
	static const char *const tables[] = {"64K", "1M", "10M", "1G"};
	static const double rates[] = {65536, 1 << 20, 10 << 20, 1 << 30};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		for (unsigned int senders = 1; senders <= 8; senders *= 2) {
			uint64_t each[8] = {0}, sum;

			begin(tables[i]);
			sum = all_get(senders, 512 << 10, BEGIN, 10 * NSEC_PER_SEC, 0, each);
			/* 512 KiB a millisecond and sender are all that this loop asks for */
			if (rates[i] > 524288e3 * senders)
				continue;
			ck_assert_msg((double)sum > 9.5 * rates[i] && (double)sum < 10.3 * rates[i],
				      "%s, %u senders: %.0f B/s", tables[i], senders,
				      (double)sum / 10);
			rate_destroy(&r);
		}
	}
}
END_TEST

START_TEST(rest_is_not_saved_up)
{
	uint64_t sum;

	begin("1M");
	all_get(1, 65536, BEGIN, NSEC_PER_SEC, 0, NULL);
	sum = all_get(1, 65536, BEGIN + 3600 * NSEC_PER_SEC, NSEC_PER_SEC, 0, NULL);
	ck_assert_uint_le(sum, MIB + MIB / 8);
}
END_TEST

/* A sender reads the clock, and another is served before it. */
START_TEST(late_senders_get_no_more)
{
	uint64_t sum = 0, wait;

	begin("10M");
	for (uint64_t now = BEGIN; now < BEGIN + 10 * NSEC_PER_SEC; now += 1000000) {
		sum += rate_take(&r, 65536, now, 0, &wait);
		sum += rate_take(&r, 65536, now - 5000000, 0, &wait);
	}
	ck_assert_uint_ge(sum, 95 * MIB);
	ck_assert_uint_le(sum, 103 * MIB);
}
END_TEST

START_TEST(the_timetable_is_followed)
{
	/* the epoch began on a Thursday */
	uint64_t eight = 8 * 3600 * NSEC_PER_SEC, sum;

	begin("4M;Thu 08:00-09:00 1M");
	ck_assert_uint_eq(rate_limit(&r, BEGIN, 0), 4 * MIB);
	sum = all_get(2, 65536, BEGIN + NSEC_PER_SEC, 4 * NSEC_PER_SEC, 0, NULL);
	ck_assert_uint_gt(sum, 15 * MIB);
	sum = all_get(2, 65536, BEGIN + 60 * NSEC_PER_SEC, 4 * NSEC_PER_SEC, eight, NULL);
	ck_assert_uint_lt(sum, 5 * MIB);
	ck_assert_uint_eq(rate_limit(&r, BEGIN + 90 * NSEC_PER_SEC, eight), MIB);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("rate");

	tcase_add_test(tc, no_limit_lets_all_through);
	tcase_add_test(tc, all_senders_together_keep_the_rate);
	tcase_add_test(tc, rest_is_not_saved_up);
	tcase_add_test(tc, late_senders_get_no_more);
	tcase_add_test(tc, the_timetable_is_followed);
	return run_tcase("rate", tc);
}
