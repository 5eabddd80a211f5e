// SPDX-License-Identifier: GPL-2.0
#include <linux/blkdev.h>

#include "compat.h"
#include "disk.h"
#include "io.h"
#include "late.h"
#include "multipath.h"
#include "stats.h"
#include "track.h"

static const char mob_reason_polled[] = "a polled write from before the disk was attached";

static const char mob_reason_anywhere[] = "an unseen write to an unknown place (track-only mode)";

/*
 * How many bytes of its pages a bio has left behind it. A clone shares the pages of
 * its parent, perhaps from somewhere in the middle: then this is more than it did.
 */
static u64 mob_bio_bytes_behind(const struct bio *bio)
{
	u64 bytes = mob_iter_offset(&bio->bi_iter);
	unsigned int i;

	for (i = 0; i < bio->bi_iter.bi_idx; i++)
		bytes += bio->bi_io_vec[i].bv_len;
	return bytes;
}

/*
 * Device mapper cuts what it has sent down off the front of a bio. When that was before the
 * attachment nobody else answers for it: it is marked once more when all of the bio is done.
 */
void mob_late_note_front(struct mob_io *io, struct bio *bio)
{
	sector_t front;

	if (bio_flagged(bio, BIO_CLONED))
		return;
	front = min_t(sector_t, mob_bio_bytes_behind(bio) >> SECTOR_SHIFT, io->sector);
	io->sector -= front;
	io->sectors += front;
	io->late = front;
}

bool mob_late_may_count(struct bio *bio)
{
	if (!(bio->bi_opf & MOB_REQ_POLLED))
		return true;
	/* The list begins after the rest of the bio has been submitted for the first time. */
	if ((bio->bi_opf & REQ_DRV) || bio_flagged(bio, BIO_CHAIN))
		return false;
	mob_bio_clear_polled(bio);
	return true;
}

void mob_late_mark_polled(struct mob_disk *disk, struct bio *bio)
{
	mob_track_mark(disk, mob_bio_sector(bio), bio_sectors(bio));
	mob_epoch_tear_all(&mob_epochs, mob_reason_polled);
}

/*
 * Is the range tracked as @bio, or a part of it? Contexts of disks that it was remapped from
 * stand behind one another. The bio may just be getting one.
 */
static bool mob_is_tracked(const struct bio *bio, const struct mob_disk *disk, sector_t sector,
			   u64 sectors)
{
	const struct mob_io *io;

	/* Pairs with mob_interpose(): the context is seen by whoever sees that there is one. */
	if (smp_load_acquire(&bio->bi_end_io) != mob_track_endio)
		return false;
	for (io = bio->bi_private;; io = io->private) {
		if (io->disk == disk && sector >= io->sector &&
		    sector + sectors <= io->sector + io->sectors)
			return true;
		if (io->end_io != mob_track_endio)
			return false;
	}
}

/*
 * A part of a split write that its driver completes is covered by the whole, but not when the
 * whole was tracked only after the part had gone down; and a chain may as well be of writes to
 * different ranges. The parent is alive: it waits for the part.
 */
static bool mob_is_covered(const struct bio *bio, const struct mob_disk *disk, sector_t sector,
			   u64 sectors)
{
	return mob_is_tracked(bio, disk, sector, sectors) ||
	       (bio->bi_end_io == mob_chain_endio &&
		mob_is_tracked(bio->bi_private, disk, sector, sectors));
}

static void mob_unseen_anywhere(struct mob_disk *disk)
{
	mob_disk_raise(disk, MOB_EVENT_SUSPECT);
	if (mob_track_only)
		mob_epoch_tear_ended(&mob_epochs, mob_reason_anywhere);
}

/*
 * A write that was submitted before its disk was attached completes, or one that no tracepoint
 * told of before (track-only): a driver above sent the same bio on. Once its bio has been advanced
 * over what it did, one without pages (discard) has lost its range.
 * A write proper has pages: one without any range is a flush of a bio-based disk.
 */
static noinline void mob_complete_untracked(struct bio *bio, struct gendisk *gd, bool advanced)
{
	u64 behind = advanced ? mob_bio_bytes_behind(bio) >> SECTOR_SHIFT : 0;
	u64 sectors = behind + bio_sectors(bio);
	struct mob_disk *disk;
	unsigned long flags;
	sector_t sector;

	if (!sectors && bio_op(bio) == REQ_OP_WRITE)
		return;
	local_irq_save(flags);
	sector = mob_bio_sector(bio);
	sector -= min_t(u64, behind, sector);
	disk = mob_disk_find(gd);
	if (!disk && READ_ONCE(mob_multipath_disks))
		disk = mob_disk_head_of(gd);
	if (disk && !mob_is_covered(bio, disk, sector, sectors)) {
		atomic64_inc(&mob_stats.untracked);
		if (sectors)
			mob_track_mark_unseen(disk, sector, sectors);
		else
			mob_unseen_anywhere(disk);
	}
	local_irq_restore(flags);
}

/* May the bio have come down the path @gd of an attached disk that did not track it? */
static bool mob_is_on_path(const struct bio *bio, const struct gendisk *gd)
{
	if (likely(!READ_ONCE(mob_multipath_disks)) || !(gd->flags & GENHD_FL_HIDDEN))
		return false;
	return bio->bi_end_io != mob_track_endio ||
	       !((struct mob_io *)bio->bi_private)->disk->multipath;
}

void mob_late_complete(struct bio *bio, bool advanced)
{
	struct gendisk *gd = mob_bio_disk(bio);

	if (unlikely(mob_disk_maybe(gd) || mob_is_on_path(bio, gd)))
		mob_complete_untracked(bio, gd, advanced);
}
