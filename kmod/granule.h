/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The granule of a disk, chosen so that the bitmaps of all disks stay within a bound:
 * many disks, or huge ones, get larger granules instead of more memory. Process context;
 * sleeps.
 */
#ifndef MOB_GRANULE_H
#define MOB_GRANULE_H

#include <linux/types.h>

struct mob_room {
	unsigned int shift;	/* of a granule, in bytes */
	u64 bytes;		/* what its bitmaps may take; given back when they are freed */
};

void mob_granule_init(void);

/*
 * Reserves room for the bitmaps of a disk. @asked: 0, or the shift that somebody insists
 * on. -EINVAL: it is out of range. -ENOSPC: the bound leaves no room for it.
 */
int mob_room_reserve(struct mob_room *room, u64 bytes, unsigned int logical_block,
		     unsigned int asked);
/* Of the same disk, larger and in the same granules. -ENOSPC: nothing has changed. */
int mob_room_grow(struct mob_room *room, u64 bytes);
void mob_room_release(struct mob_room *room);

/* How many granules @size takes, at least 1; both in bytes, or both in sectors. */
static inline u64 mob_granules_of(u64 size, unsigned int shift)
{
	return ((size - 1) >> shift) + 1;
}

#endif
