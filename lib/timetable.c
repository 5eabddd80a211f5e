/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/timetable.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

#define ALL_DAYS 0x7fu
#define DAY_MINUTES 1440u
#define WORDS_MAX 3

static int parse_rate(const char *word, uint64_t *rate)
{
	if (!strcmp(word, "none")) {
		*rate = 0;
		return 0;
	}
	if (size_parse(word, rate) || *rate < TIMETABLE_RATE_MIN)
		return -EINVAL;
	return 0;
}

static int parse_day(const char *name, size_t len)
{
	static const char *const names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

	for (int i = 0; i < 7; i++) {
		if (len == 3 && !strncasecmp(name, names[i], 3))
			return i;
	}
	return -EINVAL;
}

/* DAY or DAY-DAY, which may go over the end of the week. */
static int parse_days_part(const char *part, uint8_t *days)
{
	const char *dash = strchr(part, '-');
	int first = parse_day(part, dash ? (size_t)(dash - part) : strlen(part));
	int last = dash ? parse_day(dash + 1, strlen(dash + 1)) : first;

	if (first < 0 || last < 0)
		return -EINVAL;
	for (int day = first;; day = (day + 1) % 7) {
		*days |= (uint8_t)(1u << day);
		if (day == last)
			return 0;
	}
}

static int parse_days(char *word, uint8_t *days)
{
	char *save, *part = strtok_r(word, ",", &save);
	int r = part ? 0 : -EINVAL;

	*days = 0;
	for (; !r && part; part = strtok_r(NULL, ",", &save))
		r = parse_days_part(part, days);
	return r;
}

static bool is_clock(const char *s)
{
	return isdigit((unsigned char)s[0]) && isdigit((unsigned char)s[1]) && s[2] == ':' &&
	       isdigit((unsigned char)s[3]) && isdigit((unsigned char)s[4]);
}

static unsigned int clock_minutes(const char *s)
{
	return (unsigned int)((s[0] - '0') * 10 + s[1] - '0') * 60 +
	       (unsigned int)((s[3] - '0') * 10 + s[4] - '0');
}

/* HH:MM-HH:MM; 24:00 is the end of the day. */
static int parse_hours(const char *word, struct timetable_window *w)
{
	unsigned int from, to;

	if (strlen(word) != 11 || !is_clock(word) || word[5] != '-' || !is_clock(word + 6) ||
	    word[3] > '5' || word[9] > '5')
		return -EINVAL;
	from = clock_minutes(word);
	to = clock_minutes(word + 6);
	if (from >= DAY_MINUTES || to > DAY_MINUTES || from == to)
		return -EINVAL;
	w->from = (uint16_t)from;
	w->to = (uint16_t)to;
	return 0;
}

/* [DAYS] [HOURS] RATE, at least one of the first two. */
static int parse_window(char *text, struct timetable_window *w)
{
	char *word[WORDS_MAX + 1], *save;
	int n = 0, r;

	for (char *s = strtok_r(text, " \t", &save); s; s = strtok_r(NULL, " \t", &save)) {
		if (n == WORDS_MAX)
			return -EINVAL;
		word[n++] = s;
	}
	if (n < 2)
		return -EINVAL;
	*w = (struct timetable_window){.days = ALL_DAYS, .to = DAY_MINUTES};
	r = parse_rate(word[n - 1], &w->rate);
	if (!r && isalpha((unsigned char)word[0][0]))
		r = parse_days(word[0], &w->days);
	else if (!r && n == WORDS_MAX)
		r = -EINVAL;
	else if (!r)
		r = parse_hours(word[0], w);
	if (!r && n == WORDS_MAX)
		r = parse_hours(word[1], w);
	return r;
}

static char *trim(char *s)
{
	size_t len;

	s += strspn(s, " \t");
	len = strlen(s);
	while (len && isspace((unsigned char)s[len - 1]))
		s[--len] = '\0';
	return s;
}

/* The part is changed while it is parsed; quoted is for the sentence. */
static int parse_part(char *part, unsigned int index, struct timetable *out)
{
	if (index == 0)
		return parse_rate(part, &out->rate);
	if (out->count == TIMETABLE_WINDOWS)
		return -E2BIG;
	return parse_window(part, &out->window[out->count++]);
}

int timetable_parse(const char *text, struct timetable *out, struct err *e)
{
	_cleanup_free_ char *copy = strdup(text);
	char *next = copy, *part, quoted[64];
	unsigned int index = 0;
	int r = copy ? 0 : -ENOMEM;

	*out = (struct timetable){0};
	if (r)
		return err_set(e, r, "out of memory");
	while ((part = strsep(&next, ";"))) {
		part = trim(part);
		strncpy(quoted, part, sizeof(quoted) - 1);
		quoted[sizeof(quoted) - 1] = '\0';
		r = parse_part(part, index++, out);
		if (r)
			return err_set(e, r == -E2BIG ? -EINVAL : r,
				       r == -E2BIG ? "'%s' is one window too many (at most 16)"
						   : "'%s' is no rate of a timetable such as "
						     "10M;Mon-Fri 08:00-18:00 2M",
				       quoted);
	}
	return 0;
}

bool timetable_within(const struct timetable_window *w, const struct tm *local)
{
	unsigned int now = (unsigned int)(local->tm_hour * 60 + local->tm_min);
	unsigned int today = 1u << local->tm_wday, yesterday = 1u << (local->tm_wday + 6) % 7;

	if (w->from < w->to)
		return w->days & today && now >= w->from && now < w->to;
	return (w->days & today && now >= w->from) || (w->days & yesterday && now < w->to);
}

uint64_t timetable_at(const struct timetable *t, const struct tm *local)
{
	uint64_t rate = t->rate;

	for (unsigned int i = 0; i < t->count; i++) {
		if (timetable_within(&t->window[i], local))
			rate = t->window[i].rate;
	}
	return rate;
}
