// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "agent/ctl/churn.h"
#include "agent/ctl/forecast.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

#define S NSEC_PER_SEC
#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct churn churn(const uint64_t *bytes, size_t count)
{
	return (struct churn){.bytes = bytes, .count = count, .interval_ns = S};
}

START_TEST(rates_of_intervals)
{
	uint64_t bytes[100];
	struct churn c = churn(bytes, 100);
	struct forecast_rates r;

	for (uint64_t i = 0; i < 100; i++)
		bytes[i] = (100 - i) * 1000;
	forecast_rates(&c, &r);
	ck_assert_uint_eq(r.p50, 50000);
	ck_assert_uint_eq(r.p95, 95000);
	ck_assert_uint_eq(r.max, 100000);
	ck_assert_uint_eq(r.mean, 50500);
	c.interval_ns = 10 * S;
	forecast_rates(&c, &r);
	ck_assert_uint_eq(r.max, 10000);
	c.count = 0;
	forecast_rates(&c, &r);
	ck_assert_uint_eq(r.max, 0);
}
END_TEST

START_TEST(a_burst_is_worked_off)
{
	static const uint64_t bytes[] = {0, 5000, 0, 0, 0, 0, 0, 0, 0, 0};
	struct churn c = churn(bytes, N(bytes));
	struct forecast_rpo r;

	ck_assert_int_eq(forecast_rpo(&c, 1000, &r), 0);
	ck_assert(r.keeps_up);
	ck_assert_uint_eq(r.max_ns, 6 * S); /* a second of writing, five of sending */
	ck_assert_uint_eq(r.p50_ns, 1 * S);
}
END_TEST

START_TEST(too_little_bandwidth_falls_behind)
{
	uint64_t bytes[60];
	struct churn c = churn(bytes, 60);
	struct forecast_rpo r;

	for (size_t i = 0; i < 60; i++)
		bytes[i] = 2000;
	ck_assert_int_eq(forecast_rpo(&c, 1000, &r), 0);
	ck_assert(!r.keeps_up);
	/* after a minute 60 s' worth more came than went, and the last interval is not sent yet */
	ck_assert_uint_eq(r.max_ns, 62 * S);
	ck_assert_int_eq(forecast_rpo(&c, 4000, &r), 0);
	ck_assert(r.keeps_up);
	ck_assert_uint_eq(r.max_ns, S + S / 2);
}
END_TEST

START_TEST(the_journal_grows_with_the_retention)
{
	static const uint64_t bytes[] = {1000, 3000};
	struct churn c = churn(bytes, 2);

	ck_assert_uint_eq(forecast_journal(&c, 86400 * S), 86400ull * 2000);
	ck_assert_uint_eq(forecast_journal(&c, 0), 0);
	ck_assert(forecast_overwrite(&c) == 0);
	c.distinct_bytes = 1000;
	ck_assert(forecast_overwrite(&c) == 4);
	c.count = 0;
	ck_assert_uint_eq(forecast_journal(&c, 86400 * S), 0);
}
END_TEST

START_TEST(diskstats_are_read)
{
	static const char text[] = "   7       0 loop0 1 2 3 4 5 6 7 8 9 10 11\n"
				   " 254       0 vda 100 0 800 5 200 7 4096 6 0 9 9 0 0 0 0\n"
				   " 254       1 vda1 100 0 800 5 200 7 2048 6 0 9 9 0 0 0 0\n";
	uint64_t written = 0;

	ck_assert_int_eq(churn_diskstats(text, "vda", &written), 0);
	ck_assert_uint_eq(written, 4096 * 512);
	ck_assert_int_eq(churn_diskstats(text, "vda1", &written), 0);
	ck_assert_uint_eq(written, 2048 * 512);
	ck_assert_int_eq(churn_diskstats(text, "vd", &written), -ENOENT);
	ck_assert_int_eq(churn_diskstats("", "vda", &written), -ENOENT);
	ck_assert_int_eq(churn_diskstats("garbage\n\n1 2 vda", "vda", &written), -ENOENT);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("forecast");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rates_of_intervals);
	tcase_add_test(tc, a_burst_is_worked_off);
	tcase_add_test(tc, too_little_bandwidth_falls_behind);
	tcase_add_test(tc, the_journal_grows_with_the_retention);
	tcase_add_test(tc, diskstats_are_read);
	return run_tcase("forecast", tc);
}
