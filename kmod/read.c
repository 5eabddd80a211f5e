// SPDX-License-Identifier: GPL-2.0
#include <linux/bio.h>
#include <linux/blkdev.h>

#include "compat.h"
#include "disk.h"
#include "read.h"

#define MOB_BIO_RESERVE	16

static struct bio_set mob_bios;

int mob_read_init(void)
{
	return bioset_init(&mob_bios, MOB_BIO_RESERVE, 0, BIOSET_NEED_BVECS);
}

void mob_read_exit(void)
{
	bioset_exit(&mob_bios);
}

void mob_read_begin(struct mob_read *read, struct mob_disk *disk, gfp_t gfp)
{
	read->disk = disk;
	read->gfp = gfp;
	read->bio = NULL;
	read->error = 0;
	atomic_set(&read->pending, 1);
	init_completion(&read->done);
}

static void mob_read_put(struct mob_read *read)
{
	if (atomic_dec_and_test(&read->pending))
		complete(&read->done);
}

static void mob_read_endio(struct bio *bio)
{
	struct mob_read *read = bio->bi_private;

	if (bio->bi_status)
		WRITE_ONCE(read->error, blk_status_to_errno(bio->bi_status));
	bio_put(bio);
	mob_read_put(read);
}

static void mob_read_flush(struct mob_read *read)
{
	struct bio *bio = read->bio;

	if (!bio)
		return;
	read->bio = NULL;
	atomic_inc(&read->pending);
	submit_bio(bio);
}

void mob_read_seek(struct mob_read *read, sector_t sector, unsigned int pages)
{
	mob_read_flush(read);
	read->next = sector;
	read->pages = pages;
}

static struct bio *mob_read_next_bio(struct mob_read *read)
{
	struct bio *bio = mob_bio_alloc_read(read->disk->bdev,
					     min_t(unsigned int, read->pages, BIO_MAX_VECS),
					     read->gfp, &mob_bios);

	if (!bio) {
		WRITE_ONCE(read->error, -ENOMEM);
		return NULL;
	}
	bio->bi_iter.bi_sector = read->next;
	bio->bi_private = read;
	bio->bi_end_io = mob_read_endio;
	return bio;
}

void mob_read_add(struct mob_read *read, struct page *page, unsigned int bytes)
{
	struct bio *bio;

	if (!read->bio)
		read->bio = mob_read_next_bio(read);
	bio = read->bio;
	/* A hole in the set: it fails as a whole. */
	if (unlikely(!bio))
		return;
	__bio_add_page(bio, page, bytes, 0);
	read->next += bytes >> SECTOR_SHIFT;
	read->pages--;
	if (bio->bi_vcnt == bio->bi_max_vecs)
		mob_read_flush(read);
}

int mob_read_wait(struct mob_read *read)
{
	mob_read_flush(read);
	mob_read_put(read);
	wait_for_completion_io(&read->done);
	return read->error;
}
