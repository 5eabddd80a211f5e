/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/fold.h"
#include "appliance/names.h"
#include "appliance/point.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

#define BATCH_BLOCKS 256 /* 16 MiB */
#define BATCH_LOOKS 65536 /* for blocks to write, before somebody who waits has a turn */

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
	size_t count, max;
	uint64_t block[BATCH_BLOCKS];
	uint8_t digest[BATCH_BLOCKS][DIGEST_BYTES];
	uint8_t *data; /* BATCH_BLOCKS * BASE_BLOCK */
};

static void fold_close(struct fold *f)
{
	reader_close(f->reader);
	base_close(&f->base);
	image_clear(&f->image);
	free(f->journals);
	free(f->data);
}

static int fold_open(struct fold *f, struct catalog *c, struct store *s, const struct disk_row *d,
		     uint64_t target, size_t batch, struct err *e)
{
	const struct base_of of = {s, d->machine, d->id, d->size, d->base_epoch};
	int rc;

	*f = (struct fold){.catalog = c, .store = s, .disk = d, .target = target};
	f->max = batch && batch < BATCH_BLOCKS ? batch : BATCH_BLOCKS;
	rc = catalog_journals(c, d->id, target, &f->journals, e);
	if (rc >= 0) {
		f->journal_count = rc;
		rc = image_open(s, d, f->journals, (size_t)rc, &f->image, e);
	}
	if (rc == 0)
		rc = map_collapse(&f->image.map);
	if (rc == 0)
		rc = base_open(&of, true, &f->base, e);
	if (rc == 0)
		rc = reader_open(&f->image, &f->reader, e);
	if (rc == 0) {
		f->data = malloc((size_t)BATCH_BLOCKS * BASE_BLOCK);
		if (!f->data)
			rc = err_set(e, -ENOMEM, "out of memory for folding a disk");
	}
	if (rc < 0)
		fold_close(f);
	return rc;
}

/* How much of the block is on the disk: the last one may be short. */
static size_t length_of(const struct fold *f, uint64_t block)
{
	uint64_t at = block * BASE_BLOCK, size = f->disk->size;

	if (at >= size)
		return 0;
	return size - at < BASE_BLOCK ? (size_t)(size - at) : BASE_BLOCK;
}

/* Put the journals' bytes of the block into data; *covered: they are all of it. -EILSEQ: some are damaged. */
static int apply_journals(struct fold *f, uint64_t block, uint8_t *data, bool *covered,
			  struct err *e)
{
	size_t length = length_of(f, block);
	uint64_t at = block * BASE_BLOCK, end = at + length;
	struct piece p;
	uint64_t n;

	*covered = true;
	/* No journal has what is past the disk's end, and there is only one thing that it can be. */
	memset(data + length, 0, BASE_BLOCK - length);
	while (at < end) {
		if (map_find(&f->image.map, at, end - at, &p, &n)) {
			int rc = reader_read(f->reader, data + (at - block * BASE_BLOCK), (size_t)n,
					     at, e);

			if (rc < 0)
				return rc == -EBADMSG ? -EILSEQ : rc;
		} else {
			*covered = false;
		}
		at += n;
	}
	return 0;
}

/* Does data with the journals applied have the digest that the killed fold had stored? */
static bool was_folded(const uint8_t *data, const uint8_t stored[DIGEST_BYTES])
{
	uint8_t digest[DIGEST_BYTES];

	base_digest_of(data, digest);
	return !memcmp(digest, stored, DIGEST_BYTES);
}

/* What the base has of a block, and what it should have: 0, or as base_read(). */
static int read_base(struct fold *f, uint64_t block, uint8_t *data, uint8_t stored[DIGEST_BYTES],
		     struct err *e)
{
	struct err why;
	int rc = base_read(&f->base, block, data, e), again;

	if (rc == -EILSEQ) {
		again = base_digest(&f->base, block, stored, &why);
		if (again == 0)
			again = base_read_raw(&f->base, block, data, &why);
		if (again < 0) {
			*e = why;
			rc = again;
		}
	}
	if (rc < 0 && rc != -EILSEQ)
		memset(data, 0, BASE_BLOCK);
	return rc;
}

