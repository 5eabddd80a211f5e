// SPDX-License-Identifier: GPL-2.0
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "disk.h"
#include "hook.h"
#include "pool.h"
#include "stats.h"
#include "track.h"

struct mob_stats mob_stats;

static struct dentry *mob_debugfs;
static struct dentry *mob_debugfs_disks;

void mob_stats_max(atomic64_t *max, u64 value)
{
	s64 old = atomic64_read(max);

	while (old < (s64)value && !atomic64_try_cmpxchg(max, &old, value))
		;
}

static void mob_show(struct seq_file *m, const char *name, u64 value)
{
	seq_printf(m, "%-20s %llu\n", name, value);
}

static void mob_show_held(struct seq_file *m, const struct mob_held_stats *held)
{
	mob_show(m, "held_writes", atomic64_read(&held->count));
	mob_show(m, "held_max_ns", atomic64_read(&held->max_ns));
	mob_show(m, "held_total_ns", atomic64_read(&held->total_ns));
}

static int mob_module_show(struct seq_file *m, void *unused)
{
	const char *reason = mob_hook_reason();

	seq_printf(m, "%-20s %s%s%s\n", "mode", mob_track_only ? "track-only" : "hook",
		   *reason ? ": " : "", reason);
	mob_show(m, "epoch", mob_epoch_active(&mob_epochs));
	mob_show(m, "committed_epoch", READ_ONCE(mob_epochs.committed));
	mob_show(m, "stage", mob_epoch_stage(&mob_epochs));
	mob_show(m, "boundaries", atomic64_read(&mob_stats.boundaries));
	mob_show(m, "boundary_max_ns", atomic64_read(&mob_stats.boundary_max_ns));
	mob_show(m, "boundary_total_ns", atomic64_read(&mob_stats.boundary_ns));
	mob_show(m, "torn_epochs", atomic64_read(&mob_epochs.torn_epochs));
	mob_show(m, "pool_limit", mob_pool_limit_bytes());
	mob_show(m, "pool_used", mob_pool_used_bytes());
	mob_show(m, "preserved_granules", atomic64_read(&mob_stats.preserved));
	mob_show_held(m, &mob_stats.held);
	mob_show(m, "untracked_writes", atomic64_read(&mob_stats.untracked));
	mob_show(m, "blind_writes", atomic64_read(&mob_stats.blind));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mob_module);

static int mob_disk_show(struct seq_file *m, void *unused)
{
	struct mob_disk *disk = m->private;
	u64 writes, bytes;

	mob_disk_counts(disk, &writes, &bytes);
	mob_show(m, "id", disk->id);
	mob_show(m, "size", mob_disk_bytes(disk));
	mob_show(m, "granule_bytes", mob_disk_granule_bytes(disk));
	mob_show(m, "events", READ_ONCE(disk->events));
	mob_show(m, "writes", writes);
	mob_show(m, "written_bytes", bytes);
	mob_show(m, "failed_writes", atomic64_read(&disk->failed_writes));
	mob_show(m, "in_flight", max(mob_disk_in_flight(disk), 0L));
	mob_show(m, "dirty_granules",
		 mob_disk_dirty(disk, mob_parity(mob_epoch_active(&mob_epochs))));
	mob_show(m, "preserved_granules", atomic64_read(&disk->preserved));
	mob_show_held(m, &disk->held);
	mob_show(m, "bitmap_bytes", mob_disk_bitmap_bytes(disk));
	mob_show(m, "pool_limit", mob_disk_pool_limit(disk));
	mob_show(m, "pool_used", (u64)atomic_long_read(&disk->pool_pages) << PAGE_SHIFT);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mob_disk);

void mob_stats_init(void)
{
	mob_debugfs = debugfs_create_dir("mobility", NULL);
	mob_debugfs_disks = debugfs_create_dir("disks", mob_debugfs);
	debugfs_create_file("module", 0400, mob_debugfs, NULL, &mob_module_fops);
}

void mob_stats_exit(void)
{
	debugfs_remove_recursive(mob_debugfs);
}

void mob_stats_add_disk(struct mob_disk *disk)
{
	disk->debugfs = debugfs_create_file(disk->name, 0400, mob_debugfs_disks, disk,
					    &mob_disk_fops);
}

/* Waits for who reads it; nobody opens it after. */
void mob_stats_remove_disk(struct mob_disk *disk)
{
	debugfs_remove(disk->debugfs);
	disk->debugfs = NULL;
}
