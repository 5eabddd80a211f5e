// SPDX-License-Identifier: GPL-2.0
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include "boundary.h"
#include "disk.h"
#include "preserve.h"
#include "testdelay.h"
#include "track.h"

static const char mob_reason_window[] = "overwritten while the epoch closed (track-only mode)";

/* What is to become of the ended epoch when it is sealed. Under mob_mutex. */
static enum { MOB_KEEP, MOB_COMMIT, MOB_ABANDON } mob_request;

DECLARE_WAIT_QUEUE_HEAD(mob_epoch_wait);

static void mob_epoch_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(mob_epoch_worker, mob_epoch_work);

static void mob_epoch_kick(void)
{
	mod_delayed_work(mob_wq, &mob_epoch_worker, 0);
}

/*
 * Without a hook the writes of the closing window could not be held until it was known
 * what they overwrite. By now every mark of the window is set on both sides.
 */
static void mob_check_window_writes(void)
{
	struct mob_disk *disk;

	mob_sections_sync();
	if (!mob_track_window_writes())
		return;
	mob_disk_for_each(disk)
		if (disk->hooked && mob_bitmap_intersects(&disk->map[0], &disk->map[1]))
			mob_epoch_tear_ended(&mob_epochs, mob_reason_window);
}

static void mob_publish(struct mob_advance *args)
{
	u64 ns;

	/* Every write is held while the window is open: nobody else's turn comes in it. */
	preempt_disable();
	args->boundary_realtime_ns = ktime_get_real_ns();
	args->boundary_monotonic_ns = ktime_get_ns();
	args->epoch = mob_epoch_begin(&mob_epochs);
	mob_test_delay(MOB_DELAY_WINDOW);
	mob_sections_sync();
	mob_epoch_window_over(&mob_epochs);
	mob_preserve_window_over();
	ns = ktime_get_ns() - args->boundary_monotonic_ns;
	preempt_enable();
	atomic64_inc(&mob_stats.boundaries);
	atomic64_add(ns, &mob_stats.boundary_ns);
	mob_stats_max(&mob_stats.boundary_max_ns, ns);
	if (mob_track_only)
		mob_check_window_writes();
}

int mob_boundary_take(struct mob_advance *args)
{
	/* Reclaim must not wait for a filesystem that the caller has frozen. */
	unsigned int noio = memalloc_noio_save();
	int ret = 0;

	mutex_lock(&mob_mutex);
	args->disks = mob_disks_hooked();
	if (!args->disks) {
		ret = -ENODEV;
	} else if (mob_epoch_stage(&mob_epochs) != MOB_STAGE_NONE) {
		ret = -EBUSY;
	} else {
		mob_request = MOB_KEEP;
		mob_publish(args);
		mob_epoch_kick();
	}
	mutex_unlock(&mob_mutex);
	memalloc_noio_restore(noio);
	return ret;
}

static void mob_retire_disk(struct mob_disk *disk, unsigned int ended)
{
	unsigned long flags;
	u64 added;

	if (mob_request == MOB_ABANDON) {
		/* No boundary can be taken now: the active parity stays what it is. */
		added = mob_bitmap_merge(&disk->map[!ended], &disk->map[ended]);
		local_irq_save(flags);
		this_cpu_ptr(disk->cpu)->dirty[!ended] += added;
		local_irq_restore(flags);
	}
	mob_bitmap_clear(&disk->map[ended]);
	mob_disk_dirty_reset(disk, ended);
	mob_bitmap_clear(&disk->safe);
	mob_preserve_forget(disk);
}

/* Nobody waits for those of a detached disk, which may never answer. mob_mutex held. */
static bool mob_disks_have_readers(void)
{
	struct mob_disk *disk;

	mob_disk_for_each(disk)
		if (disk->hooked && mob_epoch_has_readers(&disk->readers))
			return true;
	return false;
}

/* mob_mutex held. */
static void mob_retire(void)
{
	unsigned int ended = mob_parity(mob_epochs.ended);
	struct mob_disk *disk;

	/* What a detached disk has, and somebody still reads, is freed with it. */
	mob_disk_for_each(disk)
		if (disk->hooked || !mob_epoch_has_readers(&disk->readers))
			mob_retire_disk(disk, ended);
	mob_epoch_retire_end(&mob_epochs, mob_request == MOB_COMMIT);
	mob_disk_reap();
	wake_up_all(&mob_epoch_wait);
}

/* One step on the way from closing to retired. True: wait a little and call again. */
static bool mob_epoch_step(void)
{
	bool again = false;

	mutex_lock(&mob_mutex);
	switch (mob_epoch_stage(&mob_epochs)) {
	case MOB_STAGE_CLOSING:
		again = mob_disks_in_flight(mob_parity(mob_epochs.ended)) > 0;
		if (again)
			break;
		mob_epoch_seal(&mob_epochs);
		wake_up_all(&mob_epoch_wait);
		fallthrough;
	case MOB_STAGE_SEALED:
		if (mob_request == MOB_KEEP)
			break;
		mob_epoch_retire_begin(&mob_epochs);
		/* No section looks at the ended epoch any more. */
		mob_sections_sync();
		fallthrough;
	case MOB_STAGE_RETIRING:
		again = mob_disks_have_readers();
		if (!again)
			mob_retire();
		break;
	default:
		break;
	}
	mutex_unlock(&mob_mutex);
	return again;
}

static void mob_epoch_work(struct work_struct *work)
{
	int tries;

	/* Most epochs seal within the time of one write; then leave the CPU to others. */
	for (tries = 0; tries < 10; tries++) {
		if (!mob_epoch_step())
			return;
		usleep_range(100, 300);
	}
	queue_delayed_work(mob_wq, &mob_epoch_worker, max(HZ / 250, 1));
}

int mob_boundary_state(u64 epoch)
{
	enum mob_stage stage = mob_epoch_stage(&mob_epochs);

	if (READ_ONCE(mob_epochs.ended) != epoch)
		return -ESTALE;
	switch (stage) {
	case MOB_STAGE_WINDOW:
	case MOB_STAGE_CLOSING:
		return MOB_EPOCH_CLOSING;
	case MOB_STAGE_SEALED:
		return MOB_EPOCH_SEALED;
	default:
		return -ESTALE;
	}
}

static bool mob_boundary_retired(u64 epoch)
{
	return mob_epoch_stage(&mob_epochs) == MOB_STAGE_NONE ||
	       READ_ONCE(mob_epochs.ended) != epoch;
}

int mob_boundary_commit(u64 epoch)
{
	int ret;

	mutex_lock(&mob_mutex);
	ret = mob_boundary_state(epoch);
	if (ret == MOB_EPOCH_CLOSING)
		ret = -EAGAIN;
	if (ret == MOB_EPOCH_SEALED) {
		mob_request = MOB_COMMIT;
		ret = 0;
	}
	mutex_unlock(&mob_mutex);
	if (ret)
		return ret;
	mob_epoch_kick();
	return wait_event_killable(mob_epoch_wait, mob_boundary_retired(epoch)) ? -EINTR : 0;
}

void mob_boundary_abandon(u64 epoch)
{
	mutex_lock(&mob_mutex);
	if (mob_boundary_state(epoch) > 0 && mob_request == MOB_KEEP)
		mob_request = MOB_ABANDON;
	mutex_unlock(&mob_mutex);
	mob_epoch_kick();
}

void mob_boundary_stop(void)
{
	cancel_delayed_work_sync(&mob_epoch_worker);
}
