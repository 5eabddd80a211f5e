/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drain: workers take pieces of a plan, read them, leave out what the appliance has and build
 * segments; senders (sender.h) send each until it is durable. One direction, bounded by
 * memory_limit: a read buffer for each worker, and segments that go round between the two.
 *
 * The session creates the pool, runs one drain after the other, and frees it.
 */
#ifndef MOBILITY_AGENT_DRAIN_H
#define MOBILITY_AGENT_DRAIN_H

#include "agent/agent.h"
#include "agent/runs.h"

struct drain_pool;
/* Starts config.workers and config.connections threads. */
int drain_pool_new(struct agent *a, struct drain_pool **out, struct err *e);
/* Ends them; agent->cancel must be set if a drain may still be running. */
void drain_pool_free(struct drain_pool *p);

struct drain {
	struct plan
		plan; /* owners are struct disk, with sources between drain_open and drain_close */
	uint64_t epoch; /* the appliance's number */
};

/*
 * Drain it. beat is called on the calling thread a few times a second meanwhile. Returns 0 when
 * every piece is durable on the appliance, else the first final error: -ECANCELED, -ESTALE (the
 * epoch is lost on either side), or another of api.h. No worker touches the plan or its disks
 * after the return.
 */
int drain_run(struct drain_pool *p, struct drain *d, void (*beat)(void *arg), void *arg,
	      struct err *e);

#endif
