/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending end of the data path. Parcels (a segment and the memory for it) go round: a worker
 * takes an empty one, fills it and hands it over; a sender, one of several threads with a
 * connection each, sends it until it is durable and gives it back. There are only as many as
 * memory_limit allows, so a slow network or appliance stops the workers and nothing grows. A
 * segment is kept until it is acknowledged: what was read of a sealed epoch can be read once.
 *
 *	senders_take, _put, _back, _idle	any worker
 *	senders_new, _free		the session, with no worker left
 *	events				called on sender threads
 */
#ifndef MOBILITY_AGENT_SENDER_H
#define MOBILITY_AGENT_SENDER_H

#include <urcu/wfcqueue.h>

#include "agent/agent.h"
#include "lib/frame.h"

#define SEGMENT_PAYLOAD (6u << 20) /* bound of a segment's payload */
#define SEGMENT_GOAL (4u << 20) /* a segment with so many bytes of data is sent */
/* What a parcel takes of the budget: its goal, an extent past it, the table of its extents. */
#define PARCEL_BYTES (SEGMENT_GOAL + (1u << 19))

struct parcel {
	struct cds_wfcq_node node;
	struct frame_builder *builder;
	struct disk *disk;
	uint64_t epoch;
	uint32_t segment; /* number */
};

struct sender_events {
	bool (*given_up)(void *arg); /* the epoch is cancelled, or failed elsewhere */
	/* A parcel is durable on the appliance (code 0), or this is its final error. */
	void (*ended)(void *arg, int code, const struct err *e);
	void *arg;
};

struct senders;
int senders_new(struct agent *a, const struct sender_events *events, struct senders **out,
		struct err *e);
void senders_free(struct senders *s);

/* An empty parcel; waits for one. Whatever happens to the epoch, one comes back. */
struct parcel *senders_take(struct senders *s, bool *waited);
void senders_put(struct senders *s, struct parcel *p); /* filled: send it */
void senders_back(struct senders *s, struct parcel *p); /* not to be sent */
bool senders_idle(const struct senders *s); /* one has nothing to do */

#endif
