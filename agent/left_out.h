/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where initial replication left something out of a disk (skip.h), in a few ranges that the state can keep: what lies there may differ from
 * its replica though nothing is wrong, also long after it is no longer swap or free. Never less than what was left out; where there are many ranges,
 * the nearest become one. Pure; a struct left_out belongs to one thread at a time.
 */
#ifndef MOBILITY_AGENT_LEFT_OUT_H
#define MOBILITY_AGENT_LEFT_OUT_H

#include <stdbool.h>
#include <stdint.h>

#define LEFT_OUT_RANGES 32

struct left_out {
	unsigned int count;
	struct {
		uint64_t from, to; /* bytes of the disk */
	} range[LEFT_OUT_RANGES]; /* ascending, with something between them */
};

void left_out_add(struct left_out *l, uint64_t from, uint64_t to);
/* Is a byte of [from, to) in it? */
bool left_out_touches(const struct left_out *l, uint64_t from, uint64_t to);

#endif
