/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/fold_batch.h"
#include "lib/log.h"

/* Neighbours are told together: a whole disk may be damaged. */
static void tell_damage(struct fold *f)
{
	if (f->damage_end)
		log_error("disk %s: damage at %llu, %llu bytes, is kept as damage in the base: %s",
			  f->disk->id, (unsigned long long)f->damage,
			  (unsigned long long)(f->damage_end - f->damage), f->why);
	f->damage = f->damage_end = 0;
}

void fold_close(struct fold *f)
{
	tell_damage(f);
	reader_close(f->reader);
	base_close(&f->base);
	image_clear(&f->image);
	free(f->journals);
	free(f->data);
}

/* What a process that was killed wrote is taken for done where it reads right: it has to outlive a power cut first. */
static int sync_base(struct fold *f, struct err *e)
{
	int rc = store_sync(f->base.digests, e);

	return rc < 0 ? rc : store_sync(f->base.image, e);
}

int fold_open(struct fold *f, struct catalog *c, struct store *s, const struct disk_row *d,
	      uint64_t target, size_t batch, struct err *e)
{
	const struct base_of of = base_of_disk(s, d);
	int rc;

	*f = (struct fold){.catalog = c, .store = s, .disk = d, .target = target};
	f->max = batch && batch < BATCH_BLOCKS ? batch : BATCH_BLOCKS;
	rc = catalog_journals(c, d->id, target, &f->journals, e);
	if (rc >= 0) {
		f->journal_count = rc;
		rc = image_open(s, d, f->journals, (size_t)rc, &f->image, e);
	}
	if (rc == 0 && map_collapse(&f->image.map) < 0)
		rc = err_set(e, -ENOMEM, "out of memory for folding a disk");
	if (rc == 0)
		rc = base_check_epoch(&of, d->fold_target, e);
	if (rc == 0)
		rc = base_open(&of, true, &f->base, e);
	if (rc == 0 && d->fold_target)
		rc = sync_base(f, e);
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

int fold_compute(struct fold *f, uint64_t block, uint8_t *data, uint8_t *digest, struct err *e)
{
	uint8_t stored[DIGEST_BYTES];
	struct err why;
	bool covered;
	int base_rc = read_base(f, block, data, stored, &why);
	int rc = apply_journals(f, block, data, &covered, e);

	f->torn = false;
	if (rc < 0)
		return rc == -EILSEQ ? 1 : rc;
	base_digest_of(data, digest);
	/* With the journals applied it has the digest that the killed fold had stored. */
	f->torn = base_rc == -EILSEQ && !memcmp(digest, stored, DIGEST_BYTES);
	if (base_rc == 0 || covered || f->torn)
		return 0;
	*e = why;
	return base_rc == -EILSEQ ? 1 : base_rc;
}

/* The same; damage is passed on as damage, never as fresh, valid bytes. */
static int fold_block(struct fold *f, uint64_t block, uint8_t *data, uint8_t *digest, struct err *e)
{
	int rc = fold_compute(f, block, data, digest, e);

	if (rc <= 0)
		return rc;
	if (block * BASE_BLOCK != f->damage_end) {
		tell_damage(f);
		f->damage = block * BASE_BLOCK;
		memcpy(f->why, e->text, sizeof(f->why));
	}
	f->damage_end = (block + 1) * BASE_BLOCK;
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

/* How many blocks from this on the journals make zeros. */
static uint64_t journal_zeros(const struct fold *f, uint64_t block)
{
	uint64_t at = block * BASE_BLOCK, n;
	struct piece p;

	if (!map_find(&f->image.map, at, UINT64_MAX - at, &p, &n) || p.kind != PIECE_ZERO)
		return 0;
	return n / BASE_BLOCK;
}

/* How many blocks from this on need not be written: journals make all of them zeros, and the base has them so. */
static int count_zeros(struct fold *f, uint64_t block, uint64_t *count, struct err *e)
{
	uint64_t next = block;
	int rc;

	*count = journal_zeros(f, block);
	if (!*count)
		return 0;
	rc = next_nonzero(f, &next, e);
	if (rc == 0 && next - block < *count)
		*count = next - block;
	return rc;
}

int fold_fill(struct fold *f, uint64_t block, struct err *e)
{
	size_t computed = 0;
	uint64_t zeros;
	int rc = 0;

	f->count = 0;
	f->next = block;
	for (unsigned int i = 0; rc == 0 && computed < f->max && (!f->looks || i < f->looks); i++) {
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
			f->count += !f->mend || f->torn;
			computed++;
		}
		f->next += zeros ? zeros : 1;
	}
	return rc;
}

int fold_need(struct fold *f, uint64_t block, uint64_t most, uint64_t *need, struct err *e)
{
	uint64_t at, zeros;
	int rc = 0;

	*need = 0;
	while (rc >= 0 && *need <= most) {
		at = map_next(&f->image.map, block * BASE_BLOCK);
		if (at == UINT64_MAX)
			break;
		block = at / BASE_BLOCK;
		zeros = journal_zeros(f, block);
		if (zeros) {
			block += zeros;
			continue;
		}
		rc = base_block_empty(&f->base, block, e);
		if (rc > 0)
			*need += BATCH_BLOCK_SPACE;
		block++;
	}
	return rc < 0 ? rc : 0;
}

int fold_allocate(struct fold *f, struct err *e)
{
	static const uint8_t zeros[BASE_BLOCK];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < f->count; i++) {
		if (base_digest_is_zero(f->digest[i]))
			continue;
		rc = base_block_empty(&f->base, f->block[i], e);
		if (rc > 0)
			rc = store_write(f->base.image, zeros, BASE_BLOCK, f->block[i] * BASE_BLOCK,
					 e);
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

int fold_write(struct fold *f, struct err *e)
{
	int rc = write_digests(f, e);

	if (rc == 0)
		rc = write_blocks(f, e);
	return rc == 0 ? base_refresh(&f->base, e) : rc;
}
