// SPDX-License-Identifier: GPL-2.0
#include <linux/blkdev.h>
#include <linux/smp.h>

#include "compat.h"
#include "disk.h"
#include "io.h"
#include "late.h"
#include "preserve.h"
#include "testdelay.h"
#include "track.h"

static const char mob_reason_blind[] = "no memory to account for a write";
static const char mob_reason_unseen[] = "overwritten before it was seen (track-only mode)";
static const char mob_reason_overwritten[] = "overwritten before it was read (track-only mode)";

struct mob_epochs mob_epochs;
struct workqueue_struct *mob_wq;
bool mob_track_only;
bio_end_io_t *mob_chain_endio;

/* Completions that may not recurse. Nothing on it ever waits, for a disk or for a lock. */
static struct workqueue_struct *mob_end_wq;
static bool mob_window_writes;

enum mob_verdict {
	MOB_PASS,	/* on to the driver */
	MOB_HOLD,	/* to the preserver first */
	MOB_REFILL,	/* nothing was done: this CPU has no context left */
};

struct mob_granules {
	u64 first;
	u64 count;
};

/* The granules that a range touches, clipped to what is tracked of the disk. */
static __always_inline struct mob_granules mob_granules(struct mob_disk *disk, sector_t sector,
							u64 sectors)
{
	struct mob_granules g = { 0, 0 };
	sector_t capacity = READ_ONCE(disk->sectors);
	sector_t end = sector + sectors;

	/* Older kernels check the range only behind us: it may wrap around. */
	if (unlikely(end > capacity || end < sector)) {
		mob_disk_raise(disk, MOB_EVENT_RESIZED);
		end = capacity;
		if (sector >= end)
			return g;
	}
	g.first = sector >> disk->shift;
	g.count = ((end - 1) >> disk->shift) - g.first + 1;
	return g;
}

/* Interrupts off. */
static __always_inline void mob_set_dirty(struct mob_disk *disk, struct mob_disk_cpu *pc,
					  unsigned int parity, struct mob_granules g)
{
	if (likely(g.count))
		pc->dirty[parity] += mob_bitmap_set(&disk->map[parity], g.first, g.count);
}

/*
 * A write of the active epoch goes to granules of a disk while the epoch before it
 * is ended and not retired. May it go on?
 */
static noinline enum mob_verdict mob_overwrite(struct mob_disk *disk, u64 word,
					       struct mob_granules g)
{
	unsigned int ended = !mob_parity(mob_word_epoch(word));

	if (mob_word_phase(word) == MOB_PHASE_WINDOW) {
		/*
		 * A section may still mark for the ended epoch, so a clear bit proves
		 * nothing. The preserver decides when the window is over.
		 */
		if (!mob_track_only)
			return MOB_HOLD;
		WRITE_ONCE(mob_window_writes, true);
		return MOB_PASS;
	}
	if (!g.count || !mob_bitmap_any_unsafe(&disk->map[ended], &disk->safe, g.first, g.count))
		return MOB_PASS;
	if (!mob_track_only)
		return MOB_HOLD;
	mob_epoch_tear_ended(&mob_epochs, mob_reason_overwritten);
	return MOB_PASS;
}

/*
 * There is no context to count a write with: a drain may miss its data and an
 * image may hold it wrongly. Only a resync covers that; the write itself goes on.
 */
static noinline void mob_blind(struct mob_disk *disk)
{
	atomic64_inc(&mob_stats.blind);
	mob_disk_raise(disk, MOB_EVENT_SUSPECT);
	mob_epoch_tear_all(&mob_epochs, mob_reason_blind);
}

/* The write is counted in flight from here on. Interrupts off. */
static __always_inline void mob_interpose(struct mob_io *io, struct bio *bio,
					  struct mob_disk *disk, u64 epoch, sector_t sector)
{
	this_cpu_ptr(disk->cpu)->in_flight[mob_parity(epoch)]++;
	io->disk = disk;
	io->sector = sector;
	io->sectors = bio_sectors(bio);
	io->late = false;
	io->epoch = epoch;
	io->end_io = bio->bi_end_io;
	io->private = bio->bi_private;
	/* Release: who completes a part may look at its parent, tracked elsewhere already. */
	smp_store_release(&bio->bi_private, io);
	/* A part from before the attachment may end meanwhile, and look: mob_is_tracked(). */
	smp_store_release(&bio->bi_end_io, mob_track_endio);
}

