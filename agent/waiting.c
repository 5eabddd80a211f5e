// SPDX-License-Identifier: Apache-2.0
#include "agent/waiting.h"

#include <stdio.h>

#include "agent/agent.h"
#include "lib/clock.h"

void waiting_begin(struct agent *a, enum waiting_for what, const char *name)
{
	pthread_mutex_lock(&a->lock);
	a->waiting.what = what;
	a->waiting.since_ns = clock_monotonic_ns();
	snprintf(a->waiting.name, sizeof(a->waiting.name), "%s", name ? name : "");
	pthread_mutex_unlock(&a->lock);
}

void waiting_end(struct agent *a)
{
	pthread_mutex_lock(&a->lock);
	a->waiting.what = WAIT_NONE;
	pthread_mutex_unlock(&a->lock);
}

struct waiting waiting_get(struct agent *a)
{
	struct waiting w;

	pthread_mutex_lock(&a->lock);
	w = a->waiting;
	pthread_mutex_unlock(&a->lock);
	return w;
}

uint64_t waiting_ns(const struct waiting *w)
{
	return w->what ? clock_monotonic_ns() - w->since_ns : 0;
}

const char *waiting_for_shim(const struct waiting *w)
{
	switch (w->what) {
	case WAIT_PREPARE:
		return "vss-shim, which is to make the applications ready for a recovery point";
	case WAIT_FREEZE:
		return "vss-shim, which is to hold the applications for a recovery point";
	case WAIT_REPORT:
		return "vss-shim, which is to report how it held the applications";
	default:
		return "";
	}
}
