/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The appliance's digests of a range's nodes (lib/digest_tree.h), asked for by a thread of its own, ahead of those who read and hash the disk: 32
 * bytes of wire for each MiB of the range, and of memory for each MiB of a window that moves over it, half of it ahead of the furthest that was
 * wanted. It is meant for readers that go through the range from its beginning, about together.
 *
 * One thread starts and stops it; any number may call get meanwhile, which sleeps until the answer is there.
 */
#ifndef MOBILITY_AGENT_DIGEST_FEED_H
#define MOBILITY_AGENT_DIGEST_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/digest.h"
#include "lib/err.h"

#define FEED_ASK_BYTES (256ull << 20) /* of the range, in one request */
#define FEED_WINDOW_BYTES (16 * FEED_ASK_BYTES) /* 128 KiB of memory */

/*
 * The digests of the nodes of [offset, offset + length) to out; repeats what may succeed when it is repeated, until *stop. What it returns
 * ends the feed.
 */
typedef int (*digest_feed_ask)(void *arg, const volatile bool *stop, uint64_t offset,
			       uint64_t length, uint8_t *out, struct err *e);

struct digest_feed;
/* For the nodes that begin in [from, to); from a multiple of a node. NULL: out of memory. */
struct digest_feed *digest_feed_start(uint64_t from, uint64_t to, digest_feed_ask ask, void *arg);
void digest_feed_stop(struct digest_feed *f); /* NULL is fine */

/*
 * The digest of the node at offset. -ENOENT: the feed does not have it (it is not of the range, behind the window, or asking failed): ask for its
 * blocks. -ECANCELED: given_up(arg).
 */
int digest_feed_get(struct digest_feed *f, uint64_t offset, bool (*given_up)(void *arg), void *arg,
		    uint8_t out[DIGEST_BYTES]);

#endif
