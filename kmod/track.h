/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The write path: what happens to a bio on its way to an attached disk and at its
 * completion. Nothing here sleeps, takes a lock or waits for anything.
 *
 * Each tracked write carries a struct mob_io from submission to completion, put in
 * front of the submitter's bi_end_io. It counts the write in the in-flight count of
 * the epoch it was tagged with, so an epoch is sealed only when its last write has
 * completed, and it pins the disk (an unhooked disk is freed when none is left).
 */
#ifndef MOB_TRACK_H
#define MOB_TRACK_H

#include <linux/bio.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "disk.h"
#include "epoch.h"
#include "io.h"
#include "late.h"

extern struct mob_epochs mob_epochs;
/* Retiring epochs and watching disks: it may wait for mob_mutex, so no write may wait for it. */
extern struct workqueue_struct *mob_wq;
/* MOB_MODE_TRACK_ONLY: nothing can be held, an overwrite tears the epoch instead. */
extern bool mob_track_only;
/* What ends the parts of a bio; the kernel does not export it. */
extern bio_end_io_t *mob_chain_endio;

int mob_track_init(void);
/* No hook calls any more, no disk is hooked. Waits out what may still run. */
void mob_track_exit(void);

/* A write to a disk that may be attached: @head is where it would be in the hash. */
bool mob_track_write(struct bio *bio, struct hlist_head *head);

/*
 * Every bio on its way to the driver. True: the bio is held, the caller must not
 * touch it again, nor pass it on. Any context that may submit a bio.
 */
static __always_inline bool mob_track_submit(struct bio *bio)
{
	struct hlist_head *head;

	if (!op_is_write(bio_op(bio)) || !bio_sectors(bio))
		return false;
	head = mob_disk_head(mob_bio_disk(bio));
	if (likely(hlist_empty(head)))
		return false;
	return mob_track_write(bio, head);
}

/* What tracked bios have for their bi_end_io. */
void mob_track_endio(struct bio *bio);

/*
 * The rest of a bio that its driver split, a path that failed over, or one that we held:
 * counted already. The same bio on another disk below is not.
 */
static __always_inline bool mob_bio_is_ours(const struct bio *bio)
{
	return bio->bi_end_io == mob_track_endio &&
	       ((struct mob_io *)bio->bi_private)->disk->gd == mob_bio_disk(bio);
}

/*
 * Every bio at its completion, before its bi_end_io is called. Any context. @advanced as
 * for mob_late_complete().
 */
static __always_inline void mob_track_complete(struct bio *bio, bool advanced)
{
	if (op_is_write(bio_op(bio)) && !mob_bio_is_ours(bio))
		mob_late_complete(bio, advanced);
}

/*
 * Sets the bits of a range of sectors in the active epoch. May be called from any
 * context with any length; long ranges run for some time with interrupts off.
 */
void mob_track_mark(struct mob_disk *disk, sector_t sector, u64 sectors);

/*
 * The same for a write that nobody saw before its completion, so that it may have been on the disk
 * when an ended epoch was read. Where nothing is held, that one is torn if it has any of it.
 */
void mob_track_mark_unseen(struct mob_disk *disk, sector_t sector, u64 sectors);

/*
 * Returns when every marking section that began before the call is over. Interrupts on; does
 * not sleep.
 */
void mob_sections_sync(void);

/* Has a track-only write happened in the closing window? Clears the answer. */
bool mob_track_window_writes(void);

#endif
