/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What protecting a disk will take, from what was written to it in intervals of equal length. Pure.
 */
#ifndef MOBILITY_CTL_FORECAST_H
#define MOBILITY_CTL_FORECAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct churn {
	const uint64_t *bytes; /* written in each interval */
	size_t count;
	uint64_t interval_ns;
	uint64_t
		distinct_bytes; /* of them, counted once however often they were written; 0: unknown */
};

/* Bytes a second. */
struct forecast_rates {
	uint64_t mean, p50, p95, max;
};

/* How old the newest recovery point gets when the changes go out with some bandwidth. */
struct forecast_rpo {
	bool keeps_up; /* the mean churn is less than the bandwidth */
	uint64_t p50_ns, p95_ns, max_ns; /* in the time that was watched */
};

void forecast_rates(const struct churn *c, struct forecast_rates *out);
/* bandwidth > 0, bytes a second. -ENOMEM. */
int forecast_rpo(const struct churn *c, uint64_t bandwidth, struct forecast_rpo *out);
/* What the journal holds for so long a retention: every write once. Saturates. */
uint64_t forecast_journal(const struct churn *c, uint64_t retention_ns);
/* How often a byte was written on average in the time that was watched; 0: unknown. */
double forecast_overwrite(const struct churn *c);

#endif
