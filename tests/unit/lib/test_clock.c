/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "tests/unit/lib/support.h"

START_TEST(clocks_go_forward)
{
	uint64_t m = clock_monotonic_ns(), r = clock_realtime_ns();

	usleep(2000);
	ck_assert_uint_ge(clock_monotonic_ns(), m + 2000000);
	ck_assert_uint_gt(clock_realtime_ns(), 1700000000ull * NSEC_PER_SEC);
	ck_assert_uint_ne(clock_realtime_ns(), r);
}
END_TEST

START_TEST(utc_text)
{
	char out[32];

	ck_assert_str_eq(clock_format_utc(0, out), "1970-01-01T00:00:00Z");
	ck_assert_str_eq(clock_format_utc(1769854830999999999ull, out), "2026-01-31T10:20:30Z");
	clock_format_utc(UINT64_MAX, out);
	ck_assert_str_eq(out, "2554-07-21T23:34:33Z");
}
END_TEST

START_TEST(sizes_for_people)
{
	static const struct {
		uint64_t v;
		const char *text;
	} t[] = {
		{0, "0 B"},
		{412, "412 B"},
		{1023, "1023 B"},
		{1024, "1.0 KiB"},
		{1536, "1.5 KiB"},
		{1048575, "1.0 MiB"},
		{3435973837ull, "3.2 GiB"},
		{1ull << 40, "1.0 TiB"},
		{UINT64_MAX, "16.0 EiB"},
	};
	char out[32];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_str_eq(size_format(t[i].v, out), t[i].text);
}
END_TEST

START_TEST(durations_for_people)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} t[] = {
		{0, "0 ms"},
		{350000, "350 us"},
		{1500000, "1.5 ms"},
		{850000000, "850 ms"},
		{999999999, "999 ms"},
		{NSEC_PER_SEC, "1 s"},
		{1950000000, "1.9 s"},
		{12 * NSEC_PER_SEC, "12 s"},
		{59999999999, "59 s"},
		{60 * NSEC_PER_SEC, "1 min"},
		{200 * NSEC_PER_SEC, "3 min 20 s"},
		{18720 * NSEC_PER_SEC, "5 h 12 min"},
		{86400 * NSEC_PER_SEC, "1 d"},
		{100 * 3600 * NSEC_PER_SEC, "4 d 4 h"},
	};
	char out[32];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_str_eq(duration_format(t[i].ns, out), t[i].text);
	duration_format(UINT64_MAX, out);
	ck_assert_uint_lt(strlen(out), 32);
}
END_TEST

START_TEST(sizes_are_parsed_strictly)
{
	static const struct {
		const char *s;
		int r;
		uint64_t v;
	} t[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"512B", 0, 512},
		{"4KiB", 0, 4096},
		{"4K", 0, 4096},
		{"64M", 0, 64 << 20},
		{"1G", 0, 1 << 30},
		{"2TiB", 0, 2ull << 40},
		{"18446744073709551615", 0, UINT64_MAX},
		{"", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 K", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1k", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1K ", -EINVAL, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"16777216T", -ERANGE, 0},
		{"1Ki", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 0;

		ck_assert_msg(size_parse(t[i].s, &v) == t[i].r, "\"%s\"", t[i].s);
		if (t[i].r == 0)
			ck_assert_uint_eq(v, t[i].v);
	}
}
END_TEST

START_TEST(durations_are_parsed_strictly)
{
	static const struct {
		const char *s;
		int r;
		uint64_t v;
	} t[] = {
		{"500ms", 0, 500000000},
		{"10s", 0, 10 * NSEC_PER_SEC},
		{"5m", 0, 300 * NSEC_PER_SEC},
		{"24h", 0, 86400 * NSEC_PER_SEC},
		{"7d", 0, 604800 * NSEC_PER_SEC},
		{"0", 0, 0},
		{"3us", 0, 3000},
		{"10", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"1.5s", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"1w", -EINVAL, 0},
		{"213504d", -ERANGE, 0},
		{"99999999999999999999s", -ERANGE, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 1;

		ck_assert_msg(duration_parse(t[i].s, &v) == t[i].r, "\"%s\"", t[i].s);
		if (t[i].r == 0)
			ck_assert_uint_eq(v, t[i].v);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("clock");

	tcase_add_test(tc, clocks_go_forward);
	tcase_add_test(tc, utc_text);
	tcase_add_test(tc, sizes_for_people);
	tcase_add_test(tc, durations_for_people);
	tcase_add_test(tc, sizes_are_parsed_strictly);
	tcase_add_test(tc, durations_are_parsed_strictly);
	return run_tcase("clock", tc);
}
