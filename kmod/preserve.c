// SPDX-License-Identifier: GPL-2.0
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/swait.h>

#include "compat.h"
#include "disk.h"
#include "io.h"
#include "issue.h"
#include "pool.h"
#include "preserve.h"
#include "read.h"
#include "testdelay.h"
#include "track.h"

#define MOB_BATCH	64	/* granules of old content read at a time */
/* For how long a write waits for the closing window: a tick or two. */
#define MOB_WINDOW_PATIENCE	2

static const char mob_reason_read[] = "the old content of a granule could not be read";
static const char mob_reason_memory[] = "no memory at once to preserve a granule";
static const char mob_reason_late[] = "a write was held for too long (hold_ms)";

static unsigned int hold_ms = 2000;
module_param(hold_ms, uint, 0644);
MODULE_PARM_DESC(hold_ms,
		 "a write that was held for so long goes on, and the point is given up (2000)");

/* A simple one: it is woken where nobody may sleep, with PREEMPT_RT as well. */
static DECLARE_SWAIT_QUEUE_HEAD(mob_window_wait);

unsigned int mob_granule_length(const struct mob_disk *disk, u64 granule)
{
	u64 left = mob_disk_bytes(disk) - (granule << (disk->shift + SECTOR_SHIFT));

	return min_t(u64, left, mob_disk_granule_bytes(disk));
}

/*
 * Makes a copy visible. 1: done. 0: not needed, the granule has a copy or was drained
 * meanwhile; the first copy was read before any overwrite was issued, ours perhaps
 * not. -ENOMEM.
 */
static int mob_insert_copy(struct mob_disk *disk, u64 granule, struct mob_copy *copy)
{
	int ret;

	/* All that the tree has to allocate, so that the store below cannot fail. */
	if (xa_reserve(&disk->copies, granule, MOB_GFP_HELD))
		return -ENOMEM;
	xa_lock(&disk->copies);
	ret = !test_bit(granule, disk->safe.bits);
	if (ret && xa_is_err(__xa_store(&disk->copies, granule, copy, GFP_NOWAIT)))
		ret = -ENOMEM;
	/*
	 * The atomic set is a full barrier: whoever sees the granule safe, and overwrites
	 * it, does so after the copy became visible.
	 */
	if (ret > 0)
		mob_bitmap_set(&disk->safe, granule, 1);
	xa_unlock(&disk->copies);
	if (ret <= 0)
		xa_release(&disk->copies, granule);
	return ret;
}

/* Granules of one write, preserved together. */
struct mob_batch {
	struct mob_disk *disk;
	unsigned int count;
	u64 granule[MOB_BATCH];
	struct mob_copy *copy[MOB_BATCH];
};

static void mob_batch_free(struct mob_batch *batch)
{
	while (batch->count--)
		if (batch->copy[batch->count])
			mob_copy_free(batch->disk, batch->copy[batch->count]);
}

/* Fills the batch with granules of [*next, end) that need it; moves *next behind them. */
static void mob_batch_collect(struct mob_batch *batch, const struct mob_bitmap *dirty, u64 *next,
			      u64 end)
{
	while (batch->count < MOB_BATCH) {
		u64 run = mob_bitmap_next_unsafe(dirty, &batch->disk->safe, next, end,
						 MOB_BATCH - batch->count);

		if (!run)
			return;
		while (run--)
			batch->granule[batch->count++] = (*next)++;
	}
}

static const char *mob_batch_alloc(struct mob_batch *batch)
{
	const char *reason = NULL;
	unsigned int i;

	for (i = 0; i < batch->count && !reason; i++)
		batch->copy[i] = mob_copy_alloc(batch->disk, &reason);
	return reason;
}

static unsigned int mob_batch_run(const struct mob_batch *batch, unsigned int first)
{
	unsigned int i = first + 1;

	while (i < batch->count && batch->granule[i] == batch->granule[i - 1] + 1)
		i++;
	return i - first;
}

/* Every run is on its way before any is waited for. */
static int mob_batch_read(struct mob_batch *batch)
{
	struct mob_disk *disk = batch->disk;
	struct mob_read read;
	unsigned int i, page;
	u64 expected = 0;

	mob_read_begin(&read, disk, MOB_GFP_HELD);
	for (i = 0; i < batch->count; i++) {
		unsigned int left = mob_granule_length(disk, batch->granule[i]);

		if (!i || batch->granule[i] != expected)
			mob_read_seek(&read, batch->granule[i] << disk->shift,
				      mob_batch_run(batch, i) * batch->copy[i]->count);
		expected = batch->granule[i] + 1;
		for (page = 0; left; page++) {
			unsigned int len = min_t(unsigned int, left, PAGE_SIZE);

			mob_read_add(&read, batch->copy[i]->pages[page], len);
			left -= len;
		}
	}
	return mob_read_wait(&read);
}

static const char *mob_batch_insert(struct mob_batch *batch)
{
	unsigned int i;
	int ret;

	for (i = 0; i < batch->count; i++) {
		ret = mob_insert_copy(batch->disk, batch->granule[i], batch->copy[i]);
		if (ret < 0)
			return mob_reason_memory;
		if (!ret)
			continue;
		batch->copy[i] = NULL;
		atomic64_inc(&batch->disk->preserved);
		atomic64_inc(&mob_stats.preserved);
	}
	return NULL;
}

