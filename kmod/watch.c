// SPDX-License-Identifier: GPL-2.0
#include <linux/workqueue.h>

#include "compat.h"
#include "disk.h"
#include "track.h"
#include "watch.h"

#define MOB_WATCH_SLOW	HZ
/* While somebody waits for a threshold. */
#define MOB_WATCH_FAST	(HZ / 10)

static void mob_watch_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(mob_watch, mob_watch_work);

bool mob_watch_over_threshold(const struct mob_disk *disk)
{
	u64 threshold = READ_ONCE(disk->threshold);
	unsigned int parity = mob_parity(mob_epoch_active(&mob_epochs));

	if (!threshold)
		return false;
	return mob_disk_dirty(disk, parity) * mob_disk_granule_bytes(disk) >= threshold;
}

static void mob_watch_disk(struct mob_disk *disk)
{
	if (mob_disk_is_dead(disk->gd)) {
		mob_disk_raise(disk, MOB_EVENT_GONE);
		mob_disk_unhook(disk);
		return;
	}
	if (get_capacity(disk->gd) != disk->sectors)
		mob_disk_raise(disk, MOB_EVENT_RESIZED);
	/* What is there when it has its old size again is another content, or another medium. */
	if (get_capacity(disk->gd) < disk->sectors)
		mob_disk_raise(disk, MOB_EVENT_SUSPECT);
	if (READ_ONCE(disk->events) || mob_watch_over_threshold(disk))
		wake_up_all(&disk->wait);
}

static void mob_watch_work(struct work_struct *work)
{
	unsigned long delay = MOB_WATCH_SLOW;
	struct mob_disk *disk;
	bool again;

	mutex_lock(&mob_mutex);
	mob_disk_for_each(disk) {
		if (!disk->hooked)
			continue;
		mob_watch_disk(disk);
		if (READ_ONCE(disk->threshold))
			delay = MOB_WATCH_FAST;
	}
	mob_disk_reap();
	again = !list_empty(&mob_disk_list);
	mutex_unlock(&mob_mutex);
	if (again)
		queue_delayed_work(mob_wq, &mob_watch, delay);
}

void mob_watch_start(void)
{
	mod_delayed_work(mob_wq, &mob_watch, MOB_WATCH_FAST);
}

void mob_watch_stop(void)
{
	cancel_delayed_work_sync(&mob_watch);
}