/* Compute a block as of target and its digest. 1: it is damaged, *e says how. What cannot be read now is an error: it may be there later. */
static int compute_block(struct fold *f, uint64_t block, uint8_t *data, uint8_t *digest,
			 struct err *e)
{
	uint8_t stored[DIGEST_BYTES];
	struct err why;
	bool covered;
	int base_rc = read_base(f, block, data, stored, &why);
	int rc = apply_journals(f, block, data, &covered, e);

	if (rc < 0)
		return rc == -EILSEQ ? 1 : rc;
	base_digest_of(data, digest);
	if (base_rc == 0 || covered || (base_rc == -EILSEQ && was_folded(data, stored)))
		return 0;
	*e = why;
	return base_rc == -EILSEQ ? 1 : base_rc;
}

/* The same; damage is passed on as damage, never as fresh, valid bytes. */
static int fold_block(struct fold *f, uint64_t block, uint8_t *data, uint8_t *digest, struct err *e)
{
	int rc = compute_block(f, block, data, digest, e);

	if (rc <= 0)
		return rc;
	log_error("disk %s: damage at %llu is kept as damage in the base: %s", f->disk->id,
		  (unsigned long long)block * BASE_BLOCK, e->text);
	memcpy(digest, base_damaged, DIGEST_BYTES);
	return 0;
}

/* The first unit of so many bytes, at or after this, in which the object has something; UINT64_MAX: none. */
static int next_used(struct store_object *o, uint64_t size, uint64_t unit, uint64_t *n,
		     struct err *e)
{
	uint64_t at = *n * unit;
	int rc = at < size ? store_next_data(o, at, &at, e) : 0;

	*n = at < size ? at / unit : UINT64_MAX;
	return rc;
}

/* The first block at or after this that the base may have as something else than zeros and a hole; UINT64_MAX: none. */
static int next_nonzero(struct fold *f, uint64_t *block, struct err *e)
{
	uint64_t digest = *block, data = *block;
	uint8_t stored[DIGEST_BYTES];
	int rc = next_used(f->base.digests, f->base.digests_size, DIGEST_BYTES, &digest, e);

	if (rc == 0)
		rc = next_used(f->base.image, f->base.image_size, BASE_BLOCK, &data, e);
	if (rc == 0 && digest == *block && data != *block) {
		rc = base_digest(&f->base, *block, stored, e);
		if (rc == 0 && base_digest_is_zero(stored))
			digest++;
	}
	if (rc == 0)
		*block = digest < data ? digest : data;
	return rc;
}

/* How many blocks from this on need not be written: journals make all of them zeros, and the base has them so. */
static int count_zeros(struct fold *f, uint64_t block, uint64_t *count, struct err *e)
{
	uint64_t at = block * BASE_BLOCK, next = block, n;
	struct piece p;
	int rc;

	*count = 0;
	if (!map_find(&f->image.map, at, UINT64_MAX - at, &p, &n) || p.kind != PIECE_ZERO ||
	    n < BASE_BLOCK)
		return 0;
	rc = next_nonzero(f, &next, e);
	if (rc == 0)
		*count = next - block < n / BASE_BLOCK ? next - block : n / BASE_BLOCK;
	return rc;
}

/* Compute the next batch at or after block. It may be empty although others come after it. */
static int fill_batch(struct fold *f, uint64_t block, struct err *e)
{
	uint64_t zeros;
	int rc = 0;

	f->count = 0;
	f->next = block;
	for (unsigned int i = 0; rc == 0 && f->count < f->max && (!f->looks || i < f->looks); i++) {
		uint64_t at = map_next(&f->image.map, f->next * BASE_BLOCK);
		size_t k = f->count;

		f->done = at == UINT64_MAX;
		if (f->done)
			break;
		f->next = at / BASE_BLOCK;
		rc = count_zeros(f, f->next, &zeros, e);
		if (rc == 0 && !zeros) {
			f->block[k] = f->next;
			rc = fold_block(f, f->next, f->data + k * BASE_BLOCK, f->digest[k], e);
			f->count++;
		}
		f->next += zeros ? zeros : 1;
	}
	return rc;
}

