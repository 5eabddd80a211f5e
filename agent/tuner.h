/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How hard to compress. When the senders are behind (a worker had to wait for memory), the network
 * or the appliance is the bottleneck, and stronger compression moves more; when senders wait for
 * segments, the processor is, and weaker compression does. Each worker keeps one and tells it about
 * every segment. Pure; belongs to one thread.
 */
#ifndef MOBILITY_AGENT_TUNER_H
#define MOBILITY_AGENT_TUNER_H

#include <stdbool.h>

#include "include/mobility/wire.h"

#define TUNER_STEPS 6
#define TUNER_WINDOW 16 /* segments between two decisions */

struct tuner {
	unsigned int step, seen, behind, starved;
};

void tuner_init(struct tuner *t);
/* A segment was handed over. behind: memory was waited for; starved: a sender had nothing to do. */
void tuner_segment(struct tuner *t, bool behind, bool starved);
/* The level for codec_compress now. */
int tuner_level(const struct tuner *t, enum wire_codec codec);

#endif
