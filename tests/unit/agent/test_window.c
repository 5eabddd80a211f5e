// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/window.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

/* Monday 2026-11-23 00:00 UTC */
#define MONDAY 1795392000ull
#define AT(day, hour, minute)                                                                      \
	((MONDAY + (day)*86400ull + (hour)*3600ull + (minute)*60ull) * NSEC_PER_SEC)

static struct window w;

static void parse(const char *text)
{
	struct err e = {0};

	ck_assert_msg(!window_parse(text, &w, &e), "%s: %s", text, e.text);
}

static void zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

START_TEST(office_hours_are_left_out)
{
	zone("UTC");
	parse("Mon-Fri 19:00-07:00, Sat, Sun");
	ck_assert(!window_is_open(&w, AT(0, 12, 0)));
	ck_assert(!window_is_open(&w, AT(0, 18, 59)));
	ck_assert(window_is_open(&w, AT(0, 19, 0)));
	ck_assert(window_is_open(&w, AT(1, 6, 59)));
	ck_assert(!window_is_open(&w, AT(1, 7, 0)));
	ck_assert(window_is_open(&w, AT(5, 12, 0)));
	ck_assert(window_is_open(&w, AT(6, 23, 59)));
	/* Sunday ends at midnight, and Monday's begins in the evening. */
	ck_assert(!window_is_open(&w, AT(0, 3, 0)));
	ck_assert_uint_eq(window_next(&w, AT(0, 12, 30)), AT(0, 19, 0));
	ck_assert_uint_eq(window_next(&w, AT(5, 12, 30)), AT(5, 12, 30));
	/* What is not a whole minute is no reason to miss one. */
	ck_assert_uint_eq(window_next(&w, AT(0, 18, 59) + 1), AT(0, 19, 0));
}
END_TEST

START_TEST(all_forms)
{
	zone("UTC");
	parse("always");
	ck_assert(window_is_open(&w, AT(2, 3, 4)));
	parse("NEVER");
	ck_assert(!window_is_open(&w, AT(2, 3, 4)));
	ck_assert_uint_eq(window_next(&w, AT(2, 3, 4)), UINT64_MAX);
	parse(" 19:00 - 07:00 , sat,SUN ");
	ck_assert(window_is_open(&w, AT(0, 3, 0)));
	ck_assert(!window_is_open(&w, AT(3, 8, 0)));
	parse("Fri-Mon 10:00-24:00");
	ck_assert(window_is_open(&w, AT(4, 10, 0)));
	ck_assert(window_is_open(&w, AT(0, 23, 59)));
	ck_assert(!window_is_open(&w, AT(1, 10, 0)));
	/* Hours are for all days of the list before them. */
	parse("Sat, Sun 10:00-12:00");
	ck_assert(!window_is_open(&w, AT(5, 9, 59)));
	ck_assert(window_is_open(&w, AT(5, 10, 0)));
	ck_assert(window_is_open(&w, AT(6, 11, 59)));
	ck_assert(!window_is_open(&w, AT(6, 12, 0)));
	/* The last night of the week reaches into its first day. */
	parse("Sun 23:00-01:00");
	ck_assert(window_is_open(&w, AT(0, 0, 59)));
	ck_assert(!window_is_open(&w, AT(0, 1, 0)));
	ck_assert_uint_eq(window_next(&w, AT(0, 1, 0)), AT(6, 23, 0));
}
END_TEST

START_TEST(local_time_counts)
{
	zone("EST5");
	parse("Mon 19:00-20:00");
	ck_assert(!window_is_open(&w, AT(0, 19, 30)));
	ck_assert(window_is_open(&w, AT(1, 0, 30)));
	zone("UTC");
}
END_TEST

/* On the day that the clocks go forward, 2026-03-08, the window's time does not come. */
START_TEST(a_week_without_the_window)
{
	const uint64_t march_1_3h = 1772352000 * NSEC_PER_SEC;
	const uint64_t march_15_2h15 = 1773555300 * NSEC_PER_SEC;

	zone("EST5EDT,M3.2.0,M11.1.0");
	parse("Sun 02:15-02:45");
	ck_assert_uint_eq(window_next(&w, march_1_3h), march_15_2h15);
	zone("UTC");
}
END_TEST

START_TEST(mistakes_are_refused)
{
	static const char *const bad[] = {
		"",
		"Mon-",
		"Monday",
		"Mon 19-07",
		"Mon 19:00",
		"Mon 25:00-26:00",
		"19:60-20:00",
		"10:00-10:00",
		"Mon Tue",
		"Mon,,Tue",
		"Mon, ",
		"24:00-02:00",
		"Mon 1:00-2:00",
		"always, Mon",
		"10:00-11:000",
	};
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		e.text[0] = '\0';
		ck_assert_msg(window_parse(bad[i], &w, &e) == -EINVAL, "'%s' was taken", bad[i]);
		ck_assert_ptr_nonnull(strstr(e.text, bad[i]));
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("window");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, office_hours_are_left_out);
	tcase_add_test(tc, all_forms);
	tcase_add_test(tc, local_time_counts);
	tcase_add_test(tc, a_week_without_the_window);
	tcase_add_test(tc, mistakes_are_refused);
	return run_tcase("window", tc);
}
