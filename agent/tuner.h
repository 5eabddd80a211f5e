/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How hard to compress. When the senders are behind (a worker had to wait for memory) and it is the
 * network that they wait for, stronger compression moves more; when they wait for the appliance,
 * which unpacks and stores, it moves nothing. When senders wait for segments, the processor is the
 * bottleneck, and weaker compression moves more. Each worker keeps one and tells it about every
 * segment. Pure; belongs to one thread.
 */
#ifndef MOBILITY_AGENT_TUNER_H
#define MOBILITY_AGENT_TUNER_H

#include <stdbool.h>
#include <stdint.h>

#include "include/mobility/wire.h"

#define TUNER_STEPS 6
#define TUNER_WINDOW 16 /* segments between two decisions */

struct tuner {
	unsigned int step, seen, behind, starved;
	uint64_t send_ns, appliance_ns; /* at the last decision */
};

struct tuner_segment {
	bool behind; /* memory was waited for */
	bool starved; /* a sender had nothing to do */
	/* What all requests took since the start, and what the appliance says it took of that. */
	uint64_t send_ns, appliance_ns;
};

void tuner_init(struct tuner *t);
/* A segment was handed over. */
void tuner_segment(struct tuner *t, const struct tuner_segment *s);
/* The level for codec_compress now. */
int tuner_level(const struct tuner *t, enum wire_codec codec);

#endif
