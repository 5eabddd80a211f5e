/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bounds the RPO now, from the stages' timings of the last minute: `mobilityctl explain`.
 *
 *	explain_judge	pure
 *	explain_tick	main thread, about once a second
 *	explain_json	any thread that is registered with RCU
 */
#ifndef MOBILITY_AGENT_EXPLAIN_H
#define MOBILITY_AGENT_EXPLAIN_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/stages.h"
#include "lib/err.h"

enum bound {
	BOUND_NOTHING, /* it keeps up: only the epochs' interval is left */
	BOUND_PAUSED,
	BOUND_UNREACHABLE,
	BOUND_BREAKS, /* connections end while requests are on their way */
	BOUND_READS, /* ours: one does not complete */
	BOUND_WRITES, /* of others: they do not complete, and a boundary waits for them */
	BOUND_STANDS, /* the session does nothing: what it waits for does not answer */
	BOUND_APPLICATIONS, /* vss-shim is waited for */
	BOUND_PROBLEM, /* nothing is busy, and status shows an error */
	BOUND_STARTING, /* nothing was asked of the appliance yet */
	BOUND_DISK,
	BOUND_CPU,
	BOUND_MEMORY,
	BOUND_NETWORK,
	BOUND_LIMIT,
	BOUND_APPLIANCE,
	BOUND_APPLIANCE_DISK,
	BOUND_COUNT,
};

/* One minute, or what there is of it. Times are sums over all threads. */
struct explain_in {
	bool asked, connected, paused; /* asked: of the appliance, since the start */
	bool problem; /* status shows an error */
	bool stands, applications; /* the session, or vss-shim, has been waited for too long */
	bool sealing, hanging; /* a boundary has waited too long for writes, we for a read */
	unsigned int connections; /* that there may be at a time */
	uint64_t window_ns;
	uint64_t ns[STAGE_COUNT];
	uint64_t answered, broken; /* segments: durably there, and tries whose connection broke */
	uint64_t appliance_ns, appliance_disk_ns; /* within STAGE_SEND */
	uint64_t upload_ns; /* STAGE_SEND, with the requests that are under way */
	uint64_t paced_ns; /* waited for the bandwidth limit, within upload_ns */
};

struct explain_out {
	enum bound bound;
	/* threads that each kept busy on average: time / window */
	double busy[BOUND_COUNT];
};

void explain_judge(const struct explain_in *in, struct explain_out *out);
const char *bound_name(enum bound b); /* "nothing" "network" "bandwidth-limit" … */

#define EXPLAIN_SAMPLES 61 /* a minute of seconds */

struct explain_sample {
	uint64_t mono_ns;
	struct explain_in sums; /* since the start */
	uint64_t read_bytes, sent_bytes;
};

/* All zeros at first, but for the lock. */
struct explain {
	pthread_mutex_t lock;
	struct explain_sample sample[EXPLAIN_SAMPLES];
	unsigned int next, count;
};

struct agent;
void explain_tick(struct agent *a);
json_t *explain_json(struct agent *a, struct err *e); /* the caller owns it */

#endif
