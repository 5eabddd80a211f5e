/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/week.h"
#include "tests/unit/lib/support.h"

#define SUN 1
#define MON 2
#define FRI 32
#define SAT 64
#define ALL 127

static struct week_times w;
static struct err e;

START_TEST(times_are_taken_and_the_rest_is_left)
{
	static const struct {
		const char *text;
		struct week_times expected;
		const char *rest;
	} cases[] = {
		{"Mon", {MON, 0, 1440}, ""},
		{"mon-fri 2M", {62, 0, 1440}, " 2M"},
		{"Fri-Mon 09:30-24:00, Tue", {FRI | SAT | SUN | MON, 570, 1440}, ", Tue"},
		{" Sat , SUN 22:00 - 06:00;x", {SAT | SUN, 1320, 360}, ";x"},
		{"00:00-00:01", {ALL, 0, 1}, ""},
		{"Mon-Mon 500K", {MON, 0, 1440}, " 500K"},
		/* A comma belongs to the days only when a day follows. */
		{"Mon, 19:00-07:00", {MON, 0, 1440}, ", 19:00-07:00"},
		{"Mon,", {MON, 0, 1440}, ","},
		{"Mon,Tuesday", {MON, 0, 1440}, ",Tuesday"},
		{"Mon\t08:00-18:00\t2M", {MON, 480, 1080}, "\t2M"},
		{"Mon 19-07", {MON, 0, 1440}, " 19-07"},
	};
	const char *at = cases[_i].text;

	assert_ok(week_take(at, &at, &w, &e), &e);
	ck_assert_uint_eq(w.days, cases[_i].expected.days);
	ck_assert_uint_eq(w.from, cases[_i].expected.from);
	ck_assert_uint_eq(w.to, cases[_i].expected.to);
	ck_assert_str_eq(at, cases[_i].rest);
}
END_TEST

START_TEST(mistakes_say_what_is_expected_and_where)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"", "'': a day (Mon to Sun) or HH:MM-HH:MM is expected at the end"},
		{"Monday", "or HH:MM-HH:MM is expected at 'Monday'"},
		{"Mon-", "a day (Mon to Sun) is expected at the end"},
		{"Mon-Moo", "a day (Mon to Sun) is expected at 'Moo'"},
		{"Mon 8:00-18:00", " HH:MM-HH:MM is expected at '8:00-18:00'"},
		{"08:00", "-HH:MM is expected at the end"},
		{"08:00-18:60", "-HH:MM is expected at '18:60'"},
		{"08:00-18:000", "-HH:MM is expected at '18:000'"},
		{"24:00-01:00", " HH:MM-HH:MM is expected at '24:00-01:00'"},
		{"08:00-24:01", "-HH:MM is expected at '24:01'"},
		{"10:00-10:00", "does not end when it begins is expected at '10:00-10:00'"},
		{"2M", "a day (Mon to Sun) or HH:MM-HH:MM is expected at '2M'"},
	};
	const char *at = cases[_i].text;

	assert_code(week_take(at, &at, &w, &e), -EINVAL, &e);
	assert_says(&e, cases[_i].says);
}
END_TEST

static bool at(int wday, int hour, int minute)
{
	struct tm tm = {.tm_wday = wday, .tm_hour = hour, .tm_min = minute};

	return week_within(&w, &tm);
}

START_TEST(over_midnight_is_the_day_on_which_it_begins)
{
	w = (struct week_times){FRI, 22 * 60, 6 * 60};
	ck_assert(!at(5, 21, 59));
	ck_assert(at(5, 22, 0));
	ck_assert(at(6, 5, 59));
	ck_assert(!at(6, 6, 0));
	ck_assert(!at(5, 5, 0));
	w = (struct week_times){SAT, 0, 1440};
	ck_assert(at(6, 0, 0));
	ck_assert(at(6, 23, 59));
	ck_assert(!at(0, 0, 0));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("week");

	tcase_add_loop_test(tc, times_are_taken_and_the_rest_is_left, 0, 11);
	tcase_add_loop_test(tc, mistakes_say_what_is_expected_and_where, 0, 12);
	tcase_add_test(tc, over_midnight_is_the_day_on_which_it_begins);
	return run_tcase("week", tc);
}
