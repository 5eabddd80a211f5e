// SPDX-License-Identifier: GPL-2.0
#include <linux/hash.h>
#include <linux/sched.h>

#include "compat.h"
#include "disk.h"
#include "io.h"
#include "issue.h"
#include "stats.h"
#include "testdelay.h"

/* So many lanes are looked at for one of the task's own, or that nobody uses. */
#define MOB_LANE_PROBES		16

static void mob_issue_now(struct mob_io *io)
{
	u64 ns = ktime_to_ns(ktime_sub(ktime_get(), io->held_since));

	mob_held_account(&io->disk->held, ns);
	mob_held_account(&mob_stats.held, ns);
	/* The hook lets it pass: it is counted already. After this it is not ours. */
	submit_bio_noacct(io->bio);
}

/* A work item never runs twice at a time, so one write of a lane is issued at a time. */
static void mob_lane_work(struct work_struct *work)
{
	struct mob_lane *lane = container_of(work, struct mob_lane, work);
	struct llist_node *batch = llist_reverse_order(llist_del_all(&lane->ios));
	struct mob_io *io, *next;

	llist_for_each_entry_safe(io, next, batch, queued) {
		mob_issue_now(io);
		atomic_dec(&lane->ios_held);
		cond_resched();
	}
}

static void mob_lane_add(struct mob_io *io)
{
	struct mob_disk *disk = io->disk;
	struct mob_lane *lane = &disk->lane[io->lane];

	/*
	 * Whoever adds the first has the lane run. It may be running, so that all is issued and the
	 * disk let go meanwhile; it is freed when the workers that preserve, like us, are done.
	 */
	if (llist_add(&io->queued, &lane->ios))
		queue_work(disk->issue_wq, &lane->work);
}

/*
 * The lane that the current task has writes in, or else takes: a log that shared one with a
 * checkpoint would wait for all of it. Two tasks do so where every lane that is looked at is in
 * use, or where one takes the lane that the other is just leaving; it costs them time only.
 */
static unsigned int mob_lane_find(struct mob_disk *disk)
{
	unsigned int home = mob_test_lane(hash_ptr(current, MOB_LANE_BITS)) % MOB_LANES;
	struct mob_lane *lane;
	unsigned int i;

	for (i = 0; i < MOB_LANE_PROBES; i++) {
		lane = &disk->lane[(home + i) % MOB_LANES];
		if (READ_ONCE(lane->task) == current && atomic_inc_not_zero(&lane->ios_held))
			return lane - disk->lane;
	}
	for (i = 0; i < MOB_LANE_PROBES; i++) {
		lane = &disk->lane[(home + i) % MOB_LANES];
		if (atomic_read(&lane->ios_held) || atomic_cmpxchg(&lane->ios_held, 0, 1))
			continue;
		WRITE_ONCE(lane->task, current);
		return lane - disk->lane;
	}
	atomic_inc(&disk->lane[home].ios_held);
	return home;
}

void mob_issue_enter(struct mob_io *io)
{
	if (mob_is_throttled(io->bio))
		io->lane = mob_lane_find(io->disk);
}

void mob_issue(struct mob_io *io)
{
	/* Workers that sleep there are none of those that preserve. */
	if (mob_is_throttled(io->bio))
		mob_lane_add(io);
	else
		mob_issue_now(io);
}

void mob_issue_init(struct mob_disk *disk)
{
	unsigned int i;

	for (i = 0; i < MOB_LANES; i++) {
		init_llist_head(&disk->lane[i].ios);
		INIT_WORK(&disk->lane[i].work, mob_lane_work);
	}
}
