// SPDX-License-Identifier: Apache-2.0
#include "agent/window.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/clock.h"

#define DAY_MINUTES (24 * 60)
#define MINUTE_NS (60 * NSEC_PER_SEC)
/* A week, and a day for what a change of the clocks may move. */
#define SEARCH_MINUTES (WINDOW_MINUTES + DAY_MINUTES)

static const char *const days[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static void skip_blanks(const char **at)
{
	while (isblank((unsigned char)**at))
		(*at)++;
}

static bool take(const char **at, char c)
{
	skip_blanks(at);
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* 0 to 6, or -1: no day is here. */
static int take_day(const char **at)
{
	skip_blanks(at);
	for (int i = 0; i < 7; i++) {
		if (!strncasecmp(*at, days[i], 3) && !isalpha((unsigned char)(*at)[3])) {
			*at += 3;
			return i;
		}
	}
	return -1;
}

/* A minute of the day, or -1. */
static int take_time(const char **at)
{
	const char *s;
	int minute;

	skip_blanks(at);
	s = *at;
	for (int i = 0; i < 5; i++) {
		if (i == 2 ? s[i] != ':' : !isdigit((unsigned char)s[i]))
			return -1;
	}
	if (s[3] > '5' || isdigit((unsigned char)s[5]))
		return -1;
	minute = ((s[0] - '0') * 10 + s[1] - '0') * 60 + (s[3] - '0') * 10 + s[4] - '0';
	if (minute > DAY_MINUTES)
		return -1;
	*at += 5;
	return minute;
}

static void open_range(struct window *w, int day, int from, int to)
{
	for (int m = day * DAY_MINUTES + from; m < day * DAY_MINUTES + to; m++)
		w->open[m % WINDOW_MINUTES / 8] |= (uint8_t)(1u << (m % 8));
}

static int bad(const char *text, const char *at, const char *wanted, struct err *e)
{
	return err_set(e, -EINVAL, "'%s': %s is expected at '%s'", text, wanted, at);
}

static int parse_item(const char *text, const char **at, struct window *w, struct err *e)
{
	int first = take_day(at), last = first, from = 0, to = DAY_MINUTES;

	if (first >= 0 && take(at, '-')) {
		last = take_day(at);
		if (last < 0)
			return bad(text, *at, "a day (Mon to Sun)", e);
	}
	skip_blanks(at);
	if (first < 0 || isdigit((unsigned char)**at)) {
		from = take_time(at);
		if (from < 0 || from == DAY_MINUTES)
			return bad(text, *at, first < 0 ? "a day or HH:MM-HH:MM" : "HH:MM-HH:MM",
				   e);
		if (!take(at, '-') || (to = take_time(at)) < 0)
			return bad(text, *at, "-HH:MM", e);
		if (to == from)
			return err_set(e, -EINVAL, "'%s': a time that ends when it begins", text);
		if (to < from)
			to += DAY_MINUTES;
	}
	if (first < 0) {
		first = 0;
		last = 6;
	}
	for (int day = first;; day = (day + 1) % 7) {
		open_range(w, day, from, to);
		if (day == last)
			return 0;
	}
}

int window_parse(const char *text, struct window *w, struct err *e)
{
	const char *at = text;
	int r;

	memset(w, 0, sizeof(*w));
	if (!strcasecmp(text, "never"))
		return 0;
	if (!strcasecmp(text, "always")) {
		memset(w, 0xff, sizeof(*w));
		return 0;
	}
	do {
		r = parse_item(text, &at, w, e);
	} while (!r && take(&at, ','));
	skip_blanks(&at);
	if (!r && *at)
		r = bad(text, at, "a comma or the end", e);
	return r;
}

bool window_is_open(const struct window *w, uint64_t realtime_ns)
{
	time_t t = (time_t)(realtime_ns / NSEC_PER_SEC);
	struct tm tm;
	int minute;

	if (!localtime_r(&t, &tm))
		return false;
	minute = (tm.tm_wday + 6) % 7 * DAY_MINUTES + tm.tm_hour * 60 + tm.tm_min;
	return w->open[minute / 8] >> (minute % 8) & 1;
}

uint64_t window_next(const struct window *w, uint64_t realtime_ns)
{
	uint64_t at = realtime_ns / MINUTE_NS * MINUTE_NS;
	struct window never = {0};

	if (window_is_open(w, realtime_ns))
		return realtime_ns;
	if (!memcmp(w, &never, sizeof(never)))
		return UINT64_MAX;
	for (int i = 0; i < SEARCH_MINUTES; i++) {
		at += MINUTE_NS;
		if (window_is_open(w, at))
			return at;
	}
	return UINT64_MAX;
}
