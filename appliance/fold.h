/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folding: the oldest journals of a disk become part of its base, and go. Killed at any instant and begun again it ends in the same bytes; what newer
 * points read never changes, because only ranges that these journals hold are written, and a reader of a newer point takes those from the journals.
 *
 * Blocks are written in batches. The digests of a batch are durable before its first block is written: after a crash a block either matches its digest
 * (old or new), or matches it once the journals' bytes have been applied again; anything else is damage and is marked as such (base.h). While a batch is
 * written, digests and blocks disagree: readers of the process stay out (exclude/admit), others hold a lease.
 *
 * One thread folds one disk at a time, in the process that holds the lock of the appliance.
 */
#ifndef APPLIANCE_FOLD_H
#define APPLIANCE_FOLD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/catalog.h"
#include "appliance/store/store.h"

struct fold_hooks {
	void (*exclude)(void *arg); /* readers of this disk stay out until admit */
	void (*admit)(void *arg);
	/* The base is at target now, called between exclude and admit: forget the journals up to it. */
	void (*folded)(void *arg, uint64_t target);
	bool (*stop)(void *arg); /* the process wants to end: leave the rest for later */
	void *arg;
	size_t batch; /* blocks written at once, 1..256; 0: 256 */
};

/* Of an error of folding: fewer journals may fit. */
static inline bool fold_no_space(int rc)
{
	return rc == -ENOSPC || rc == -EDQUOT;
}

/*
 * Fold the disk's journals up to target (a committed epoch that no kept point is older than) into its base. A fold that was begun earlier is finished
 * first, but for one that cannot read what the journals up to target have written again, and one that has no space where those up to an earlier target have. -EAGAIN: a lease, or stop: go on later. Content that cannot be
 * read (content_unreadable) leaves the fold paused, without a mark on what may be readable later; so does a batch that the store has no room for, with nothing
 * of it written. When writing one fails, it may be half-written: the fold is not paused, and the next call, lease or not, makes it whole first.
 */
int fold_disk(struct catalog *c, struct store *s, const struct disk_row *d, uint64_t target,
	      const struct fold_hooks *hooks, struct err *e);

/*
 * Make the batch whole that was being written when a process was killed, or when a write failed; nobody may read meanwhile. Content that cannot be read, and
 * writes that fail again, pause the fold all the same.
 */
int fold_recover(struct catalog *c, struct store *s, const struct disk_row *d, struct err *e);

#endif
