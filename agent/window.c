// SPDX-License-Identifier: Apache-2.0
#include "agent/window.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/week.h"

#define MINUTE_NS (60 * NSEC_PER_SEC)
/* Two weeks, for in one of them a change of the clocks may leave out all of the window, and a day for what it moves. */
#define SEARCH_MINUTES (2 * WINDOW_MINUTES + WEEK_DAY_MINUTES)

/* A minute of the week, from Monday 00:00 on, at which the day begins. */
static int begin_of(int wday)
{
	return (wday + 6) % 7 * WEEK_DAY_MINUTES;
}

static void open_times(struct window *w, const struct week_times *t)
{
	int to = t->to > t->from ? t->to : t->to + WEEK_DAY_MINUTES;

	for (int day = 0; day < 7; day++) {
		if (!(t->days >> day & 1))
			continue;
		for (int m = begin_of(day) + t->from; m < begin_of(day) + to; m++)
			w->open[m % WINDOW_MINUTES / 8] |= (uint8_t)(1u << (m % 8));
	}
}

int window_parse(const char *text, struct window *w, struct err *e)
{
	const char *at = text;
	struct week_times times;
	int r;

	memset(w, 0, sizeof(*w));
	if (!strcasecmp(text, "never"))
		return 0;
	if (!strcasecmp(text, "always")) {
		memset(w, 0xff, sizeof(*w));
		return 0;
	}
	do {
		r = week_take(text, &at, &times, e);
		if (!r)
			open_times(w, &times);
	} while (!r && week_take_char(&at, ','));
	return r ? r : week_end(text, at, "HH:MM-HH:MM, a comma or the end", e);
}

bool window_is_open(const struct window *w, uint64_t realtime_ns)
{
	time_t t = (time_t)(realtime_ns / NSEC_PER_SEC);
	struct tm tm;
	int minute;

	if (!localtime_r(&t, &tm))
		return false;
	minute = begin_of(tm.tm_wday) + tm.tm_hour * 60 + tm.tm_min;
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
