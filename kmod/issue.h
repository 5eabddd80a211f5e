/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Issues held writes when what they overwrite is preserved. The block layer lets few of some
 * kinds through at a time (wbt), and who submits more of them sleeps there. Those wait in a
 * lane: one worker issues, one after another, what one task submitted, so that as many stand
 * there as would without us, and none behind all that another task submitted.
 */
#ifndef MOB_ISSUE_H
#define MOB_ISSUE_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/blk_types.h>
#include <linux/llist.h>
#include <linux/workqueue.h>

struct mob_disk;
struct mob_io;
struct task_struct;

/* At most what one byte numbers, and what a workqueue runs at a time. */
#define MOB_LANE_BITS		7
#define MOB_LANES		(1 << MOB_LANE_BITS)

struct mob_lane {
	struct llist_head ios;
	struct work_struct work;
	struct task_struct *task;	/* whose writes these are; only compared, never followed */
	atomic_t ios_held;		/* from when they were held until they are issued */
};

/* The block layer may let the submitter of such a write sleep. Any context. */
static inline bool mob_is_throttled(const struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_WRITE:
		return (bio->bi_opf & (REQ_SYNC | REQ_IDLE)) != (REQ_SYNC | REQ_IDLE);
	case REQ_OP_DISCARD:
		return true;
	default:
		return false;
	}
}

/* Of a new disk. */
void mob_issue_init(struct mob_disk *disk);

/* Takes a place in a lane if the write needs one. By the task that submits it; any context. */
void mob_issue_enter(struct mob_io *io);

/* Issues the write, now or in its turn; @io is the caller's no more. In a worker; may sleep. */
void mob_issue(struct mob_io *io);

#endif