static int write_digests(struct fold *f, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < f->count; i++)
		rc = store_write(f->base.digests, f->digest[i], DIGEST_BYTES,
				 f->block[i] * DIGEST_BYTES, e);
	return rc == 0 ? store_sync(f->base.digests, e) : rc;
}

static int write_blocks(struct fold *f, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < f->count; i++) {
		uint64_t at = f->block[i] * BASE_BLOCK;

		if (base_digest_is_zero(f->digest[i]))
			rc = store_zero(f->base.image, at, BASE_BLOCK, e);
		else
			rc = store_write(f->base.image, f->data + i * BASE_BLOCK, BASE_BLOCK, at,
					 e);
	}
	return rc == 0 ? store_sync(f->base.image, e) : rc;
}

static int write_batch(struct fold *f, struct err *e)
{
	int rc = write_digests(f, e);

	if (rc == 0)
		rc = write_blocks(f, e);
	return rc == 0 ? base_refresh(&f->base, e) : rc;
}

static void no_hook(void *arg)
{
	(void)arg;
}

static void no_folded(void *arg, uint64_t target)
{
	(void)arg;
	(void)target;
}

static bool no_stop(void *arg)
{
	(void)arg;
	return false;
}

static const struct fold_hooks no_hooks = {no_hook, no_hook, no_folded, no_stop, NULL, 0};

/* A batch is begun only when all of it fits: one that stops half-way would keep readers out. */
static int check_space(struct fold *f, uint64_t block, struct err *e)
{
	uint64_t space, need = f->count * BASE_BLOCK + (1 << 20);
	int rc = store_space(f->store, &space, e);

	if (rc < 0 || space >= need)
		return rc;
	rc = catalog_fold_progress(f->catalog, f->disk->id, block, false, e);
	return rc < 0 ? rc : err_set(e, -ENOSPC, "the store has no space for folding");
}

static int put_batch(struct fold *f, uint64_t block, const struct fold_hooks *hooks, struct err *e)
{
	int rc = check_space(f, block, e);

	if (rc < 0)
		return rc;
	hooks->exclude(hooks->arg);
	rc = write_batch(f, e);
	hooks->admit(hooks->arg);
	return rc;
}

/* Batches from `block` on, until all is written (0) or somebody wants to read (-EAGAIN). */
static int fold_batches(struct fold *f, uint64_t block, const struct fold_hooks *hooks,
			struct err *e)
{
	const struct disk_row *d = f->disk;
	int rc;

	f->looks = BATCH_LOOKS;
	for (;;) {
		rc = catalog_leased(f->catalog, d->machine, clock_monotonic_ns(), e);
		if (rc < 0)
			return rc;
		if (rc > 0 || hooks->stop(hooks->arg)) {
			rc = catalog_fold_progress(f->catalog, d->id, block, false, e);
			return rc < 0 ? rc : err_set(e, -EAGAIN, "folding waits for readers");
		}
		rc = fill_batch(f, block, e);
		/* Nothing of the batch is written: nobody has to wait for that. */
		if (rc < 0)
			catalog_fold_progress(f->catalog, d->id, block, false, NULL);
		if (rc == 0 && f->count)
			rc = put_batch(f, block, hooks, e);
		/* What was skipped may have been written by a fold that was killed before its sync. */
		if (rc == 0 && f->done)
			return store_sync(f->base.digests, e);
		if (rc < 0)
			return rc;
		block = f->next;
		rc = catalog_fold_progress(f->catalog, d->id, block, true, e);
		if (rc < 0)
			return rc;
	}
}

static void remove_journals(struct fold *f)
{
	char name[STORE_NAME_MAX];
	struct err e;

	/* What cannot be removed now is found again when the appliance starts. */
	for (int i = 0; i < f->journal_count; i++) {
		uint64_t epoch = f->journals[i].epoch;

		name_index(name, f->disk->machine, f->disk->id, epoch);
		if (store_remove(f->store, name, &e) < 0)
			log_warning("%s", e.text);
		name_journal(name, f->disk->machine, f->disk->id, epoch);
		if (store_remove(f->store, name, &e) < 0)
			log_warning("%s", e.text);
	}
}