/*
 * Returns NULL, or the reason for which the epoch is torn.
 *
 * A write of the ended epoch may still be in flight to these granules. It was in flight
 * at the boundary, so the image may hold it or not: either content will do. What depends
 * on it is submitted after its completion, thus after the closing window, and belongs to
 * the next epoch.
 */
static const char *mob_batch_preserve(struct mob_batch *batch)
{
	const char *reason = mob_batch_alloc(batch);
	int ret = reason ? 0 : mob_batch_read(batch);

	if (ret)
		reason = ret == -ENOMEM ? mob_reason_memory : mob_reason_read;
	mob_test_delay(MOB_DELAY_PRESERVE_READ);
	if (!reason)
		reason = mob_batch_insert(batch);
	mob_batch_free(batch);
	mob_test_delay(MOB_DELAY_PRESERVED);
	return reason;
}

static void mob_preserve_tear(const struct mob_disk *disk, const char *reason)
{
	/* Nobody waits for us once the disk is detached: the ended epoch may be another by now. */
	if (mob_disk_is_hooked(disk))
		mob_epoch_tear_ended(&mob_epochs, reason);
}

/*
 * It stood behind others, whose granules were read first: a slow disk, and a write-back of much
 * that is not drained. Nothing bounds how many come, so this bounds how long one is held.
 */
static bool mob_held_too_long(const struct mob_io *io)
{
	return ktime_ms_delta(ktime_get(), io->held_since) > READ_ONCE(hold_ms);
}

/*
 * What the write overwrites, of the granules that are dirty in @dirty; NULL: all of them. The
 * caller is a reader of the epoch before the write's.
 */
static void mob_preserve_range(const struct mob_io *io, const struct mob_bitmap *dirty)
{
	struct mob_disk *disk = io->disk;
	sector_t last = min_t(sector_t, io->sector + io->sectors, disk->sectors);
	u64 next = io->sector >> disk->shift;
	struct mob_batch batch;
	const char *reason;
	u64 end;

	if (io->sector >= last)
		return;
	end = ((last - 1) >> disk->shift) + 1;
	batch.disk = disk;
	while (!mob_epoch_torn(&mob_epochs, io->epoch - 1)) {
		batch.count = 0;
		mob_batch_collect(&batch, dirty, &next, end);
		if (!batch.count)
			return;
		memset(batch.copy, 0, batch.count * sizeof(batch.copy[0]));
		reason = mob_held_too_long(io) ? mob_reason_late : mob_batch_preserve(&batch);
		if (reason)
			mob_preserve_tear(disk, reason);
	}
}

static bool mob_window_is_open(void)
{
	return mob_word_phase(mob_epoch_word(&mob_epochs)) == MOB_PHASE_WINDOW;
}

/*
 * The window lasts microseconds, but a hypervisor may keep a CPU from running for much longer,
 * and every write would wait for that one. Then the write preserves what it overwrites whether
 * its bit is set or not: a copy of a granule that turns out to be clean is never looked at.
 */
static void mob_held_preserve(const struct mob_io *io)
{
	struct mob_disk *disk = io->disk;
	const struct mob_bitmap *dirty = &disk->map[mob_parity(io->epoch - 1)];

	if (!swait_event_timeout_exclusive(mob_window_wait, !mob_window_is_open(),
					   mob_test_patience(MOB_WINDOW_PATIENCE)))
		dirty = NULL;
	/*
	 * The write is in flight for its own epoch, so that one cannot end, and the epoch
	 * before it is the only one that can be ended now; or the disk was detached, and nobody
	 * drains it any more.
	 */
	if (!mob_epoch_reader_get(&mob_epochs, &disk->readers, io->epoch - 1))
		return;
	mob_preserve_range(io, dirty);
	mob_epoch_reader_put(&disk->readers);
}

/* A task waits for it, or may; for write-back and discards of a filesystem none does. */
static bool mob_is_waited_for(const struct bio *bio)
{
	return (bio->bi_opf & REQ_SYNC) || !mob_is_throttled(bio);
}

static void mob_held_work(struct work_struct *work)
{
	struct mob_io *io = container_of(work, struct mob_io, work);
	unsigned int noio = memalloc_noio_save();

	mob_held_preserve(io);
	memalloc_noio_restore(noio);
	mob_issue(io);
}

void mob_preserve_hold(struct mob_io *io, struct bio *bio)
{
	mob_bio_make_patient(bio);
	io->bio = bio;
	io->held_since = ktime_get();
	mob_issue_enter(io);
	INIT_WORK(&io->work, mob_held_work);
	queue_work(mob_is_waited_for(bio) ? io->disk->held_wq : io->disk->back_wq, &io->work);
}

void mob_preserve_window_over(void)
{
	swake_up_all(&mob_window_wait);
}

void mob_preserve_forget(struct mob_disk *disk)
{
	struct mob_copy *copy;
	unsigned long granule;

	xa_for_each(&disk->copies, granule, copy) {
		mob_copy_free(disk, copy);
		cond_resched();
	}
	xa_destroy(&disk->copies);
}