/* The marking section. Interrupts off. */
static __always_inline enum mob_verdict mob_section(struct bio *bio, struct gendisk *gd, bool blind)
{
	struct mob_disk *disk = mob_disk_find(gd);
	sector_t sector = mob_bio_sector(bio);
	unsigned int sectors = bio_sectors(bio);
	struct mob_disk_cpu *pc;
	struct mob_granules g;
	struct mob_io *io;
	u64 word, epoch;

	if (!disk)
		return MOB_PASS;
	if (unlikely(disk->bio_based) && !mob_late_may_count(bio)) {
		mob_late_mark_polled(disk, bio);
		return MOB_PASS;
	}
	io = mob_io_pop();
	if (unlikely(!io) && !blind)
		return MOB_REFILL;
	/*
	 * From here to the end of the section a boundary waits for us, not we for it. A
	 * write that depends on a completed one follows it in the order of events, and
	 * reads of one variable never go back in that order: its tag is no older.
	 */
	word = mob_epoch_word(&mob_epochs);
	epoch = mob_word_epoch(word);
	mob_test_delay(MOB_DELAY_EPOCH_READ);
	pc = this_cpu_ptr(disk->cpu);
	g = mob_granules(disk, sector, sectors);
	mob_set_dirty(disk, pc, mob_parity(epoch), g);
	pc->writes++;
	pc->bytes += bio->bi_iter.bi_size;
	if (unlikely(!io)) {
		mob_blind(disk);
		return MOB_PASS;
	}
	mob_interpose(io, bio, disk, epoch, sector);
	if (unlikely(disk->bio_based))
		mob_late_note_front(io, bio);
	if (likely(mob_word_phase(word) == MOB_PHASE_OPEN))
		return MOB_PASS;
	return mob_overwrite(disk, word, g);
}

/*
 * The marking section of most writes: to one granule of a disk that takes requests, with no
 * epoch ended. It calls nothing, so it keeps nothing on the stack. False: this is another
 * one, nothing is done.
 */
static __always_inline bool mob_section_short(struct bio *bio, struct hlist_head *head)
{
	struct mob_disk *disk = mob_disk_find_in(head, mob_bio_disk(bio));
	struct mob_disk_cpu *pc;
	sector_t sector, last;
	struct mob_io *io;
	u64 word, granule;

	if (unlikely(!disk || disk->bio_based))
		return false;
	sector = mob_bio_sector(bio);
	last = sector + bio_sectors(bio) - 1;
	granule = sector >> disk->shift;
	if (last >> disk->shift != granule || unlikely(last >= READ_ONCE(disk->sectors)))
		return false;
	/* As in mob_section(). */
	word = mob_epoch_word(&mob_epochs);
	if (mob_word_phase(word) != MOB_PHASE_OPEN)
		return false;
	io = mob_io_pop();
	if (unlikely(!io))
		return false;
	mob_test_delay(MOB_DELAY_EPOCH_READ);
	pc = this_cpu_ptr(disk->cpu);
	if (mob_bitmap_set(&disk->map[mob_parity(mob_word_epoch(word))], granule, 1))
		pc->dirty[mob_parity(mob_word_epoch(word))]++;
	pc->writes++;
	pc->bytes += bio->bi_iter.bi_size;
	mob_interpose(io, bio, disk, mob_word_epoch(word), sector);
	return true;
}

static noinline bool mob_track_any_write(struct bio *bio)
{
	struct gendisk *gd = mob_bio_disk(bio);
	enum mob_verdict verdict;
	bool blind = false;
	unsigned long flags;

	for (;;) {
		local_irq_save(flags);
		verdict = mob_section(bio, gd, blind);
		local_irq_restore(flags);
		if (likely(verdict != MOB_REFILL))
			break;
		blind = !mob_io_refill();
	}
	mob_test_delay(MOB_DELAY_MARKED);
	if (likely(verdict == MOB_PASS))
		return false;
	mob_preserve_hold(bio->bi_private, bio);
	return true;
}

bool mob_track_write(struct bio *bio, struct hlist_head *head)
{
	unsigned long flags;
	bool done;

	if (mob_bio_is_ours(bio))
		return false;
	local_irq_save(flags);
	done = mob_section_short(bio, head);
	local_irq_restore(flags);
	if (!done)
		return mob_track_any_write(bio);
	mob_test_delay(MOB_DELAY_MARKED);
	return false;
}

/*
 * What failed may have been written in part, and a device that gave up on a write may
 * still do it: the range is dirty once more, in the epoch that is active now.
 */
static noinline void mob_write_failed(struct mob_io *io, blk_status_t status)
{
	if (status != BLK_STS_AGAIN)
		atomic64_inc(&io->disk->failed_writes);
	mob_track_mark(io->disk, io->sector, io->sectors);
}

/*
 * Counted down last: the count is what unloading waits for, so it covers what the end
 * of the bio called. The epoch only seals a little later for it.
 */
static __always_inline void mob_done(struct mob_io *io)
{
	unsigned int parity = mob_parity(io->epoch);
	struct mob_disk *disk = io->disk;
	unsigned long flags;

	local_irq_save(flags);
	if (unlikely(!mob_io_push(io))) {
		local_irq_restore(flags);
		mob_io_free(io);
		local_irq_save(flags);
	}
	this_cpu_ptr(disk->cpu)->in_flight[parity]--;
	local_irq_restore(flags);
}

/*
 * What bio_endio() does with a part. bio_chain_endio() is only the mark of one: newer
 * kernels (7.x) make calling it a BUG().
 */
static void mob_end_part(struct mob_io *io, struct bio *part)
{
	struct bio *whole = io->private;

	mob_test_delay(MOB_DELAY_COMPLETED);
	if (part->bi_status && !READ_ONCE(whole->bi_status))
		WRITE_ONCE(whole->bi_status, part->bi_status);
	bio_put(part);
	bio_endio(whole);
	mob_done(io);
}

