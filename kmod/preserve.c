// SPDX-License-Identifier: GPL-2.0
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/sched/mm.h>
#include <linux/wait.h>

#include "compat.h"
#include "disk.h"
#include "pool.h"
#include "preserve.h"
#include "testdelay.h"
#include "track.h"

#define MOB_RUN_MAX	64	/* granules of old content read at a time */
#define MOB_BIO_RESERVE	16

static const char mob_reason_read[] = "the old content of a granule could not be read";
static const char mob_reason_memory[] = "no memory for the index of preserved copies";

static struct bio_set mob_bios;
static DECLARE_WAIT_QUEUE_HEAD(mob_window_wait);

int mob_preserve_init(void)
{
	return bioset_init(&mob_bios, MOB_BIO_RESERVE, 0, BIOSET_NEED_BVECS);
}

void mob_preserve_exit(void)
{
	bioset_exit(&mob_bios);
}

unsigned int mob_granule_length(const struct mob_disk *disk, u64 granule)
{
	u64 left = mob_disk_bytes(disk) - (granule << (disk->shift + SECTOR_SHIFT));

	return min_t(u64, left, mob_disk_granule_bytes(disk));
}

/* Reads consecutive sectors with as few bios as their pages allow. */
struct mob_reader {
	struct mob_disk *disk;
	struct bio *bio;
	sector_t next;
	unsigned int pages;	/* still to come, to size the bios */
	int error;
};

static void mob_reader_flush(struct mob_reader *r)
{
	if (!r->bio)
		return;
	r->error = submit_bio_wait(r->bio);
	bio_put(r->bio);
	r->bio = NULL;
}

static void mob_reader_add(struct mob_reader *r, struct page *page, unsigned int bytes)
{
	if (r->error)
		return;
	if (!r->bio) {
		r->bio = mob_bio_alloc_read(r->disk->bdev, min_t(unsigned int, r->pages, BIO_MAX_VECS),
					    GFP_NOIO, &mob_bios);
		r->bio->bi_iter.bi_sector = r->next;
	}
	__bio_add_page(r->bio, page, bytes, 0);
	r->next += bytes >> SECTOR_SHIFT;
	r->pages--;
	if (r->bio->bi_vcnt == r->bio->bi_max_vecs)
		mob_reader_flush(r);
}

int mob_read_pages(struct mob_disk *disk, sector_t sector, unsigned int bytes, struct page **pages)
{
	struct mob_reader r = {
		.disk = disk,
		.next = sector,
		.pages = DIV_ROUND_UP(bytes, PAGE_SIZE),
	};

	while (bytes && !r.error) {
		unsigned int len = min_t(unsigned int, bytes, PAGE_SIZE);

		mob_reader_add(&r, *pages++, len);
		bytes -= len;
	}
	mob_reader_flush(&r);
	return r.error;
}

static int mob_read_copies(struct mob_disk *disk, u64 first, struct mob_copy **copies,
			   unsigned int count)
{
	struct mob_reader r = {
		.disk = disk,
		.next = first << disk->shift,
		.pages = count * copies[0]->count,
	};
	unsigned int i, page;

	for (i = 0; i < count; i++) {
		unsigned int left = mob_granule_length(disk, first + i);

		for (page = 0; left && !r.error; page++) {
			unsigned int len = min_t(unsigned int, left, PAGE_SIZE);

			mob_reader_add(&r, copies[i]->pages[page], len);
			left -= len;
		}
	}
	mob_reader_flush(&r);
	return r.error;
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
	if (xa_reserve(&disk->copies, granule, GFP_NOIO | __GFP_NOWARN))
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

static void mob_copies_free(struct mob_disk *disk, struct mob_copy **copies, unsigned int count)
{
	while (count--)
		if (copies[count])
			mob_copy_free(disk, copies[count]);
}

/* Returns NULL, or the reason for which the epoch is torn. */
static const char *mob_preserve_run(struct mob_disk *disk, u64 first, unsigned int count)
{
	struct mob_copy *copies[MOB_RUN_MAX];
	const char *reason = NULL;
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		copies[i] = mob_copy_alloc(disk, &reason);
		if (!copies[i]) {
			mob_copies_free(disk, copies, i);
			return reason;
		}
	}
	/*
	 * A write of the ended epoch may still be in flight to these granules. It was in
	 * flight at the boundary, so the image may hold it or not: either content will do.
	 * What depends on it is submitted after its completion, thus after the closing
	 * window, and belongs to the next epoch.
	 */
	if (mob_read_copies(disk, first, copies, count))
		reason = mob_reason_read;
	mob_test_delay(MOB_DELAY_PRESERVE_READ);
	for (i = 0; i < count && !reason; i++) {
		ret = mob_insert_copy(disk, first + i, copies[i]);
		if (ret < 0)
			reason = mob_reason_memory;
		if (ret <= 0)
			continue;
		copies[i] = NULL;
		atomic64_inc(&disk->preserved);
		atomic64_inc(&mob_stats.preserved);
	}
	mob_copies_free(disk, copies, count);
	mob_test_delay(MOB_DELAY_PRESERVED);
	return reason;
}

/* The caller is a reader of the epoch before @epoch. */
static void mob_preserve_range(struct mob_disk *disk, u64 epoch, sector_t sector, u64 sectors)
{
	const struct mob_bitmap *dirty = &disk->map[mob_parity(epoch - 1)];
	sector_t last = min_t(sector_t, sector + sectors, disk->sectors);
	u64 next = sector >> disk->shift;
	const char *reason;
	u64 end, count;

	if (sector >= last)
		return;
	end = ((last - 1) >> disk->shift) + 1;
	while (!mob_epoch_torn(&mob_epochs, epoch - 1)) {
		count = mob_bitmap_next_unsafe(dirty, &disk->safe, &next, end, MOB_RUN_MAX);
		if (!count)
			return;
		reason = mob_preserve_run(disk, next, count);
		if (reason)
			mob_epoch_tear_ended(&mob_epochs, reason);
		next += count;
	}
}

static void mob_held_work(struct work_struct *work)
{
	struct mob_io *io = container_of(work, struct mob_io, work);
	struct mob_disk *disk = io->disk;
	struct bio *bio = io->bio;
	unsigned int noio;
	u64 ns;

	/*
	 * The write is in flight for its own epoch, so that one cannot end, and the epoch
	 * before it is the only one that can be ended now.
	 */
	wait_event(mob_window_wait,
		   mob_word_phase(READ_ONCE(mob_epochs.word)) != MOB_PHASE_WINDOW);
	if (mob_epoch_reader_get(&mob_epochs, io->epoch - 1)) {
		noio = memalloc_noio_save();
		mob_preserve_range(disk, io->epoch, io->sector, io->sectors);
		memalloc_noio_restore(noio);
		mob_epoch_reader_put(&mob_epochs);
	}
	ns = ktime_to_ns(ktime_sub(ktime_get(), io->held_since));
	mob_held_account(&disk->held, ns);
	mob_held_account(&mob_stats.held, ns);
	/* The hook lets it pass: it is counted already. After this it is not ours. */
	submit_bio_noacct(bio);
}

void mob_preserve_hold(struct mob_io *io, struct bio *bio)
{
	mob_bio_make_patient(bio);
	io->bio = bio;
	io->held_since = ktime_get();
	INIT_WORK(&io->work, mob_held_work);
	queue_work(mob_wq, &io->work);
}

void mob_preserve_window_over(void)
{
	wake_up_all(&mob_window_wait);
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
