/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk as of an epoch: an image is the map of the journals over the base, a reader gives its bytes, every digest checked.
 *
 * Many readers may use an image at once, each belonging to one thread. Changing the image (image_add, image_drop) or folding the disk needs the readers
 * of this process to stay out; other processes hold a lease (catalog.h).
 */
#ifndef APPLIANCE_POINT_H
#define APPLIANCE_POINT_H

#include <errno.h>

#include "appliance/base.h"
#include "appliance/catalog.h"
#include "appliance/index.h"
#include "appliance/map.h"

/* Of an error of reading: the content cannot be had from the base or a journal, now or ever. */
static inline bool content_unreadable(int rc)
{
	return rc == -EIO || rc == -ENOENT || rc == -ENODATA;
}

/* The same, or it was read and is damaged: the agent has to send it again. */
static inline bool content_lost(int rc)
{
	return rc == -EILSEQ || rc == -EBADMSG || content_unreadable(rc);
}

struct image {
	struct store *store;
	char machine[UUID_TEXT_BYTES], disk[UUID_TEXT_BYTES];
	uint64_t size; /* of the disk now, bytes */
	uint64_t base_epoch; /* 0: there need not be a base */
	struct map map;
};

/*
 * The disk as of base and these journals (catalog_journals). A journal that is damaged makes what it may have written damage, until a newer one writes it
 * again; one that is missing makes it unreadable, for it may be found.
 */
int image_open(struct store *s, const struct disk_row *d, const struct journal_row *journals,
	       size_t n, struct image *im, struct err *e);
void image_clear(struct image *im);
/* The next committed epoch. */
int image_add(struct image *im, const struct journal_row *journal, struct err *e);

struct reader;
int reader_open(const struct image *im, struct reader **out, struct err *e);
void reader_close(struct reader *r); /* NULL is fine */
void reader_closep(struct reader **r);

/* The bytes at offset. -EILSEQ or -EBADMSG: damaged, *e says where; others: content_unreadable(). */
int reader_read(struct reader *r, void *buf, size_t len, uint64_t offset, struct err *e);
/* Are the bytes zero without having to be read? *length: how long that answer holds from offset, at most limit. */
bool reader_is_hole(struct reader *r, uint64_t offset, uint64_t limit, uint64_t *length, int *rc,
		    struct err *e);
/*
 * The digest of the block at offset (a multiple of 64 KiB) of a disk of `size` bytes, as the protocol gives it; from stored digests unless reread.
 * All 0xff, which is no block's digest, where the content is damaged or cannot be read.
 */
int reader_digest(struct reader *r, uint64_t offset, uint64_t size, bool reread,
		  uint8_t out[DIGEST_BYTES], struct err *e);
/* The same without reading content: 1 if it is stored, else 0. */
int reader_digest_stored(struct reader *r, uint64_t offset, uint64_t size,
			 uint8_t out[DIGEST_BYTES], struct err *e);
/* 1 unless the base's block at offset is known to be damaged. */
int reader_base_sound(struct reader *r, uint64_t offset, struct err *e);

#endif
