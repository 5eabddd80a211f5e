/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing what was read with what the appliance has, by digest tree: the digests of nodes come ahead of the reading (digest_feed.h); only where a node
 * differs the appliance is asked for those of its blocks. What was read stays in the worker's buffer meanwhile, because a granule of a sealed
 * epoch can be read once. An appliance that knows no nodes is asked for every block.
 *
 * begin and end: the session, around a drain. expected: a worker.
 */
#ifndef MOBILITY_AGENT_COMPARE_H
#define MOBILITY_AGENT_COMPARE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

struct agent;
struct disk;
struct worker;

/* The comparing of [from, to) of d begins: its node digests are asked for from now on. Without memory it does without. */
void compare_begin(struct agent *a, struct disk *d, uint64_t from, uint64_t to);
void compare_end(struct disk *d); /* also when it was not begun */

/* A worker goes on with a piece that ends at `end`: what it asked for before is of another one. */
void compare_piece(struct worker *w, uint64_t end);

/*
 * What the appliance has of the blocks of [offset, offset + len): own has their digests as they were read, expected gets as many. offset is a multiple of
 * a block, len too unless the disk ends there. Errors are those of worker_ask_digests.
 */
int compare_expected(struct worker *w, struct disk *d, uint64_t offset, size_t len,
		     const uint8_t *own, uint8_t *expected, struct err *e);

#endif
