/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads of a disk's present content into pages, as many at a time as the caller has
 * use for, waited for together. Process context; sleeps for the device. With a @gfp that may
 * reclaim it makes progress without memory: every read of a set is on its way before the next
 * is allocated. With another one a read that gets neither memory nor a part of the reserve fails.
 *
 *	mob_read_begin(&read, disk, gfp);
 *	mob_read_seek(&read, sector, pages);	for each run of sectors
 *	mob_read_add(&read, page, bytes);	for each page of the run
 *	ret = mob_read_wait(&read);
 */
#ifndef MOB_READ_H
#define MOB_READ_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/types.h>

struct bio;
struct mob_disk;
struct page;

struct mob_read {
	struct mob_disk *disk;
	struct bio *bio;	/* not submitted yet */
	sector_t next;
	unsigned int pages;	/* of the run, still to come */
	gfp_t gfp;
	atomic_t pending;	/* bios, and one for the caller */
	int error;
	struct completion done;
};

int mob_read_init(void);
void mob_read_exit(void);

void mob_read_begin(struct mob_read *read, struct mob_disk *disk, gfp_t gfp);
/* The next pages, at most @pages of them, are filled from @sector on. */
void mob_read_seek(struct mob_read *read, sector_t sector, unsigned int pages);
/* @bytes is a multiple of the logical block; less than a page only at the end of a run. */
void mob_read_add(struct mob_read *read, struct page *page, unsigned int bytes);
/* 0, or the negative errno of a read that failed; -ENOMEM: one was not even begun. */
int mob_read_wait(struct mob_read *read);

#endif
