/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smoothed rate of a growing counter, in units a second, with a time constant of about ten
 * seconds. Pure; a struct meter belongs to one thread at a time and begins as all zeros.
 */
#ifndef MOBILITY_AGENT_METER_H
#define MOBILITY_AGENT_METER_H

#include <stdint.h>

struct meter {
	uint64_t last_ns, last_value;
	double rate;
};

/* A counter that went backwards (another attachment, a new start) begins anew without a jump. */
void meter_update(struct meter *m, uint64_t monotonic_ns, uint64_t value);
uint64_t meter_rate(const struct meter *m);
/* Time left for so many bytes, ns; UINT64_MAX when nothing moves. */
uint64_t meter_eta_ns(uint64_t bytes_left, uint64_t rate);

#endif
