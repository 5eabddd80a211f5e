// SPDX-License-Identifier: Apache-2.0
#include "agent/stages.h"

#include <stdlib.h>
#include <string.h>

#define TIMING_MS_MAX 3.6e6 /* no request takes an hour: more is nonsense */

static const char *const names[STAGE_COUNT] = {
	[STAGE_READ] = "read", [STAGE_DIGEST] = "digest",	    [STAGE_COMPRESS] = "compress",
	[STAGE_SEND] = "send", [STAGE_WAIT_MEMORY] = "wait_memory",
};

void stage_add(struct stages *s, enum stage st, uint64_t ns, uint64_t bytes)
{
	atomic_fetch_add_explicit(&s->ns[st], ns, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->bytes[st], bytes, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->count[st], 1, memory_order_relaxed);
}

const char *stage_name(enum stage st)
{
	return names[st];
}

/* The duration of the metric in nanoseconds; 0 when it is not there. */
static uint64_t metric(const char *header, const char *name)
{
	size_t len = strlen(name);

	for (const char *p = header; p; p = strchr(p, ',')) {
		p += strspn(p, ", ");
		if (!strncmp(p, name, len) && !strncmp(p + len, ";dur=", 5)) {
			double ms = strtod(p + len + 5, NULL);

			return ms > 0 && ms < TIMING_MS_MAX ? (uint64_t)(ms * 1e6) : 0;
		}
	}
	return 0;
}

void stages_add_timing(struct stages *s, const char *header)
{
	uint64_t disk = metric(header, "disk");

	atomic_fetch_add_explicit(&s->appliance_ns, metric(header, "verify") + disk,
				  memory_order_relaxed);
	atomic_fetch_add_explicit(&s->appliance_disk_ns, disk, memory_order_relaxed);
}
