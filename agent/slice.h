/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of a disk one epoch of initial replication or resynchronisation takes. A slice should
 * last about SLICE_TARGET_NS: short enough that deltas go on flowing, that little is preserved
 * meanwhile and that little is repeated after an interruption; long enough that opening and
 * committing an epoch costs nothing. Pure.
 */
#ifndef MOBILITY_AGENT_SLICE_H
#define MOBILITY_AGENT_SLICE_H

#include <stdint.h>

#include "lib/clock.h"

#define SLICE_MIN (64ull << 20)
#define SLICE_MAX (64ull << 30)
#define SLICE_ALIGN (16ull << 20) /* the largest granule, and a multiple of WIRE_BLOCK */
#define SLICE_TARGET_NS (5 * NSEC_PER_SEC)

/*
 * The slice after one of `length` bytes took `elapsed_ns`; at most four times larger, a multiple
 * of SLICE_ALIGN.
 */
uint64_t slice_next(uint64_t length, uint64_t elapsed_ns);
/* Where the slice that begins at `from` ends on a disk of `size` bytes. */
uint64_t slice_end(uint64_t from, uint64_t length, uint64_t size);

#endif
