/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all connections of a program to one peer share: the bandwidth limit, and whether large
 * packets get through. Any thread; constant but for its atomics.
 *
 * A router on the way that drops packets that are too large for it, and whose ICMP message about it
 * is lost, makes a connection stand still as soon as there is something to send (RFC 2923, a "black
 * hole"). Nothing tells it from an outage, so that after a connection stood still the next ones are
 * made with segments that every IPv6 path has to let through, for an hour; if one of these stands
 * still too, it was not that.
 */
#ifndef MOBILITY_HTTP_LINK_H
#define MOBILITY_HTTP_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/rate.h"

#define HTTP_LINK_SMALL_MSS 1200 /* with headers and time stamps within 1280 bytes */
#define HTTP_LINK_SMALL_NS (3600 * NSEC_PER_SEC)

struct http_link {
	struct rate *rate; /* NULL: no limit ever */
	_Atomic uint64_t small_until_ns; /* monotonic; 0: segments as large as they can be */
	_Atomic uint64_t stalls; /* connections that stood still */
	_Atomic uint64_t upload_ns; /* how long uploads took, in sum, those under way included */
	_Atomic uint64_t
		paced_ns; /* within it: how long senders waited for their share of the rate, in sum */
};

/* Should a connection that is made now have small segments? */
bool http_link_small(struct http_link *l, uint64_t now_ns);
/* A connection, made with small segments or not, stood still. */
void http_link_stalled(struct http_link *l, bool small, uint64_t now_ns);
/*
 * Readies a socket before it is connected: segments, and how long the kernel waits for what was sent
 * to be acknowledged and for a silent peer to show itself: twice as long as the client itself waits.
 */
void http_link_prepare(int fd, bool small, uint64_t patience_ns);

#endif
