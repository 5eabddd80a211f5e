// SPDX-License-Identifier: GPL-2.0
#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "disk.h"
#include "granule.h"
#include "grow.h"
#include "track.h"

/* The bitmaps of a disk: new ones on the way in, old ones on the way out. */
struct mob_maps {
	struct mob_bitmap map[2];
	struct mob_bitmap safe;
};

static void mob_maps_free(struct mob_maps *maps)
{
	mob_bitmap_free(&maps->map[0]);
	mob_bitmap_free(&maps->map[1]);
	mob_bitmap_free(&maps->safe);
}

static int mob_maps_init(struct mob_maps *maps, u64 granules)
{
	int ret;

	memset(maps, 0, sizeof(*maps));
	ret = mob_bitmap_init(&maps->map[0], granules);
	if (!ret)
		ret = mob_bitmap_init(&maps->map[1], granules);
	if (!ret)
		ret = mob_bitmap_init(&maps->safe, granules);
	if (ret)
		mob_maps_free(maps);
	return ret;
}

/*
 * The maps of @disk become those of @maps, and the other way round. Sections go on
 * meanwhile: until mob_sections_sync() some may set bits in the old ones.
 */
static void mob_maps_exchange(struct mob_disk *disk, struct mob_maps *maps)
{
	mob_bitmap_exchange(&disk->map[0], &maps->map[0]);
	mob_bitmap_exchange(&disk->map[1], &maps->map[1]);
	mob_bitmap_exchange(&disk->safe, &maps->safe);
}

/*
 * What is dirty in the old map becomes dirty in the new one. The counter holds one for
 * each bit of either: those that both have are taken off.
 */
static void mob_grow_carry(struct mob_disk *disk, struct mob_bitmap *old, unsigned int parity)
{
	unsigned long flags;
	long change;

	/* A section may have set a bit in one map and the summary of the other. */
	mob_bitmap_summary_fill(old);
	change = mob_bitmap_merge(&disk->map[parity], old) - mob_bitmap_count(old);
	local_irq_save(flags);
	this_cpu_ptr(disk->cpu)->dirty[parity] += change;
	local_irq_restore(flags);
}

/*
 * mob_mutex held, no epoch is ended: nobody reads any map, and sections mark in that of
 * the active epoch only.
 */
static void mob_grow_install(struct mob_disk *disk, struct mob_maps *maps, sector_t sectors)
{
	unsigned int active = mob_parity(mob_epoch_active(&mob_epochs));

	mob_maps_exchange(disk, maps);
	/* Every section that knew the old maps is over; those to come know the new ones. */
	mob_sections_sync();
	mob_grow_carry(disk, &maps->map[active], active);
	/* After the sync: nobody goes by the new size with an old map. */
	WRITE_ONCE(disk->sectors, sectors);
}

static int mob_grow_check(const struct mob_disk *disk, sector_t sectors)
{
	if (!disk->hooked)
		return -ENODEV;
	if (sectors < disk->sectors)
		return -ERANGE;
	if (mob_epoch_stage(&mob_epochs) != MOB_STAGE_NONE)
		return -EBUSY;
	return 0;
}

/* The capacity that @disk has now, if it can grow to that. */
static int mob_grow_look(struct mob_disk *disk, sector_t *sectors)
{
	int ret = -ENODEV;

	mutex_lock(&mob_mutex);
	/* An unhooked disk may have given its device back. */
	if (disk->hooked) {
		*sectors = get_capacity(disk->gd);
		ret = mob_grow_check(disk, *sectors);
	}
	mutex_unlock(&mob_mutex);
	return ret;
}

static int mob_grow_to(struct mob_disk *disk, sector_t sectors)
{
	u64 granules = mob_granules_of(sectors, disk->shift);
	u64 size = (u64)sectors << SECTOR_SHIFT;
	struct mob_maps maps;
	int ret;

	/* Allocated before the lock is taken: a boundary never waits for memory. */
	ret = mob_maps_init(&maps, granules);
	if (ret)
		return ret;
	mutex_lock(&mob_mutex);
	ret = mob_grow_check(disk, sectors);
	if (!ret && sectors > disk->sectors) {
		ret = mob_room_grow(&disk->room, size);
		if (!ret)
			mob_grow_install(disk, &maps, sectors);
	}
	mutex_unlock(&mob_mutex);
	mob_maps_free(&maps);
	return ret;
}

int mob_disk_grow(struct mob_disk *disk, u64 *size)
{
	sector_t sectors;
	int ret = mob_grow_look(disk, &sectors);

	if (!ret && sectors != READ_ONCE(disk->sectors))
		ret = mob_grow_to(disk, sectors);
	*size = mob_disk_bytes(disk);
	return ret;
}