static void mob_end_part_work(struct work_struct *work)
{
	struct mob_io *io = container_of(work, struct mob_io, work);

	mob_end_part(io, io->bio);
}

/*
 * bio_endio() walks a chain of bios in a loop, but with us in front of each of them
 * it would recurse, and a large discard is a chain of thousands. The parent is alive:
 * it waits for this bio.
 */
static bool mob_chain_is_deep(const struct mob_io *io)
{
	const struct bio *parent = io->private;

	/* Pairs with mob_interpose(). */
	if (smp_load_acquire(&parent->bi_end_io) != mob_track_endio)
		return false;
	/* Tracked at several levels, it has a context of each. */
	for (io = parent->bi_private; io->end_io == mob_track_endio; io = io->private)
		;
	return io->end_io == mob_chain_endio;
}

static noinline void mob_end_chained(struct mob_io *io, struct bio *bio)
{
	if (!mob_chain_is_deep(io)) {
		mob_end_part(io, bio);
		return;
	}
	io->bio = bio;
	INIT_WORK(&io->work, mob_end_part_work);
	queue_work(mob_end_wq, &io->work);
}

/* The bio is the submitter's again; its end_io may free it. */
void mob_track_endio(struct bio *bio)
{
	struct mob_io *io = bio->bi_private;

	bio->bi_end_io = io->end_io;
	bio->bi_private = io->private;
	if (unlikely(bio->bi_status))
		mob_write_failed(io, bio->bi_status);
	else if (unlikely(io->late))
		mob_track_mark(io->disk, io->sector, io->sectors);
	if (unlikely(io->end_io == mob_chain_endio)) {
		mob_end_chained(io, bio);
		return;
	}
	mob_test_delay(MOB_DELAY_COMPLETED);
	if (io->end_io)
		io->end_io(bio);
	mob_done(io);
}

/* Interrupts off. */
static struct mob_granules mob_mark(struct mob_disk *disk, u64 word, sector_t sector, u64 sectors)
{
	struct mob_granules g = mob_granules(disk, sector, sectors);

	mob_set_dirty(disk, this_cpu_ptr(disk->cpu), mob_parity(mob_word_epoch(word)), g);
	return g;
}

void mob_track_mark(struct mob_disk *disk, sector_t sector, u64 sectors)
{
	unsigned long flags;

	local_irq_save(flags);
	mob_mark(disk, mob_epoch_word(&mob_epochs), sector, sectors);
	local_irq_restore(flags);
}

void mob_track_mark_unseen(struct mob_disk *disk, sector_t sector, u64 sectors)
{
	struct mob_granules g;
	unsigned long flags;
	u64 word;

	local_irq_save(flags);
	word = mob_epoch_word(&mob_epochs);
	g = mob_mark(disk, word, sector, sectors);
	if (!mob_track_only || mob_word_phase(word) == MOB_PHASE_OPEN || !g.count)
		goto restore;
	/* What is safe was read, but perhaps between the write and its completion. */
	if (mob_word_phase(word) == MOB_PHASE_WINDOW)
		WRITE_ONCE(mob_window_writes, true);
	else if (mob_bitmap_any(&disk->map[!mob_parity(mob_word_epoch(word))], g.first, g.count))
		mob_epoch_tear_ended(&mob_epochs, mob_reason_unseen);
restore:
	local_irq_restore(flags);
}

bool mob_track_window_writes(void)
{
	return xchg(&mob_window_writes, false);
}

static void mob_section_over(void *unused)
{
}

/*
 * A section runs with interrupts off, so a CPU that takes this interrupt has none
 * under way; the call orders what the section did before our return, and what we did
 * before the call before every later section.
 */
void mob_sections_sync(void)
{
	on_each_cpu(mob_section_over, NULL, 1);
}

/* bio_chain_endio() is not exported; a chained bio shows it. */
static bio_end_io_t *mob_find_chain_endio(void)
{
	struct bio child = { }, parent = { };

	bio_chain(&child, &parent);
	return child.bi_end_io;
}

int mob_track_init(void)
{
	int ret;

	mob_epochs_init(&mob_epochs);
	mob_chain_endio = mob_find_chain_endio();
	ret = mob_io_init();
	if (ret)
		return ret;
	ret = -ENOMEM;
	mob_wq = alloc_workqueue("mobility", MOB_WQ_FLAGS, 0);
	if (!mob_wq)
		goto exit_io;
	mob_end_wq = alloc_workqueue("mobility_end", MOB_WQ_FLAGS, 0);
	if (mob_end_wq)
		return 0;
	destroy_workqueue(mob_wq);
exit_io:
	mob_io_exit();
	return ret;
}

void mob_track_exit(void)
{
	destroy_workqueue(mob_end_wq);
	destroy_workqueue(mob_wq);
	/*
	 * No write is counted in flight, but a completion may still be between its last
	 * count and its return: in an interrupt (RCU), or preempted in a task (RCU tasks).
	 */
	synchronize_rcu();
	mob_synchronize_tasks();
	mob_io_exit();
}