static int fold_to(struct catalog *c, struct store *s, const struct disk_row *d, uint64_t target,
		   const struct fold_hooks *hooks, struct err *e)
{
	uint64_t block = d->fold_target == target ? d->fold_block : 0;
	struct fold f;
	int rc = catalog_fold_begin(c, d->id, target, clock_monotonic_ns(), e);

	if (rc < 0)
		return rc;
	rc = fold_open(&f, c, s, d, target, hooks->batch, e);
	if (rc < 0) {
		catalog_fold_progress(c, d->id, block, d->fold_active && !content_unreadable(rc),
				      NULL);
		return rc;
	}
	rc = fold_batches(&f, block, hooks, e);
	if (rc == 0) {
		hooks->exclude(hooks->arg);
		rc = catalog_fold_done(c, d->id, target, e);
		if (rc == 0)
			hooks->folded(hooks->arg, target);
		hooks->admit(hooks->arg);
	}
	if (rc == 0)
		remove_journals(&f);
	fold_close(&f);
	return rc;
}

/*
 * Can `later` compute the blocks of the batch from `block` on that `now` stops at? None of them may come out as damaged: when a killed process left the batch
 * half-written, a block has the digest that it gets from now's journals, and with those of later over it nothing shows any more that its bytes are good.
 */
static bool batch_can_wait(struct fold *now, struct fold *later, uint64_t block)
{
	struct err e;

	now->max = 1;
	for (size_t n = 0; n < BATCH_BLOCKS; n++) {
		int rc = fill_batch(now, block, &e);

		if (!now->count)
			return rc == 0;
		block = now->block[0];
		if (compute_block(later, block, later->data, later->digest[0], &e) != 0)
			return false;
		block++;
	}
	return true;
}

/*
 * A fold cannot read what it needs: may the one to a later target take its place? What the first has written are blocks that both fold, and those of the
 * later are the same whether it finds them as of its beginning or as of the earlier target. Only the batch in which it stopped has to be looked at.
 */
static bool can_go_past(struct catalog *c, struct store *s, const struct disk_row *d,
			uint64_t target)
{
	struct fold now, later;
	struct disk_row row;
	struct err e;
	bool can;

	if (catalog_disk(c, d->id, &row, &e) < 0 || row.fold_active ||
	    fold_open(&now, c, s, &row, row.fold_target, 0, &e) < 0)
		return false;
	can = fold_open(&later, c, s, &row, target, 0, &e) == 0;
	if (can) {
		can = batch_can_wait(&now, &later, row.fold_block);
		fold_close(&later);
	}
	fold_close(&now);
	return can;
}

int fold_disk(struct catalog *c, struct store *s, const struct disk_row *d, uint64_t target,
	      const struct fold_hooks *hooks, struct err *e)
{
	struct disk_row row = *d;
	int rc;

	if (!hooks)
		hooks = &no_hooks;
	if (row.fold_target) {
		rc = fold_to(c, s, &row, row.fold_target, hooks, e);
		if (content_unreadable(rc) && target > row.fold_target &&
		    can_go_past(c, s, d, target))
			rc = 0;
		if (rc == 0)
			rc = catalog_disk(c, d->id, &row, e);
		if (rc < 0)
			return rc;
	}
	return target > row.base_epoch ? fold_to(c, s, &row, target, hooks, e) : 0;
}

int fold_recover(struct catalog *c, struct store *s, const struct disk_row *d, struct err *e)
{
	struct fold f;
	int rc;

	if (!d->fold_target || !d->fold_active)
		return 0;
	rc = fold_open(&f, c, s, d, d->fold_target, 0, e);
	if (rc == 0) {
		rc = fill_batch(&f, d->fold_block, e);
		if (rc == 0 && f.count)
			rc = write_batch(&f, e);
		fold_close(&f);
	}
	if (rc == 0)
		return catalog_fold_progress(c, d->id, d->fold_block, false, e);
	/* It will not be whole soon. Readers find what is not by its digest, and need not wait for what is. */
	if (content_unreadable(rc))
		catalog_fold_progress(c, d->id, d->fold_block, false, NULL);
	return rc;
}
