/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something may begin, in local time, to the minute; lib/week.h has the times:
 *
 *	window = "always" | "never" | times { "," times }
 *
 * "Mon-Fri 19:00-07:00, Sat, Sun": the last part of Friday's reaches into Saturday. Pure functions for any thread.
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
