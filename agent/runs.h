/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a dirty bitmap to pieces of work. A plan holds, for each disk of an epoch, what is dirty
 * and in which spans it is to be sent, compared or verified, and hands it out piece by piece in
 * ascending order. Pure; the caller serialises the calls on one plan. The bitmap is borrowed and
 * must not change while the plan is used.
 */
#ifndef MOBILITY_AGENT_RUNS_H
#define MOBILITY_AGENT_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIECE_SEND_BYTES (4ull << 20) /* a piece to send: the bytes of its runs */
#define PIECE_COMPARE_BYTES (32ull << 20) /* a piece to compare or verify: one run */
#define PIECE_RUNS 512

struct run {
	uint64_t offset, length; /* bytes */
};

/*
 * The next run of set bits at or after *pos (bit n is bit n % 8 of byte n / 8), within `bits`
 * bits. False: none. Else the run is [*start, *end), and *pos is moved to its end.
 */
bool runs_next(const uint8_t *bitmap, uint64_t bits, uint64_t *pos, uint64_t *start, uint64_t *end);

enum piece_mode {
	PIECE_SEND, /* send what is read */
	PIECE_COMPARE, /* send what differs from the appliance's digests */
	PIECE_VERIFY, /* read again and compare with the first reading */
	PIECE_PROVE, /* compare the disk as it is with the appliance (verify.h) */
};

struct span {
	uint64_t from, to; /* bytes; from a multiple of the granule */
	enum piece_mode mode;
};

#define PLAN_SPANS 2

struct plan_disk {
	void *owner; /* handed back with the pieces */
	const uint8_t *bitmap; /* NULL: everything in the spans */
	uint64_t granules;
	unsigned int shift; /* of a granule */
	uint64_t size; /* bytes of the disk */
	struct span spans[PLAN_SPANS]; /* ascending; what no span covers is left out */
	unsigned int span_count;
	/* where the plan stands; zero at first */
	unsigned int span;
	uint64_t pos; /* bytes */
};

struct plan {
	struct plan_disk *disks; /* owned by the caller */
	size_t disk_count, disk;
};

struct piece {
	void *owner;
	enum piece_mode mode;
	unsigned int run_count;
	uint64_t bytes; /* of all runs */
	struct run run[PIECE_RUNS]; /* ascending */
};

/* False: the plan is done. */
bool plan_next(struct plan *p, struct piece *out);
/* What the spans of a disk have dirty in all, bytes. */
uint64_t plan_bytes(const struct plan_disk *d);

#endif
