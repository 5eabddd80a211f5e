/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/digests.h"
#include "lib/digest_tree.h"
#include "lib/log.h"

/* A store without room for the cache still has the digests of nearly everything; what is left of it is for folds and the catalog. */
static int open_cache(struct home *h, const struct disk_row *d, struct digest_cache **out,
		      struct err *e)
{
	uint64_t space;
	int rc = store_space(h->store, &space, e);

	if (rc < 0)
		return rc;
	rc = digest_cache_open(h->store, d->machine, d->id, space > h->config.reserve, out, e);
	return rc == -ENOSPC ? digest_cache_open(h->store, d->machine, d->id, false, out, e) : rc;
}

int digests_open(struct home *h, struct live_disk *live, const struct disk_row *d,
		 struct digests *out, struct err *e)
{
	struct disk_row row;
	int rc = catalog_damage(h->catalog, d->id, &out->damage, e);

	out->damages = rc;
	out->image = &live->image;
	out->size = d->size;
	out->epoch = live->map_epoch;
	out->read_bytes = 0;
	out->reader = NULL;
	out->cache = NULL;
	if (rc < 0) {
		out->damage = NULL;
		return rc;
	}
	/* The base as it is now that the lock is held: no fold ends meanwhile. */
	rc = catalog_disk(h->catalog, d->id, &row, e);
	if (rc == 0) {
		out->base_epoch = row.base_epoch;
		if (out->epoch < row.base_epoch)
			out->epoch = row.base_epoch;
		rc = reader_open(&live->image, &out->reader, e);
	}
	if (rc == 0)
		rc = open_cache(h, d, &out->cache, e);
	if (rc < 0)
		digests_close(out);
	return rc;
}

void digests_close(struct digests *d)
{
	reader_close(d->reader);
	digest_cache_close(d->cache);
	free(d->damage);
	*d = (struct digests){0};
}

/* Blocks that verify found damaged are read, so that a stored digest does not vouch for bytes that are gone. */
static bool is_damaged(const struct digests *d, uint64_t offset)
{
	for (int i = 0; i < d->damages; i++) {
		if (offset < d->damage[i].offset + d->damage[i].length &&
		    d->damage[i].offset < offset + WIRE_BLOCK)
			return true;
	}
	return false;
}

static uint64_t end_of_block(const struct digests *d, uint64_t offset)
{
	return d->size - offset < BASE_BLOCK ? d->size : offset + BASE_BLOCK;
}

/*
 * The last epoch that wrote to the block, and whether a digest from then may vouch for it: not when a journal or the base under it is
 * known to be damaged since.
 */
static int newest(struct digests *d, uint64_t offset, uint64_t *epoch, bool *sound, struct err *e)
{
	uint64_t end = end_of_block(d, offset), n;
	struct piece p;

	*epoch = 0;
	*sound = true;
	for (uint64_t at = offset; at < end; at += n) {
		if (map_find(&d->image->map, at, end - at, &p, &n)) {
			if (p.epoch > *epoch)
				*epoch = p.epoch;
			*sound &= piece_is_known(&p);
		} else {
			int rc = reader_base_sound(d->reader, offset, e);

			if (rc < 0)
				return rc;
			*sound &= rc > 0;
		}
	}
	/* Who wrote to the base is not known: anybody up to its epoch. Where a journal has a part, that is newer. */
	if (!*epoch)
		*epoch = d->base_epoch;
	return 0;
}

static struct digest_of block_at(const struct digests *d, uint64_t offset)
{
	return (struct digest_of){offset / BASE_BLOCK, (size_t)(end_of_block(d, offset) - offset)};
}

static int compute(struct digests *d, uint64_t offset, bool remember, uint8_t out[DIGEST_BYTES],
		   struct err *e)
{
	struct err why;
	int rc = reader_digest(d->reader, offset, d->size, true, out, e);

	if (rc < 0)
		return rc;
	d->read_bytes += end_of_block(d, offset) - offset;
	if (remember && !digest_is_damaged(out) &&
	    digest_cache_put(d->cache, block_at(d, offset), d->epoch, out, &why) < 0)
		log_debug("a digest is not remembered: %s", why.text);
	return 0;
}

