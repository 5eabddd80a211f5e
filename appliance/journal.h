/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal of one disk and one open epoch: an append-only object that holds the segments as received, one after another. What
 * journal_append() reported as stored outlives a power cut. Any number of threads may append at once; they share
 * their syncs. Open and close belong to one thread, with nobody else inside.
 *
 * journal_walk() reads a journal of any epoch, open or committed.
 */
#ifndef APPLIANCE_JOURNAL_H
#define APPLIANCE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/store/store.h"
#include "lib/frame.h"

/* Segment numbers of an epoch are below this. */
#define JOURNAL_SEGMENTS_MAX (1u << 22)

struct journal;

/*
 * Open the journal, or begin it. What follows the last whole, valid segment (the tail that a crash tore) is cut off.
 * reserve: bytes of the store that segments leave free.
 */
int journal_open(struct store *s, const char *name, uint64_t reserve, struct journal **out,
		 struct err *e);
void journal_close(struct journal *j); /* NULL is fine */

/*
 * Store the segment f, parsed from its f->total bytes at data with trailer and content checked, durably. 0 also when the same bytes are there
 * already; -EEXIST: the number has other bytes, an extent overlaps one of another segment, or the epoch would have too many extents
 * (WIRE_EPOCH_EXTENTS_MAX); -ENOSPC: the store is
 * full, the segment is not there; -EIO and others: it is not there.
 */
int journal_append(struct journal *j, const struct frame *f, const void *data, struct err *e);

/* Are exactly the segments 0 .. count-1 stored? Else *number is the first missing or the first surplus one. */
bool journal_complete(struct journal *j, uint64_t count, uint32_t *number);
uint64_t journal_bytes(struct journal *j);

/* What journal_walk() reads and verifies of each segment. Structure and bounds are checked always. */
enum journal_check {
	JOURNAL_HEADS, /* header and extents are read; nothing is verified, there is no data */
	JOURNAL_SEGMENTS, /* all is read; nothing is verified */
	JOURNAL_TRAILERS, /* all is read; the trailer is right: it proves header and extents, and of version 1 the content */
	JOURNAL_CONTENT, /* and the content is what the extents' digests say */
};

/*
 * Call fn for each segment of the first `bytes` bytes of the object (UINT64_MAX: all), in the order stored. data is the segment's bytes, NULL with
 * JOURNAL_HEADS. -EBADMSG at what is not a whole segment, or not a valid one (*at is its offset), else what fn returns unless 0.
 */
typedef int (*journal_fn)(void *arg, uint64_t at, const struct frame *f, const void *data,
			  struct err *e);
int journal_walk(struct store_object *o, uint64_t bytes, enum journal_check check, journal_fn fn,
		 void *arg, uint64_t *at, struct err *e);

#endif
