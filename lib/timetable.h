/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rate that depends on the time of the week, as people write it:
 *
 *	RATE[;[DAYS] [HH:MM-HH:MM] RATE]...	"10M;Mon-Fri 08:00-18:00 2M;Sat,Sun none"
 *
 * RATE is bytes a second (size_parse()) or "none" for no limit. The first one holds when no window
 * does; where windows overlap, the later one in the text wins. A window that ends at or before its
 * beginning goes on after midnight and belongs to the day on which it begins. Local time. Pure; any
 * thread may read a timetable that nobody parses into.
 */
#ifndef MOBILITY_TIMETABLE_H
#define MOBILITY_TIMETABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "lib/err.h"

#define TIMETABLE_WINDOWS 16
#define TIMETABLE_RATE_MIN 1024 /* less would let no segment through in a day */

struct timetable_window {
	uint8_t days; /* bit n: day n of struct tm, 0 is Sunday */
	uint16_t from, to; /* minutes of the day; to <= from: until then on the next day */
	uint64_t rate; /* bytes a second; 0: no limit */
};

struct timetable {
	uint64_t rate; /* outside every window */
	unsigned int count;
	struct timetable_window window[TIMETABLE_WINDOWS];
};

/* -EINVAL with a sentence that quotes the part that is wrong. */
int timetable_parse(const char *text, struct timetable *out, struct err *e);
/* The rate at that local time; 0: no limit. */
uint64_t timetable_at(const struct timetable *t, const struct tm *local);
/* Is the local time within the window? */
bool timetable_within(const struct timetable_window *w, const struct tm *local);

#endif
