// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/compare.h"
#include "agent/verify.h"
#include "agent/worker.h"
#include "lib/clock.h"
#include "lib/log.h"

#define READ_ALIGN 4096u

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static size_t read_size(const struct disk *d)
{
	uint64_t granule = 1ull << d->source->shift;

	/* A scan's chunk is read as one: its digests are kept as one. */
	if (!d->source->ops->tracks)
		return SCAN_CHUNK;
	return granule > WORKER_READ_BYTES ? granule : WORKER_READ_BYTES;
}

int worker_buffer(struct worker *w, size_t size, struct err *e)
{
	void *buf;

	if (w->buf_size >= size)
		return 0;
	if (posix_memalign(&buf, READ_ALIGN, size + READ_ALIGN))
		return err_set(e, -ENOMEM, "out of memory for a read buffer of %zu bytes", size);
	free(w->buf);
	w->buf = buf;
	w->buf_size = size;
	return 0;
}

/*
 * What cannot be read stays to be sent: it goes into the next epoch, and this one becomes no
 * recovery point.
 */
static int postpone(struct disk *d, uint64_t offset, size_t len, struct err *e)
{
	disk_unread(d, offset, len);
	return d->source->ops->mark(d->source, offset, len, e);
}

/* A block as the appliance's digests know it: whole, or the short one at the end of the disk. */
static bool whole_block(const struct disk *d, uint64_t offset, size_t len)
{
	return offset % WIRE_BLOCK == 0 && (len == WIRE_BLOCK || offset + len == d->size);
}

/* Bytes from offset to the next multiple of WIRE_BLOCK, at most len. */
static size_t block_part(uint64_t offset, size_t len)
{
	return (size_t)min_u64(WIRE_BLOCK - offset % WIRE_BLOCK, len);
}

/* Which of the digests from the block of offset on is that of the block at offset + at? */
static const uint8_t *digest_at(const uint8_t *digests, uint64_t offset, size_t at)
{
	return digests + ((offset + at) / WIRE_BLOCK - offset / WIRE_BLOCK) * DIGEST_BYTES;
}

/* Tracked, to be sent as it is. */
static int add_all(struct worker *w, struct disk *d, uint64_t offset, size_t len, struct err *e)
{
	size_t n;
	int r = 0;

	for (size_t at = 0; !r && at < len; at += n) {
		n = block_part(offset + at, len - at);
		r = worker_add(w, d, offset + at, w->buf + at, n, NULL, e);
	}
	return r;
}

/* The digests of the blocks in the buffer to w->own, of those at the edges as far as they are there. */
static void digest_buffer(struct worker *w, uint64_t offset, size_t len)
{
	uint8_t *digest = w->own;
	size_t n;
	bool zero;

	for (size_t at = 0; at < len; at += n, digest += DIGEST_BYTES) {
		n = block_part(offset + at, len - at);
		worker_digest(w, w->buf + at, n, digest, &zero);
	}
}

/* Send what differs from expected, the appliance's digests from the block of offset on. */
static int add_different(struct worker *w, struct disk *d, uint64_t offset, size_t len,
			 const uint8_t *expected, struct err *e)
{
	size_t n;
	int r = 0;

	for (size_t at = 0; !r && at < len; at += n) {
		const uint8_t *own = digest_at(w->own, offset, at);

		n = block_part(offset + at, len - at);
		if (!whole_block(d, offset + at, n))
			r = worker_add(w, d, offset + at, w->buf + at, n, NULL, e);
		else if (!memcmp(own, digest_at(expected, offset, at), DIGEST_BYTES))
			atomic_fetch_add(&w->agent->totals.unchanged_bytes, n);
		else
			r = worker_add(w, d, offset + at, w->buf + at, n,
				       mem_is_zero(own, DIGEST_BYTES) ? NULL : own, e);
	}
	return r;
}

/*
 * As above; where nothing is expected yet the appliance is asked. Edges that are no whole blocks are asked for as parts of theirs, and
 * sent in any case.
 */
static int add_compared(struct worker *w, struct disk *d, uint64_t offset, size_t len,
			const uint8_t *expected, struct err *e)
{
	uint64_t first = offset & ~(uint64_t)(WIRE_BLOCK - 1), end = offset + len;
	int r = 0;

	if (!expected) {
		expected = w->theirs;
		if (end != d->size)
			end = (end + WIRE_BLOCK - 1) & ~(uint64_t)(WIRE_BLOCK - 1);
		if (end > d->size)
			end = d->size;
		r = compare_expected(w, d, first, (size_t)(end - first), w->own, w->theirs, e);
	}
	return r ? r : add_different(w, d, offset, len, expected, e);
}

