// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/forecast.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The nearest rank; 0 of nothing. */
static uint64_t percentile(const uint64_t *sorted, size_t count, unsigned int percent)
{
	return count ? sorted[(count * percent + 99) / 100 - 1] : 0;
}

static uint64_t *sorted_copy(const uint64_t *v, size_t count)
{
	uint64_t *copy = malloc((count ? count : 1) * sizeof(*copy));

	if (copy && count) {
		memcpy(copy, v, count * sizeof(*copy));
		qsort(copy, count, sizeof(*copy), by_size);
	}
	return copy;
}

static uint64_t saturate(double v)
{
	return v < 9e18 ? (uint64_t)v : INT64_MAX;
}

static double seconds(const struct churn *c)
{
	return (double)c->interval_ns / (double)NSEC_PER_SEC;
}

static double sum(const struct churn *c)
{
	double all = 0;

	for (size_t i = 0; i < c->count; i++)
		all += (double)c->bytes[i];
	return all;
}

void forecast_rates(const struct churn *c, struct forecast_rates *out)
{
	uint64_t *sorted = sorted_copy(c->bytes, c->count);

	memset(out, 0, sizeof(*out));
	if (sorted && c->count) {
		out->mean = saturate(sum(c) / (double)c->count / seconds(c));
		out->p50 = saturate((double)percentile(sorted, c->count, 50) / seconds(c));
		out->p95 = saturate((double)percentile(sorted, c->count, 95) / seconds(c));
		out->max = saturate((double)sorted[c->count - 1] / seconds(c));
	}
	free(sorted);
}

/*
 * Each interval is an epoch: it ends, waits for what is still to be sent of those before, and is sent.
 * Its oldest write is then so old.
 */
int forecast_rpo(const struct churn *c, uint64_t bandwidth, struct forecast_rpo *out)
{
	uint64_t *age = malloc((c->count ? c->count : 1) * sizeof(*age));
	double each = (double)bandwidth * seconds(c), backlog = 0;

	memset(out, 0, sizeof(*out));
	if (!age)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++) {
		backlog += (double)c->bytes[i];
		age[i] =
			saturate((seconds(c) + backlog / (double)bandwidth) * (double)NSEC_PER_SEC);
		backlog = backlog > each ? backlog - each : 0;
	}
	out->keeps_up = sum(c) < each * (double)c->count || !c->count;
	qsort(age, c->count, sizeof(*age), by_size);
	out->p50_ns = percentile(age, c->count, 50);
	out->p95_ns = percentile(age, c->count, 95);
	out->max_ns = c->count ? age[c->count - 1] : 0;
	free(age);
	return 0;
}

uint64_t forecast_journal(const struct churn *c, uint64_t retention_ns)
{
	if (!c->count)
		return 0;
	return saturate(sum(c) / (double)c->count / (double)c->interval_ns * (double)retention_ns);
}

double forecast_overwrite(const struct churn *c)
{
	return c->distinct_bytes ? sum(c) / (double)c->distinct_bytes : 0;
}
