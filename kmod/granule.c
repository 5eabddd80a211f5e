// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>

#include <mobility/uapi.h>

#include "bitmap.h"
#include "disk.h"
#include "granule.h"

/* What one bitmap takes at most if the granule is left to us: 1 TiB in granules of 4 KiB. */
#define MOB_BITMAP_BYTES_MAX	(32UL << 20)
/* Enough for MOB_DISKS_MAX disks of 32 TiB in the largest granules. */
#define MOB_BOUND_MIN		(128UL << 20)

static unsigned long bitmap_bytes;
module_param(bitmap_bytes, ulong, 0444);
MODULE_PARM_DESC(bitmap_bytes,
		 "bound of all bitmaps, in bytes (default: 1/64 of RAM, at least 128 MiB)");

/* What disks took beyond the share that each of MOB_DISKS_MAX can have. */
static DEFINE_MUTEX(mob_room_lock);
static u64 mob_room_extra;

void mob_granule_init(void)
{
	if (!bitmap_bytes)
		bitmap_bytes = max(totalram_pages() / 64 * PAGE_SIZE, MOB_BOUND_MIN);
}

/* Half of the bound is shared out evenly, so that the last disk gets something too. */
static u64 mob_even_share(void)
{
	return bitmap_bytes / 2 / MOB_DISKS_MAX;
}

static u64 mob_extra_left(void)
{
	u64 all = bitmap_bytes - mob_even_share() * MOB_DISKS_MAX;

	return all > mob_room_extra ? all - mob_room_extra : 0;
}

static u64 mob_beyond_share(u64 bytes)
{
	return bytes > mob_even_share() ? bytes - mob_even_share() : 0;
}

static u64 mob_maps_bytes(u64 bytes, unsigned int shift)
{
	return MOB_DISK_MAPS * mob_bitmap_cost(mob_granules_of(bytes, shift));
}

/*
 * The smallest granule for which the bitmaps fit. A disk leaves most of what others have
 * not taken to those that come after it.
 */
static unsigned int mob_granule_smallest(u64 bytes, unsigned int least)
{
	u64 limit = min_t(u64, mob_even_share() + mob_extra_left() / 4,
			  MOB_DISK_MAPS * MOB_BITMAP_BYTES_MAX);

	while (least < MOB_GRANULE_SHIFT_MAX && mob_maps_bytes(bytes, least) > limit)
		least++;
	return least;
}

/* mob_room_lock held. -ENOSPC: nothing has changed. */
static int mob_room_take(struct mob_room *room, u64 bytes)
{
	u64 needed = mob_maps_bytes(bytes, room->shift);
	u64 more = mob_beyond_share(needed) - mob_beyond_share(room->bytes);

	if (more > mob_extra_left())
		return -ENOSPC;
	mob_room_extra += more;
	WRITE_ONCE(room->bytes, needed);
	return 0;
}

int mob_room_reserve(struct mob_room *room, u64 bytes, unsigned int logical_block,
		     unsigned int asked)
{
	unsigned int least = max_t(unsigned int, MOB_GRANULE_SHIFT_MIN, ilog2(logical_block));
	int ret;

	if (asked && (asked < least || asked > MOB_GRANULE_SHIFT_MAX))
		return -EINVAL;
	mutex_lock(&mob_room_lock);
	room->shift = asked ?: mob_granule_smallest(bytes, least);
	room->bytes = 0;
	ret = mob_room_take(room, bytes);
	mutex_unlock(&mob_room_lock);
	return ret;
}

int mob_room_grow(struct mob_room *room, u64 bytes)
{
	int ret;

	mutex_lock(&mob_room_lock);
	ret = mob_room_take(room, bytes);
	mutex_unlock(&mob_room_lock);
	return ret;
}

void mob_room_release(struct mob_room *room)
{
	mutex_lock(&mob_room_lock);
	mob_room_extra -= mob_beyond_share(room->bytes);
	mutex_unlock(&mob_room_lock);
	room->bytes = 0;
}
