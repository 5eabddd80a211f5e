// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "agent/explain.h"

/* Less than half a thread busy in all: whatever took the time, there was time left. */
#define IDLE_THREADS 0.5
/* One try in so many. */
#define BREAKS_OFTEN 10

static const char *const names[BOUND_COUNT] = {
	[BOUND_NOTHING] = "nothing",
	[BOUND_PAUSED] = "paused",
	[BOUND_UNREACHABLE] = "unreachable",
	[BOUND_BREAKS] = "breaks",
	[BOUND_READS] = "reads",
	[BOUND_WRITES] = "writes",
	[BOUND_STANDS] = "stands",
	[BOUND_APPLICATIONS] = "applications",
	[BOUND_PROBLEM] = "problem",
	[BOUND_STARTING] = "starting",
	[BOUND_DISK] = "disk",
	[BOUND_CPU] = "cpu",
	[BOUND_MEMORY] = "memory",
	[BOUND_NETWORK] = "network",
	[BOUND_LIMIT] = "bandwidth-limit",
	[BOUND_APPLIANCE] = "appliance",
	[BOUND_APPLIANCE_DISK] = "appliance-disk",
};

const char *bound_name(enum bound b)
{
	return names[b];
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The parts of sending: what the limit held back, what the appliance took, and the wire. */
static void split_send(const struct explain_in *in, uint64_t ns[BOUND_COUNT])
{
	uint64_t left = in->ns[STAGE_SEND] > in->upload_ns ? in->ns[STAGE_SEND] : in->upload_ns;

	ns[BOUND_LIMIT] = min_u64(in->paced_ns, left);
	left -= ns[BOUND_LIMIT];
	ns[BOUND_APPLIANCE] = min_u64(in->appliance_ns, left);
	ns[BOUND_NETWORK] = left - ns[BOUND_APPLIANCE];
	ns[BOUND_APPLIANCE_DISK] = min_u64(in->appliance_disk_ns, ns[BOUND_APPLIANCE]);
	ns[BOUND_APPLIANCE] -= ns[BOUND_APPLIANCE_DISK];
}

/*
 * Requests get through, but connections break again and again: an appliance that goes away, or one
 * that starts again, breaks each of them once.
 */
static bool breaks(const struct explain_in *in)
{
	return in->answered && in->broken > 2 * in->connections &&
	       in->broken * BREAKS_OFTEN > in->answered + in->broken;
}

/* Idle is also who is refused, or has nothing that can be replicated. */
static enum bound idle(const struct explain_in *in)
{
	if (in->problem)
		return BOUND_PROBLEM;
	return in->asked ? BOUND_NOTHING : BOUND_STARTING;
}

/*
 * The largest part of the threads' time. Waiting for memory is the consequence of a slow stage after
 * it as long as that one is busier than what waits; else too little is on its way at a time.
 */
void explain_judge(const struct explain_in *in, struct explain_out *out)
{
	uint64_t ns[BOUND_COUNT] = {0};
	double all = 0;

	*out = (struct explain_out){.bound = BOUND_NOTHING};
	ns[BOUND_DISK] = in->ns[STAGE_READ];
	ns[BOUND_CPU] = in->ns[STAGE_DIGEST] + in->ns[STAGE_COMPRESS];
	ns[BOUND_MEMORY] = in->ns[STAGE_WAIT_MEMORY];
	split_send(in, ns);
	for (int i = 0; i < BOUND_COUNT; i++) {
		if (in->window_ns)
			out->busy[i] = (double)ns[i] / (double)in->window_ns;
		all += out->busy[i];
		if (ns[i] > ns[out->bound])
			out->bound = (enum bound)i;
	}
	if (in->paused)
		out->bound = BOUND_PAUSED;
	else if (in->stands)
		out->bound = BOUND_STANDS;
	else if (breaks(in))
		out->bound = BOUND_BREAKS;
	else if (in->asked && !in->connected)
		out->bound = BOUND_UNREACHABLE;
	else if (in->hanging)
		out->bound = BOUND_READS;
	else if (in->sealing)
		out->bound = BOUND_WRITES;
	else if (in->applications)
		out->bound = BOUND_APPLICATIONS;
	else if (all < IDLE_THREADS)
		out->bound = idle(in);
}
