/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The base of a disk: its image as of an epoch, in blocks of 64 KiB, and the SHA-256 of each block (docs/store.md). A block whose digest is all zero
 * bytes is a block of zeros, and the image has none but zeros there (mostly a hole); where it has others the digest is lost, and the block with it. One
 * whose digest is all 0xff is known to be damaged. What is past the end of both objects is zero. A struct base belongs to one thread; others (and other processes) may read while one writes, but must not use the
 * blocks that are being written (fold.h).
 */
#ifndef APPLIANCE_BASE_H
#define APPLIANCE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/catalog.h"
#include "appliance/store/store.h"
#include "lib/digest.h"

#define BASE_BLOCK 65536u

/* Which base. */
struct base_of {
	struct store *store;
	const char *machine, *disk;
	uint64_t size; /* of the disk */
	uint64_t
		epoch; /* that the base is of; 0: nothing was folded yet, and there need not be one */
};

/* As the catalog has it. */
static inline struct base_of base_of_disk(struct store *s, const struct disk_row *d)
{
	return (struct base_of){s, d->machine, d->id, d->size, d->base_epoch};
}

struct base {
	struct store_object *image, *digests; /* NULL: there is none yet, all is zero */
	uint64_t image_size, digests_size; /* at opening, or when it was last written */
	bool lost; /* one of the objects is gone: all of it is damaged */
	uint64_t hole,
		hole_end; /* where the image was found to have no data, to look once for each hole */
};

/* write: create what is missing; of a base that is lost all blocks are durably marked as damaged before. */
int base_open(const struct base_of *of, bool write, struct base *b, struct err *e);
/*
 * The store says itself which epoch its base is of, durably, before the catalog does. Is it the one that the catalog says, or `target`, to which a fold was
 * under way (0: none)? -EUCLEAN: it is another one, so that catalog and store do not belong together. Where it is not noted, or the note is damaged, nobody
 * can tell: 0.
 */
int base_note_epoch(const struct base_of *of, uint64_t epoch, struct err *e);
int base_check_epoch(const struct base_of *of, uint64_t target, struct err *e);
/* Are both objects there? 1, or 0 with neither left: only for a base that nothing was folded into for good (epoch 0). */
int base_whole_or_gone(const struct base_of *of, struct err *e);
void base_close(struct base *b);
/* After writing to the objects, before reading from the base again. */
int base_refresh(struct base *b, struct err *e);

/* The digest as stored. */
int base_digest(struct base *b, uint64_t block, uint8_t out[DIGEST_BYTES], struct err *e);
/* 1: the image has no data in the block, so that a digest of zeros is right. */
int base_block_empty(struct base *b, uint64_t block, struct err *e);
/* 1: the bytes at offset are zeros, without reading them; 0: they have to be read. *length is cut to how far that holds. */
int base_hole(struct base *b, uint64_t offset, uint64_t *length, struct err *e);
/* Read and check a whole block: -EILSEQ damaged. */
int base_read(struct base *b, uint64_t block, uint8_t out[BASE_BLOCK], struct err *e);
/* The bytes of a block without looking at its digest. */
int base_read_raw(struct base *b, uint64_t block, uint8_t out[BASE_BLOCK], struct err *e);
/* The stored form of a block's digest: all zero for a block of zeros. */
void base_digest_of(const uint8_t block[BASE_BLOCK], uint8_t out[DIGEST_BYTES]);
bool base_digest_is_zero(const uint8_t digest[DIGEST_BYTES]);
bool base_digest_is_damaged(const uint8_t digest[DIGEST_BYTES]);
extern const uint8_t base_damaged[DIGEST_BYTES];

#endif
