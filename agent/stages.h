/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the time of replication goes: counters for each stage, in sum over all threads since the
 * start. Any thread; atomics.
 */
#ifndef MOBILITY_AGENT_STAGES_H
#define MOBILITY_AGENT_STAGES_H

#include <stdatomic.h>
#include <stdint.h>

enum stage { STAGE_READ, STAGE_DIGEST, STAGE_COMPRESS, STAGE_SEND, STAGE_WAIT_MEMORY, STAGE_COUNT };

struct stages {
	_Atomic uint64_t ns[STAGE_COUNT], bytes[STAGE_COUNT], count[STAGE_COUNT];
	/* of the appliance, by its own word, within STAGE_SEND */
	_Atomic uint64_t appliance_ns, appliance_disk_ns;
};

void stage_add(struct stages *s, enum stage st, uint64_t ns, uint64_t bytes);

#endif
