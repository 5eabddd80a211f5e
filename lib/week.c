/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/week.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define ALL_DAYS 0x7fu

static void skip_blanks(const char **at)
{
	while (isblank((unsigned char)**at))
		(*at)++;
}

bool week_take_char(const char **at, char c)
{
	const char *s = *at;

	skip_blanks(&s);
	if (*s != c)
		return false;
	*at = s + 1;
	return true;
}

int week_bad(const char *text, const char *at, const char *expected, struct err *e)
{
	skip_blanks(&at);
	if (!*at)
		return err_set(e, -EINVAL, "'%.200s': %s is expected at the end", text, expected);
	return err_set(e, -EINVAL, "'%.200s': %s is expected at '%.60s'", text, expected, at);
}

int week_end(const char *text, const char *at, const char *expected, struct err *e)
{
	skip_blanks(&at);
	return *at ? week_bad(text, at, expected, e) : 0;
}

/* Of struct tm, or -1: no day is here. */
static int take_day(const char **at)
{
	static const char *const names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	const char *s = *at;

	skip_blanks(&s);
	for (int i = 0; i < 7; i++) {
		if (!strncasecmp(s, names[i], 3) && !isalpha((unsigned char)s[3])) {
			*at = s + 3;
			return i;
		}
	}
	return -1;
}

/* A list of days; *days stays 0 when there is none. A comma that no day follows is left. */
static int take_days(const char *text, const char **at, uint8_t *days, struct err *e)
{
	const char *next = *at;
	int day, last;

	while ((day = take_day(&next)) >= 0) {
		last = day;
		if (week_take_char(&next, '-') && (last = take_day(&next)) < 0)
			return week_bad(text, next, "a day (Mon to Sun)", e);
		*days |= (uint8_t)(1u << day);
		while (day != last) {
			day = (day + 1) % 7;
			*days |= (uint8_t)(1u << day);
		}
		*at = next;
		if (!week_take_char(&next, ','))
			break;
	}
	return 0;
}

/* Digits and a colon: hours are meant, right or wrong. */
static bool hours_ahead(const char *at)
{
	skip_blanks(&at);
	if (!isdigit((unsigned char)*at))
		return false;
	while (isdigit((unsigned char)*at))
		at++;
	return *at == ':';
}

/* A minute of the day, or -1. */
static int take_clock(const char **at)
{
	const char *s = *at;
	int minute;

	skip_blanks(&s);
	for (int i = 0; i < 5; i++) {
		if (i == 2 ? s[i] != ':' : !isdigit((unsigned char)s[i]))
			return -1;
	}
	if (s[3] > '5' || isdigit((unsigned char)s[5]))
		return -1;
	minute = ((s[0] - '0') * 10 + s[1] - '0') * 60 + (s[3] - '0') * 10 + s[4] - '0';
	if (minute > WEEK_DAY_MINUTES)
		return -1;
	*at = s + 5;
	return minute;
}

static int take_hours(const char *text, const char **at, struct week_times *out, struct err *e)
{
	const char *began = *at;
	int from = take_clock(at), to;

	if (from < 0 || from == WEEK_DAY_MINUTES)
		return week_bad(text, began, "HH:MM-HH:MM", e);
	if (!week_take_char(at, '-') || (to = take_clock(at)) < 0)
		return week_bad(text, *at, "-HH:MM", e);
	if (to == from)
		return week_bad(text, began, "a time that does not end when it begins", e);
	out->from = (uint16_t)from;
	out->to = (uint16_t)to;
	return 0;
}

int week_take(const char *text, const char **at, struct week_times *out, struct err *e)
{
	int r;

	*out = (struct week_times){.to = WEEK_DAY_MINUTES};
	r = take_days(text, at, &out->days, e);
	if (!r && hours_ahead(*at))
		r = take_hours(text, at, out, e);
	else if (!r && !out->days)
		r = week_bad(text, *at, "a day (Mon to Sun) or HH:MM-HH:MM", e);
	if (!out->days)
		out->days = ALL_DAYS;
	return r;
}

bool week_within(const struct week_times *w, const struct tm *local)
{
	unsigned int now = (unsigned int)(local->tm_hour * 60 + local->tm_min);
	unsigned int today = 1u << local->tm_wday, yesterday = 1u << (local->tm_wday + 6) % 7;

	if (w->from < w->to)
		return w->days & today && now >= w->from && now < w->to;
	return (w->days & today && now >= w->from) || (w->days & yesterday && now < w->to);
}
