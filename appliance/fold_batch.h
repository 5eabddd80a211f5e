/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One batch of a fold: which blocks it has, what they are, and how they are written (fold.h has the order and why). A struct fold belongs to one thread.
 */
#ifndef APPLIANCE_FOLD_BATCH_H
#define APPLIANCE_FOLD_BATCH_H

#include "appliance/catalog.h"
#include "appliance/point.h"

#define BATCH_BLOCKS 256 /* 16 MiB */
/* What a new block takes of the store, with the page of base.sha that has its digest. */
#define BATCH_BLOCK_SPACE (BASE_BLOCK + 4096)

struct fold {
	struct catalog *catalog;
	struct store *store;
	const struct disk_row *disk;
	uint64_t target;
	struct base base; /* written */
	struct image image; /* the journals up to target */
	struct reader *reader; /* of image */
	struct journal_row *journals;
	int journal_count;
	/* the batch */
	unsigned int looks; /* at most so many for it; 0: until it is full, to find one again */
	uint64_t next; /* where the one after it begins */
	bool done; /* there is none after it */
	bool mend; /* only blocks that are half-written, of those that a batch would have */
	bool torn; /* the block computed last is: its digest is written, and not (all of) its bytes */
	uint64_t damage,
		damage_end; /* on the disk: the blocks that were found last, not told yet */
	char why[sizeof(((struct err *)0)->text)]; /* of the first of them */
	size_t count, max;
	uint64_t block[BATCH_BLOCKS];
	uint8_t digest[BATCH_BLOCKS][DIGEST_BYTES];
	uint8_t *data; /* BATCH_BLOCKS * BASE_BLOCK */
};

/* batch: blocks at once, 1..BATCH_BLOCKS; 0: BATCH_BLOCKS. */
int fold_open(struct fold *f, struct catalog *c, struct store *s, const struct disk_row *d,
	      uint64_t target, size_t batch, struct err *e);
void fold_close(struct fold *f);

/* Compute a block as of target and its digest. 1: it is damaged, *e says how. What cannot be read now is an error: it may be there later. */
int fold_compute(struct fold *f, uint64_t block, uint8_t *data, uint8_t *digest, struct err *e);
/* Compute the next batch at or after block. It may be empty although others come after it. */
int fold_fill(struct fold *f, uint64_t block, struct err *e);
/* How much of the store the base takes for blocks from this one on that it has no space for yet. It stops counting beyond `most`. */
int fold_need(struct fold *f, uint64_t block, uint64_t most, uint64_t *need, struct err *e);
/*
 * Take the space of the batch's blocks that have none yet, by writing there what they read as. What the store refuses (no space, a quota, an image of
 * that size) it refuses here, where no harm is done, and not in the middle of the batch.
 */
int fold_allocate(struct fold *f, struct err *e);
/* The digests, durably, and then the blocks. */
int fold_write(struct fold *f, struct err *e);

#endif
