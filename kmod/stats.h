/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of what is rare; the write path counts in struct mob_disk_cpu. They
 * are read through the ioctls and /sys/kernel/debug/mobility. Any context, except
 * mob_stats_init(), mob_stats_exit() and the debugfs calls, which sleep.
 */
#ifndef MOB_STATS_H
#define MOB_STATS_H

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/types.h>

struct mob_disk;

struct mob_held_stats {
	atomic64_t count;
	atomic64_t total_ns;
	atomic64_t max_ns;
};

/* Since load, over all disks, detached ones too. */
struct mob_stats {
	struct mob_held_stats held;
	atomic64_t boundaries;
	atomic64_t boundary_ns;		/* from publishing the epoch to the end of the window */
	atomic64_t boundary_max_ns;
	atomic64_t preserved;		/* granules */
	atomic64_t untracked;		/* writes from before an attachment, marked at completion */
	atomic64_t blind;		/* writes marked without a context: memory ran out */
};

extern struct mob_stats mob_stats;

void mob_stats_max(atomic64_t *max, u64 value);

static inline void mob_held_account(struct mob_held_stats *held, u64 ns)
{
	atomic64_inc(&held->count);
	atomic64_add(ns, &held->total_ns);
	mob_stats_max(&held->max_ns, ns);
}

void mob_stats_init(void);
void mob_stats_exit(void);
void mob_stats_add_disk(struct mob_disk *disk);
void mob_stats_remove_disk(struct mob_disk *disk);

#endif
