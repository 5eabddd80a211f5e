/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time of replication goes: for each stage of the data path, how long it took, how many
 * bytes went through it and how often. Grows for ever; whoever reads takes differences. Any thread
 * may add and read at any time.
 */
#ifndef MOBILITY_AGENT_STAGES_H
#define MOBILITY_AGENT_STAGES_H

#include <stdatomic.h>
#include <stdint.h>

enum stage {
	STAGE_READ, /* reading the disk */
	STAGE_DIGEST, /* zero detection and SHA-256 of what was read */
	STAGE_COMPRESS, /* compressing it into a segment */
	STAGE_SEND, /* a segment from the beginning of its request to its durable ack */
	STAGE_WAIT_MEMORY, /* waiting for room in the byte budget: the network or the appliance is behind */
	STAGE_COUNT,
};

struct stages {
	_Atomic uint64_t ns[STAGE_COUNT], bytes[STAGE_COUNT], count[STAGE_COUNT];
	/* As the appliance's answers to segments tell: all its work on one, and its disk's part. */
	_Atomic uint64_t appliance_ns, appliance_disk_ns;
	/* Segments whose connection broke when some of their bytes were on the wire. */
	_Atomic uint64_t broken;
};

void stage_add(struct stages *s, enum stage st, uint64_t ns, uint64_t bytes);
const char *stage_name(enum stage st); /* "read" "digest" "compress" "send" "wait_memory" */

/*
 * Add what a Server-Timing header of the appliance says: "verify;dur=MS, disk;dur=MS". Metrics of
 * other names, and what is not understood, count nothing.
 */
void stages_add_timing(struct stages *s, const char *header);

#endif
