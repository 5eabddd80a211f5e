/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/timetable.h"

#include <errno.h>
#include <string.h>

#include "lib/clock.h"

#define RATE "a rate (at least 1K, as 500K or 2M, or none)"

/* Up to the next blank or the end of the part. */
static int take_rate(const char *text, const char **at, uint64_t *rate, struct err *e)
{
	const char *s = *at;
	char word[32];
	size_t len;

	s += strspn(s, " \t");
	len = strcspn(s, " \t;");
	if (len >= sizeof(word))
		return week_bad(text, s, RATE, e);
	memcpy(word, s, len);
	word[len] = '\0';
	*rate = 0;
	if (strcmp(word, "none") && (size_parse(word, rate) || *rate < TIMETABLE_RATE_MIN))
		return week_bad(text, s, RATE, e);
	*at = s + len;
	return 0;
}

int timetable_parse(const char *text, struct timetable *out, struct err *e)
{
	const char *at = text;
	int r;

	*out = (struct timetable){0};
	r = take_rate(text, &at, &out->rate, e);
	while (!r && week_take_char(&at, ';')) {
		struct timetable_window *w = &out->window[out->count];

		if (out->count == TIMETABLE_WINDOWS)
			return err_set(e, -EINVAL, "'%.60s' is one window too many (at most %d)",
				       at + strspn(at, " \t"), TIMETABLE_WINDOWS);
		out->count++;
		r = week_take(text, &at, &w->when, e);
		if (!r)
			r = take_rate(text, &at, &w->rate, e);
	}
	return r ? r : week_end(text, at, "a semicolon or the end", e);
}

uint64_t timetable_at(const struct timetable *t, const struct tm *local)
{
	uint64_t rate = t->rate;

	for (unsigned int i = 0; i < t->count; i++) {
		if (week_within(&t->window[i].when, local))
			rate = t->window[i].rate;
	}
	return rate;
}