/* What the appliance has acknowledged it should have: w->theirs is what it has. */
static void check_known(struct worker *w, struct disk *d, uint64_t offset, size_t len)
{
	uint8_t known[DIGEST_BYTES];
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		n = block_part(offset + at, len - at);
		if (scan_digests_known(d->digests, offset + at, n, known) &&
		    memcmp(known, digest_at(w->theirs, offset, at), DIGEST_BYTES))
			verify_mismatch(d, offset + at, n);
	}
}

/* Scanned: send what differs, and remember for the next cycle what the appliance has then. */
static int add_learned(struct worker *w, struct disk *d, const struct piece *p, uint64_t offset,
		       size_t len, const uint8_t *expected, struct err *e)
{
	size_t count = (len + WIRE_BLOCK - 1) / WIRE_BLOCK;
	int r;

	digest_buffer(w, offset, len);
	if (p->mode == PIECE_COMPARE) {
		r = add_compared(w, d, offset, len, expected, e);
		if (!r && !expected)
			check_known(w, d, offset, len);
	} else {
		/* No block has this digest: everything is sent. */
		memset(w->theirs, 0xff, count * DIGEST_BYTES);
		r = add_different(w, d, offset, len, w->theirs, e);
	}
	for (size_t i = 0; !r && i < count; i++)
		scan_digests_learn(d->digests, offset + i * WIRE_BLOCK, w->own + i * DIGEST_BYTES);
	return r;
}

/* The same for a whole chunk, which the second reading is compared with. */
static int add_scanned(struct worker *w, struct disk *d, const struct piece *p, uint64_t offset,
		       size_t len, const uint8_t *expected, struct err *e)
{
	int r = add_learned(w, d, p, offset, len, expected, e);

	if (!r)
		scan_digests_saw(d->digests, offset, w->own,
				 (len + WIRE_BLOCK - 1) / WIRE_BLOCK * DIGEST_BYTES);
	return r;
}

/* Of a tracked disk not where it is spared: that fails without being tried. */
static int read_disk(struct worker *w, struct disk *d, void *buf, size_t len, uint64_t offset)
{
	if (d->source->ops->tracks && disk_spared(d, offset, len))
		return -EIO;
	return disk_read(d, d->source, &w->reader, buf, len, offset);
}

/* What of the buffer can be read of a range in which a read failed, granule by granule; of a scanned disk block by block. */
static int salvage(struct worker *w, const struct piece *p, uint64_t offset, size_t len,
		   const uint8_t *expected, struct err *e)
{
	struct disk *d = p->owner;
	bool tracks = d->source->ops->tracks;
	size_t step = tracks ? (size_t)1 << d->source->shift : WIRE_BLOCK, part;
	int r = 0;

	for (size_t at = 0; !r && at < len; at += part) {
		part = (size_t)min_u64(step, len - at);
		r = read_disk(w, d, w->buf, part, offset + at);
		if (r == -EIO)
			r = postpone(d, offset + at, part, e);
		else if (r)
			r = err_errno(e, r, "cannot read %s", d->path);
		else if (tracks)
			r = add_all(w, d, offset + at, part, e);
		else
			r = add_learned(w, d, p, offset + at, part,
					expected ? digest_at(expected, offset, at) : NULL, e);
	}
	return r;
}

static int verify(struct worker *w, struct disk *d, uint64_t offset, size_t len)
{
	uint8_t digests[SCAN_CHUNK / WIRE_BLOCK * DIGEST_BYTES], *digest = digests;
	size_t n;
	bool zero;

	for (size_t at = 0; at < len; at += n, digest += DIGEST_BYTES) {
		n = block_part(offset + at, len - at);
		worker_digest(w, w->buf + at, n, digest, &zero);
	}
	if (!scan_digests_same(d->digests, offset, digests, (size_t)(digest - digests)))
		atomic_store(&d->changed_at, offset);
	return 0;
}

/* The second reading of a range in which a read failed, block by block: what cannot be read is not proven to be as it was. */
static int verify_salvaged(struct worker *w, struct disk *d, uint64_t offset, size_t len,
			   struct err *e)
{
	bool whole = true;
	size_t n;

	for (size_t at = 0; at < len; at += n) {
		int r;

		n = block_part(offset + at, len - at);
		r = read_disk(w, d, w->buf + at, n, offset + at);
		if (r && r != -EIO)
			return err_errno(e, r, "cannot read %s", d->path);
		if (r)
			disk_unread(d, offset + at, n);
		whole &= !r;
	}
	return whole ? verify(w, d, offset, len) : 0;
}

/*
 * A chunk of a scan that reads as zeros and need not be read. As add_scanned and verify, for all of
 * it at once.
 */
