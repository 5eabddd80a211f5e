// SPDX-License-Identifier: Apache-2.0
#include "agent/meter.h"

#include "lib/clock.h"

#define TIME_CONSTANT_S 10.0

void meter_update(struct meter *m, uint64_t monotonic_ns, uint64_t value)
{
	double seconds, rate, weight;

	if (!m->last_ns || value < m->last_value || monotonic_ns < m->last_ns) {
		m->last_ns = monotonic_ns;
		m->last_value = value;
		return;
	}
	seconds = (double)(monotonic_ns - m->last_ns) / (double)NSEC_PER_SEC;
	if (seconds < 0.05)
		return;
	rate = (double)(value - m->last_value) / seconds;
	/* 1 - exp(-t) is t / (1 + t) to the accuracy that an estimate needs. */
	weight = seconds / (seconds + TIME_CONSTANT_S);
	if (m->rate <= 0)
		weight = 1;
	m->rate += (rate - m->rate) * weight;
	if (m->rate < 1)
		m->rate = 0;
	m->last_ns = monotonic_ns;
	m->last_value = value;
}

uint64_t meter_rate(const struct meter *m)
{
	return m->rate > 0 ? (uint64_t)m->rate : 0;
}

uint64_t meter_eta_ns(uint64_t bytes_left, uint64_t rate)
{
	double ns;

	if (!bytes_left)
		return 0;
	if (!rate)
		return UINT64_MAX;
	ns = (double)bytes_left / (double)rate * (double)NSEC_PER_SEC;
	return ns < 9e18 ? (uint64_t)ns : UINT64_MAX;
}
