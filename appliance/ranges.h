/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of ranges that do not overlap, to be asked whether another range does. Levels of sorted ranges, merged pairwise as they grow, neighbours
 * joined: adding n ranges one by one takes n log n steps, asking for one log² n, and what fills up without gaps takes no memory. 16 bytes a range.
 * The caller locks.
 */
#ifndef APPLIANCE_RANGES_H
#define APPLIANCE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t begin, end; /* begin < end */
};

/* Each level has more than twice what the next has. */
#define RANGES_LEVELS 64

struct ranges {
	struct {
		struct range *range;
		size_t count;
	} level[RANGES_LEVELS]; /* the largest first */
	size_t levels;
};

void ranges_clear(struct ranges *s);
/* Add count ascending ranges, none of which overlaps another or one of the set. -ENOMEM: the set is unchanged. */
int ranges_add(struct ranges *s, const struct range *r, size_t count);
/* Does one of these ascending ranges overlap one of the set? *at is where. */
bool ranges_overlap(const struct ranges *s, const struct range *r, size_t count, uint64_t *at);

#endif