static int hole(struct worker *w, const struct piece *p, uint64_t offset, size_t len,
		const uint8_t *expected, struct err *e)
{
	static const uint8_t zeros[SCAN_CHUNK / WIRE_BLOCK * DIGEST_BYTES];
	size_t bytes = (len + WIRE_BLOCK - 1) / WIRE_BLOCK * DIGEST_BYTES;
	struct disk *d = p->owner;
	int r = 0;

	if (p->mode == PIECE_VERIFY) {
		if (!scan_digests_same(d->digests, offset, zeros, bytes))
			atomic_store(&d->changed_at, offset);
		return 0;
	}
	if (expected && !memcmp(expected, zeros, bytes))
		atomic_fetch_add(&w->agent->totals.unchanged_bytes, len);
	else
		r = worker_add_zero(w, d, offset, len, e);
	if (r)
		return r;
	for (size_t at = 0; at < len; at += WIRE_BLOCK)
		scan_digests_learn(d->digests, offset + at, zeros);
	scan_digests_saw(d->digests, offset, zeros, bytes);
	return 0;
}

/*
 * The epoch has as many extents of the disk as it may. The rest stays to be sent, as what cannot be read; of a scanned disk
 * it still differs from what is known of the appliance when it is read next.
 */
static int put_off(struct disk *d, uint64_t offset, size_t len, struct err *e)
{
	atomic_fetch_add(&d->put_off, len);
	return d->source->ops->mark(d->source, offset, len, e);
}

static bool is_full(const struct disk *d, enum piece_mode mode)
{
	return mode != PIECE_VERIFY && atomic_load(&d->extents) >= WORKER_EXTENTS;
}

/* A part of a run that fits the buffer. */
static int part_of_run(struct worker *w, const struct piece *p, uint64_t offset, size_t len,
		       const uint8_t *expected, struct err *e)
{
	struct disk *d = p->owner;
	uint64_t began = clock_monotonic_ns();
	bool empty = disk_hole(d, &w->reader, offset, len);
	int r = 0;

	/* What the appliance has is asked for below, about bytes in the buffer. */
	if (empty && p->mode == PIECE_COMPARE && !expected)
		memset(w->buf, 0, len);
	else if (empty)
		return hole(w, p, offset, len, expected, e);
	else
		r = read_disk(w, d, w->buf, len, offset);
	stage_add(&w->agent->stages, STAGE_READ, clock_monotonic_ns() - began, len);
	if (r == -EIO)
		return p->mode == PIECE_VERIFY ? verify_salvaged(w, d, offset, len, e)
					       : salvage(w, p, offset, len, expected, e);
	if (r)
		return err_errno(e, r, "cannot read %s", d->path);
	atomic_fetch_add(&w->agent->totals.read_bytes, len);
	if (p->mode == PIECE_VERIFY)
		return verify(w, d, offset, len);
	if (!d->source->ops->tracks)
		return add_scanned(w, d, p, offset, len, expected, e);
	if (p->mode != PIECE_COMPARE)
		return add_all(w, d, offset, len, e);
	digest_buffer(w, offset, len);
	return add_compared(w, d, offset, len, NULL, e);
}

static int one_run(struct worker *w, const struct piece *p, const struct run *run, struct err *e)
{
	struct disk *d = p->owner;
	uint64_t first = run->offset & ~(uint64_t)(WIRE_BLOCK - 1), at = run->offset;
	uint64_t end = run->offset + run->length;
	const uint8_t *expected = NULL;
	size_t step = read_size(d), n;
	int r = worker_buffer(w, step, e);

	if (!r && p->mode == PIECE_COMPARE) {
		compare_piece(w, end);
		if (!verify_scan(d) &&
		    scan_digests_known(d->digests, first, end - first, w->expected))
			expected = w->expected;
	}
	for (; !r && at < end; at += n) {
		if (w->given_up(w->arg))
			return err_set(e, -ECANCELED, "canceled");
		n = (size_t)min_u64(step, end - at);
		if (is_full(d, p->mode))
			r = put_off(d, at, n, e);
		else
			r = part_of_run(w, p, at, n,
					expected ? digest_at(expected, first, (size_t)(at - first))
						 : NULL,
					e);
		atomic_fetch_add(&d->drained, n);
	}
	return r;
}

int worker_piece(struct worker *w, const struct piece *p, struct err *e)
{
	struct disk *d = p->owner;
	int r = 0;

	for (unsigned int i = 0; !r && i < p->run_count; i++) {
		/* One change is enough to know that the disk was busy. */
		if (p->mode == PIECE_VERIFY && atomic_load(&d->changed_at) != UINT64_MAX)
			break;
		if (p->mode == PIECE_PROVE)
			r = verify_prove(w, d, &p->run[i], e);
		else
			r = one_run(w, p, &p->run[i], e);
	}
	return r;
}