/* 1: known without reading content, or known to be lost. 0: not; *remember: it may be remembered once it is computed. */
static int known(struct digests *d, uint64_t offset, uint8_t out[DIGEST_BYTES], bool *remember,
		 struct err *e)
{
	uint64_t epoch;
	int rc;

	*remember = false;
	if (is_damaged(d, offset))
		return 0;
	rc = reader_digest_stored(d->reader, offset, d->size, out, e);
	if (rc > 0)
		return rc;
	if (rc == 0)
		rc = newest(d, offset, &epoch, remember, e);
	if (content_lost(rc)) {
		memcpy(out, base_damaged, DIGEST_BYTES);
		return 1;
	}
	if (rc < 0 || !*remember)
		return rc;
	rc = digest_cache_get(d->cache, block_at(d, offset), epoch, d->epoch, out, e);
	/* A cache that cannot be read knows nothing. */
	return content_unreadable(rc) ? 0 : rc;
}

static int block_digest(struct digests *d, uint64_t offset, uint8_t out[DIGEST_BYTES],
			struct err *e)
{
	bool remember;
	int rc = known(d, offset, out, &remember, e);

	if (rc)
		return rc < 0 ? rc : 0;
	return compute(d, offset, remember, out, e);
}

int digests_node(struct digests *d, uint64_t offset, uint64_t level, uint8_t out[DIGEST_BYTES],
		 struct err *e)
{
	uint8_t children[TREE_TOP / TREE_NODE * DIGEST_BYTES];
	uint64_t below = digest_tree_below(level), end;
	size_t count = 0;
	int rc = 0;

	if (level == TREE_LEAF)
		return block_digest(d, offset, out, e);
	end = d->size - offset < level ? d->size : offset + level;
	for (uint64_t at = offset; rc == 0 && at < end; at += below)
		rc = digests_node(d, at, below, children + count++ * DIGEST_BYTES, e);
	if (rc == 0)
		digest_tree_node(children, count, out);
	return rc;
}

/* From the first block on that a journal has, and the short one at the end; all others are the base's, and known. */
static uint64_t skip_base(const struct digests *d, uint64_t offset)
{
	uint64_t next = map_next(&d->image->map, offset), last = d->size - d->size % BASE_BLOCK;

	if (next > last)
		next = last;
	return next > offset ? next & ~(uint64_t)(BASE_BLOCK - 1) : offset;
}

/* Past this block, and the rest of a run of zeros: all of these are known. */
static uint64_t next_block(const struct digests *d, uint64_t offset)
{
	struct piece p;
	uint64_t n;

	if (map_find(&d->image->map, offset, d->size - offset, &p, &n) && p.kind == PIECE_ZERO &&
	    n > BASE_BLOCK)
		return offset + n / BASE_BLOCK * BASE_BLOCK;
	return offset + BASE_BLOCK;
}

/* 1: the digest was computed, 0: there was no need to. */
static int fill_block(struct digests *d, uint64_t offset, struct err *e)
{
	uint8_t digest[DIGEST_BYTES];
	bool remember;
	int rc = known(d, offset, digest, &remember, e);

	if (rc)
		return rc < 0 ? rc : 0;
	if (!remember)
		return 0;
	rc = compute(d, offset, true, digest, e);
	return rc < 0 ? rc : 1;
}

int digests_fill(struct digests *d, uint64_t *offset, unsigned int budget, struct err *e)
{
	for (*offset = skip_base(d, *offset); *offset < d->size;
	     *offset = skip_base(d, next_block(d, *offset))) {
		unsigned int cost;
		int rc;

		if (!budget)
			return 0;
		rc = fill_block(d, *offset, e);
		if (rc < 0)
			return rc;
		cost = rc ? DIGESTS_COMPUTED : 1;
		budget -= cost < budget ? cost : budget;
	}
	*offset = d->size;
	return 0;
}
