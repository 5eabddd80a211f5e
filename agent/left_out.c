// SPDX-License-Identifier: Apache-2.0
#include "agent/left_out.h"

#include <string.h>

/* Ranges first .. last become one. */
static void join(struct left_out *l, unsigned int first, unsigned int last)
{
	if (l->range[last].to > l->range[first].to)
		l->range[first].to = l->range[last].to;
	memmove(&l->range[first + 1], &l->range[last + 1],
		(l->count - last - 1) * sizeof(*l->range));
	l->count -= last - first;
}

/* The two with the least between them. */
static void join_nearest(struct left_out *l)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i + 1 < l->count; i++) {
		if (l->range[i + 1].from - l->range[i].to <
		    l->range[best + 1].from - l->range[best].to)
			best = i;
	}
	join(l, best, best + 1);
}

void left_out_add(struct left_out *l, uint64_t from, uint64_t to)
{
	unsigned int at = 0, last;

	if (from >= to)
		return;
	if (l->count == LEFT_OUT_RANGES)
		join_nearest(l);
	while (at < l->count && l->range[at].to < from)
		at++;
	memmove(&l->range[at + 1], &l->range[at], (l->count - at) * sizeof(*l->range));
	l->range[at].from = from;
	l->range[at].to = to;
	l->count++;
	for (last = at; last + 1 < l->count && l->range[last + 1].from <= to; last++) {
		if (l->range[last + 1].from < l->range[at].from)
			l->range[at].from = l->range[last + 1].from;
	}
	join(l, at, last);
}

bool left_out_touches(const struct left_out *l, uint64_t from, uint64_t to)
{
	for (unsigned int i = 0; i < l->count; i++) {
		if (l->range[i].from < to && from < l->range[i].to)
			return true;
	}
	return false;
}
