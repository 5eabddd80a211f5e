/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times of the week, in local time, to the minute:
 *
 *	window = "always" | "never" | item { "," item }
 *	item   = days | time | days time
 *	days   = day | day "-" day		Mon Tue Wed Thu Fri Sat Sun; Fri-Mon goes over Sunday
 *	time   = HH:MM "-" HH:MM		to 24:00; an end before the beginning is on the next day
 *
 * Days without a time are whole days, a time without days is every day's. "Mon-Fri 19:00-07:00, Sat, Sun": the last part of Friday's reaches into
 * Saturday. Blanks may be around every part. Pure functions for any thread.
 */
#ifndef MOBILITY_AGENT_WINDOW_H
#define MOBILITY_AGENT_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define WINDOW_MINUTES (7 * 24 * 60)

struct window {
	uint8_t open[WINDOW_MINUTES / 8]; /* a bit a minute, from Monday 00:00 on */
};

/* -EINVAL with what is wrong in *e. */
int window_parse(const char *text, struct window *w, struct err *e);
bool window_is_open(const struct window *w, uint64_t realtime_ns);
/* When it is open next: realtime_ns itself if it is; UINT64_MAX: never. */
uint64_t window_next(const struct window *w, uint64_t realtime_ns);

#endif
