/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a disk initial replication need not read: the contents of swap that is in use, and blocks that are
 * free in mounted ext4 and XFS filesystems. docs/design.md has the argument why that is safe, and what
 * it needs: a source that tracks, and that no boundary is taken between skip_find and the one that
 * ends the epoch.
 *
 *	skip_*, but for skip_find and skip_fsmap	pure; a set belongs to one thread at a time
 *	skip_find, skip_fsmap				sleep, and sync filesystems; any thread
 */
#ifndef MOBILITY_AGENT_SKIP_H
#define MOBILITY_AGENT_SKIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

enum skip_kind { SKIP_SWAP, SKIP_FREE, SKIP_KINDS };

struct skip_range {
	uint64_t from, to; /* bytes of the disk */
	enum skip_kind kind;
};

#define SKIP_RANGES_MAX 65536 /* what is beyond is sent: 1.5 MiB of memory */
#define SKIP_BYTES_MIN (64ull << 10) /* of a range that is worth an extent */

struct skip_set {
	struct skip_range *range; /* owned; sorted and disjoint after skip_settle */
	size_t count, capacity;
};

void skip_clear(struct skip_set *s);
/* Empty ranges, and those beyond the bound, are left out. -ENOMEM. */
int skip_add(struct skip_set *s, uint64_t from, uint64_t to, enum skip_kind kind);
/*
 * Sort, cut to [from, to) and inwards to whole granules, drop what overlaps an earlier range and what
 * is too short.
 */
void skip_settle(struct skip_set *s, uint64_t from, uint64_t to, uint64_t granule);
/* Keep of a what is in b too; both sorted and disjoint. -ENOMEM. */
int skip_intersect(struct skip_set *a, const struct skip_set *b);

struct skip_wish {
	const char *path; /* the disk */
	uint64_t from, to; /* bytes of the disk */
	uint64_t granule;
	bool swap, free;
};

/*
 * Adds what need not be read. An error is one sentence about what could not be looked at; what was
 * found before it is good.
 */
int skip_find(const struct skip_wish *w, struct skip_set *out, struct err *e);

/*
 * skip_fsmap.c: what the filesystem of `device`, mounted at `mount`, calls free in [from, to) of it;
 * the device begins at `start` of the disk. Asked twice, with a sync in between. -EXDEV: another
 * filesystem is there, mounted over it.
 */
int skip_fsmap(const char *mount, dev_t device, uint64_t start, uint64_t from, uint64_t to,
	       struct skip_set *out, struct err *e);

#endif
