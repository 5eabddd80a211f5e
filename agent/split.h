/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one request of a sender carries: a segment whole, or, where connections break before a
 * segment is through, part of it as a segment of its own. One struct split belongs to one sender
 * thread; it remembers from parcel to parcel how much passes.
 *
 * Other bytes for a number that the appliance has are a conflict, which ends the epoch. So a request is
 * made smaller soon only while no try put all of its bytes on the wire; after that only when it has
 * failed so often that it hardly arrived. If it did, the next epoch is sent in parts from its start.
 */
#ifndef MOBILITY_AGENT_SPLIT_H
#define MOBILITY_AGENT_SPLIT_H

#include "agent/sender.h"

#define SPLIT_MAX (1u << 20) /* payload of the largest part; at least WIRE_EXTENT_DATA_MAX */
#define SPLIT_MIN (64u << 10)
#define SPLIT_STEP 4 /* from one size to the next */
#define SPLIT_PATIENCE 2 /* so many tries break off before a request is made smaller */
#define SPLIT_PATIENCE_SENT 6 /* the same, when the answer alone may be what is missing */
/* So many parts pass before they get larger, and twice as many each time that this was too early. */
#define SPLIT_TRUST 16u
#define SPLIT_EARLY_MAX 2

struct split {
	/* the request, borrowed until the next call */
	uint32_t number;
	const uint8_t *data;
	size_t len;

	size_t limit; /* payload of a part; 0: segments are sent whole */
	unsigned int passed; /* requests since the limit changed */
	unsigned int early; /* times that they got larger too early */
	bool grown; /* the limit was raised last */
	struct frame_builder *builder; /* of parts; NULL until there are any */
	struct parcel *parcel;
	const uint8_t *whole;
	size_t whole_len;
	struct frame frame; /* the parcel's segment; parsed when there are parts */
	uint32_t from, to; /* the extents that the request carries */
	unsigned int broken; /* tries of the request whose connection broke */
	bool all_sent; /* a try put all of the request on the wire */
};

/* The first request of p, which is not touched by anybody else until the last one is done. */
void split_begin(struct split *s, struct parcel *p);
/*
 * A try ended with code, other than 0, having put so many bytes of the body on the wire. True when the
 * connection broke on the way.
 */
bool split_failed(struct split *s, int code, uint64_t sent);
/* The request is done: whether there is another of the same parcel. Takes its number from the disk. */
bool split_next(struct split *s);
void split_clear(struct split *s);

#endif
