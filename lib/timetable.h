/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rate that depends on the time of the week, as people write it:
 *
 *	timetable = rate { ";" times rate }	"10M;Mon-Fri 08:00-18:00 2M;Sat,Sun none"
 *
 * A rate is bytes a second (size_parse()) or "none" for no limit; lib/week.h has the times. The first
 * rate holds when no window does; where windows overlap, the later one in the text wins. Pure; any
 * thread may read a timetable that nobody parses into.
 */
#ifndef MOBILITY_TIMETABLE_H
#define MOBILITY_TIMETABLE_H

#include <stdint.h>
#include <time.h>

#include "lib/err.h"
#include "lib/week.h"

#define TIMETABLE_WINDOWS 16
#define TIMETABLE_RATE_MIN 1024 /* less would let no segment through in a day */

struct timetable_window {
	struct week_times when;
	uint64_t rate; /* bytes a second; 0: no limit */
};

struct timetable {
	uint64_t rate; /* outside every window */
	unsigned int count;
	struct timetable_window window[TIMETABLE_WINDOWS];
};

/* -EINVAL with a sentence that says what is wrong, and where. */
int timetable_parse(const char *text, struct timetable *out, struct err *e);
/* The rate at that local time; 0: no limit. */
uint64_t timetable_at(const struct timetable *t, const struct tm *local);

#endif
