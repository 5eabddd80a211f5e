/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times of the week as people write them in a configuration file, in local time, to the minute:
 *
 *	times = days | hours | days hours	"Mon-Fri 19:00-07:00"	"Sat, Sun"	"08:00-18:00"
 *	days  = part { "," part }
 *	part  = day | day "-" day		Mon Tue Wed Thu Fri Sat Sun, in any case; Fri-Mon goes over Sunday
 *	hours = HH:MM "-" HH:MM			to 24:00; an end before the beginning is on the next day
 *
 * Days without hours are whole days, hours without days are every day's. Blanks may be around every part. Hours that go over midnight belong to the day
 * on which they begin. Pure functions for any thread.
 */
#ifndef MOBILITY_WEEK_H
#define MOBILITY_WEEK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "lib/err.h"

#define WEEK_DAY_MINUTES (24 * 60)

struct week_times {
	uint8_t days; /* bit n: day n of struct tm, 0 is Sunday */
	uint16_t from, to; /* minutes of the day; to <= from: until then on the next day */
};

/*
 * Take times at *at, which moves past them. text is all of what *at is in, for the sentence: -EINVAL
 * says what is expected, and where.
 */
int week_take(const char *text, const char **at, struct week_times *out, struct err *e);
/* Take c, and the blanks before it. */
bool week_take_char(const char **at, char c);
/* The sentence of week_take() for what follows the times. */
int week_bad(const char *text, const char *at, const char *expected, struct err *e);
/* 0 if only blanks are left, else that sentence. */
int week_end(const char *text, const char *at, const char *expected, struct err *e);

/* Is the local time within the times? */
bool week_within(const struct week_times *w, const struct tm *local);

#endif
