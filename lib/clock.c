/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"", 1},	   {"B", 1},
	{"K", 1ull << 10}, {"KiB", 1ull << 10},
	{"M", 1ull << 20}, {"MiB", 1ull << 20},
	{"G", 1ull << 30}, {"GiB", 1ull << 30},
	{"T", 1ull << 40}, {"TiB", 1ull << 40},
	{"P", 1ull << 50}, {"PiB", 1ull << 50},
};

static const struct unit duration_units[] = {
	{"ns", 1},
	{"us", 1000},
	{"ms", 1000000},
	{"s", NSEC_PER_SEC},
	{"m", 60 * NSEC_PER_SEC},
	{"min", 60 * NSEC_PER_SEC},
	{"h", 3600 * NSEC_PER_SEC},
	{"d", 86400 * NSEC_PER_SEC},
};

static uint64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_realtime_ns(void)
{
	return now(CLOCK_REALTIME);
}

uint64_t clock_monotonic_ns(void)
{
	return now(CLOCK_MONOTONIC);
}

uint64_t clock_boottime_ns(void)
{
	return now(CLOCK_BOOTTIME);
}

char *clock_format_utc(uint64_t realtime_ns, char out[32])
{
	time_t t = (time_t)(realtime_ns / NSEC_PER_SEC);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return out;
}

char *size_format(uint64_t bytes, char out[32])
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, 32, "%" PRIu64 " B", bytes);
		return out;
	}
	/* 1023.95 would be shown as 1024.0 of the smaller unit */
	for (; v >= 1023.95 && i + 1 < ARRAY_SIZE(names); i++)
		v /= 1024;
	snprintf(out, 32, "%.1f %s", v, names[i]);
	return out;
}

/* Below 10 with a decimal where there is one: "1.5 s", "2 s", "12 s"; cut off, not rounded up. */
static void format_single(uint64_t ns, uint64_t unit, const char *name, char out[32])
{
	uint64_t whole = ns / unit, tenth = ns % unit / (unit / 10);

	if (whole < 10 && tenth)
		snprintf(out, 32, "%" PRIu64 ".%" PRIu64 " %s", whole, tenth, name);
	else
		snprintf(out, 32, "%" PRIu64 " %s", whole, name);
}

static void format_pair(uint64_t v, uint64_t per, const char *big, const char *small, char out[32])
{
	if (v % per)
		snprintf(out, 32, "%" PRIu64 " %s %" PRIu64 " %s", v / per, big, v % per, small);
	else
		snprintf(out, 32, "%" PRIu64 " %s", v / per, big);
}

char *duration_format(uint64_t ns, char out[32])
{
	uint64_t s = ns / NSEC_PER_SEC;

	if (ns && ns < 1000000)
		format_single(ns, 1000, "us", out);
	else if (ns < NSEC_PER_SEC)
		format_single(ns, 1000000, "ms", out);
	else if (s < 60)
		format_single(ns, NSEC_PER_SEC, "s", out);
	else if (s < 3600)
		format_pair(s, 60, "min", "s", out);
	else if (s < 86400)
		format_pair(s / 60, 60, "h", "min", out);
	else
		format_pair(s / 3600, 24, "d", "h", out);
	return out;
}

static int parse_number(const char **s, uint64_t *v)
{
	const char *p = *s;

	if (*p < '0' || *p > '9')
		return -EINVAL;
	*v = 0;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(*v, 10u, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(*p - '0'), v))
			return -ERANGE;
	}
	*s = p;
	return 0;
}

static int parse_units(const char *s, const struct unit *units, size_t n, uint64_t *out)
{
	uint64_t v;
	int r = parse_number(&s, &v);

	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(s, units[i].name) == 0)
			return __builtin_mul_overflow(v, units[i].factor, out) ? -ERANGE : 0;
	}
	return -EINVAL;
}

int size_parse(const char *s, uint64_t *bytes)
{
	return parse_units(s, size_units, ARRAY_SIZE(size_units), bytes);
}

int duration_parse(const char *s, uint64_t *ns)
{
	if (strcmp(s, "0") == 0) { /* the only duration that needs no unit */
		*ns = 0;
		return 0;
	}
	return parse_units(s, duration_units, ARRAY_SIZE(duration_units), ns);
}
