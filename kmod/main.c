// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "boundary.h"
#include "ctl.h"
#include "disk.h"
#include "granule.h"
#include "hibernate.h"
#include "hook.h"
#include "pool.h"
#include "read.h"
#include "stats.h"
#include "track.h"
#include "watch.h"

static int __init mob_init(void)
{
	int ret;

	mob_pool_init();
	mob_granule_init();
	ret = mob_track_init();
	if (ret)
		return ret;
	ret = mob_read_init();
	if (ret)
		goto exit_track;
	mob_stats_init();
	ret = mob_hook_init();
	if (ret) {
		pr_err("not loaded: without the module the agent scans the disks\n");
		goto exit_stats;
	}
	ret = mob_hibernate_init();
	if (ret)
		goto exit_hook;
	ret = mob_ctl_init();
	if (ret)
		goto exit_hibernate;
	if (!mob_track_only) {
		pr_info("loaded, mode hook\n");
	} else {
		pr_warn("loaded, track-only: %s\n", mob_hook_reason());
		pr_warn("writes are not held: overwriting unread granules tears their epoch\n");
	}
	return 0;

exit_hibernate:
	mob_hibernate_exit();
exit_hook:
	mob_hook_exit();
exit_stats:
	mob_stats_exit();
	mob_read_exit();
exit_track:
	mob_track_exit();
	return ret;
}

/*
 * No descriptor of ours is open, else the module would be in use. The order: nobody
 * attaches, no new bio comes in, the writes in flight complete, the work is done.
 */
static void __exit mob_exit(void)
{
	mob_ctl_exit();
	mob_hibernate_exit();
	mob_hook_exit();
	mob_disk_detach_all();
	mob_watch_stop();
	mob_boundary_stop();
	mob_track_exit();
	mob_stats_exit();
	mob_read_exit();
}

module_init(mob_init);
module_exit(mob_exit);

MODULE_DESCRIPTION("Tracks the writes to disks and keeps points in time of them readable");
MODULE_LICENSE("GPL");
MODULE_VERSION("1.0");
