/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/timetable.h"
#include "tests/unit/lib/support.h"

#define MIB (1ull << 20)

static struct timetable t;
static struct err e;

static struct tm at(int wday, int hour, int min)
{
	return (struct tm){.tm_wday = wday, .tm_hour = hour, .tm_min = min};
}

static uint64_t rate_at(int wday, int hour, int min)
{
	struct tm tm = at(wday, hour, min);

	return timetable_at(&t, &tm);
}

START_TEST(one_rate_holds_always)
{
	assert_ok(timetable_parse("10M", &t, &e), &e);
	ck_assert_uint_eq(rate_at(0, 0, 0), 10 * MIB);
	ck_assert_uint_eq(rate_at(6, 23, 59), 10 * MIB);
	assert_ok(timetable_parse("none", &t, &e), &e);
	ck_assert_uint_eq(rate_at(3, 12, 0), 0);
}
END_TEST

START_TEST(a_window_holds_from_its_first_minute_to_before_its_last)
{
	assert_ok(timetable_parse("10M; Mon-Fri 08:00-18:00 2M", &t, &e), &e);
	ck_assert_uint_eq(rate_at(1, 7, 59), 10 * MIB);
	ck_assert_uint_eq(rate_at(1, 8, 0), 2 * MIB);
	ck_assert_uint_eq(rate_at(5, 17, 59), 2 * MIB);
	ck_assert_uint_eq(rate_at(5, 18, 0), 10 * MIB);
	ck_assert_uint_eq(rate_at(6, 12, 0), 10 * MIB);
	ck_assert_uint_eq(rate_at(0, 12, 0), 10 * MIB);
}
END_TEST

START_TEST(a_window_over_midnight_belongs_to_the_day_on_which_it_begins)
{
	assert_ok(timetable_parse("none;Fri 22:00-06:00 1M", &t, &e), &e);
	ck_assert_uint_eq(rate_at(5, 5, 0), 0);
	ck_assert_uint_eq(rate_at(5, 22, 0), MIB);
	ck_assert_uint_eq(rate_at(6, 5, 59), MIB);
	ck_assert_uint_eq(rate_at(6, 6, 0), 0);
	ck_assert_uint_eq(rate_at(6, 22, 0), 0);
	assert_ok(timetable_parse("none;Sat 22:00-06:00 1M", &t, &e), &e);
	ck_assert_uint_eq(rate_at(0, 1, 0), MIB); /* over the end of the week */
}
END_TEST

START_TEST(the_later_window_wins)
{
	assert_ok(timetable_parse("8M;09:00-17:00 2M;Wed 12:00-24:00 4M;sat,SUN none", &t, &e), &e);
	ck_assert_uint_eq(rate_at(3, 11, 59), 2 * MIB);
	ck_assert_uint_eq(rate_at(3, 12, 0), 4 * MIB);
	ck_assert_uint_eq(rate_at(3, 23, 59), 4 * MIB);
	ck_assert_uint_eq(rate_at(4, 0, 0), 8 * MIB);
	ck_assert_uint_eq(rate_at(6, 10, 0), 0);
	ck_assert_uint_eq(rate_at(0, 10, 0), 0);
}
END_TEST

START_TEST(days_go_over_the_end_of_the_week)
{
	assert_ok(timetable_parse("1M;Fri-Mon 2M", &t, &e), &e);
	for (int day = 0; day < 7; day++)
		ck_assert_uint_eq(rate_at(day, 3, 0),
				  day == 5 || day == 6 || day < 2 ? 2 * MIB : MIB);
}
END_TEST

START_TEST(what_is_wrong_is_quoted)
{
	static const char *const wrong[] = {
		"",
		"fast",
		"1023",
		"10M;",
		"10M;;",
		"10M;2M",
		"10M;Mon-Fri",
		"10M;Mon-Fri 08:00-18:00",
		"10M;Mon-Fri 8:00-18:00 2M",
		"10M;Mon-Fri 08:00-18:60 2M",
		"10M;Mon-Fri 08:00-24:01 2M",
		"10M;24:00-01:00 2M",
		"10M;08:00-08:00 2M",
		"10M;Monday 2M",
		"10M;Mon- 2M",
		"10M;,Mon,, 08:00-18:00 xM",
		"10M;08:00-18:00 Mon 2M",
		"10M;Mon 08:00-18:00 2M now",
		"10M;Mon 00000000000000000000000000000000000002M",
	};

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		ck_assert_msg(timetable_parse(wrong[i], &t, &e) == -EINVAL, "\"%s\"", wrong[i]);
	timetable_parse("10M;Mon 08:00-18:00 2Q;Sat 1M", &t, &e);
	assert_says(&e, "at '2Q;Sat 1M'");
	assert_says(&e, "or none");
	timetable_parse("10M;Mon-Fri 8:00-18:00 2M", &t, &e);
	assert_says(&e, "HH:MM-HH:MM is expected at '8:00-18:00 2M'");
	timetable_parse("10M;Mon-Fri", &t, &e);
	assert_says(&e, "is expected at the end");
	timetable_parse("10M;Monday 2M", &t, &e);
	assert_says(&e, "a day (Mon to Sun) or HH:MM-HH:MM is expected at 'Monday 2M'");
}
END_TEST

START_TEST(windows_are_bounded)
{
	char text[1024] = "1M";

	for (int i = 0; i < TIMETABLE_WINDOWS; i++)
		strcat(text, ";Mon 2M");
	assert_ok(timetable_parse(text, &t, &e), &e);
	strcat(text, ";Mon 2M");
	assert_code(timetable_parse(text, &t, &e), -EINVAL, &e);
	assert_says(&e, "at most 16");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("timetable");

	tcase_add_test(tc, one_rate_holds_always);
	tcase_add_test(tc, a_window_holds_from_its_first_minute_to_before_its_last);
	tcase_add_test(tc, a_window_over_midnight_belongs_to_the_day_on_which_it_begins);
	tcase_add_test(tc, the_later_window_wins);
	tcase_add_test(tc, days_go_over_the_end_of_the_week);
	tcase_add_test(tc, what_is_wrong_is_quoted);
	tcase_add_test(tc, windows_are_bounded);
	return run_tcase("timetable", tc);
}
