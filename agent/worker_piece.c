// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static int grow_buffer(struct worker *w, size_t size, struct err *e)
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
	atomic_fetch_add(&d->unread, len);
	disk_set_error(d, "Check the disk and the kernel's log; the agent goes on trying.",
		       "%zu bytes at offset %llu of %s cannot be read", len,
		       (unsigned long long)offset, d->path);
	return d->source->ops->mark(d->source, offset, len, e);
}

/* A tracked range in which a read failed: what can be read of it, granule by granule. */
static int salvage(struct worker *w, struct disk *d, uint64_t offset, size_t len, struct err *e)
{
	size_t granule = (size_t)1 << d->source->shift, part;
	int r;

	for (size_t at = 0; at < len; at += part) {
		part = (size_t)min_u64(granule, len - at);
		r = d->source->ops->read(d->source, w->buf, part, offset + at);
		if (r == -EIO) {
			r = postpone(d, offset + at, part, e);
		} else if (r) {
			return err_errno(e, r, "cannot read %s", d->path);
		} else {
			for (size_t in = 0, n; !r && in < part; in += n) {
				n = (size_t)min_u64(WIRE_BLOCK, part - in);
				r = worker_add(w, d, offset + at + in, w->buf + in, n, NULL, e);
			}
		}
		if (r)
			return r;
	}
	return 0;
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

/*
 * Tracked: nothing to remember. expected is NULL, or the appliance's digests from the block of
 * offset on.
 */
static int add_tracked(struct worker *w, struct disk *d, uint64_t offset, size_t len,
		       const uint8_t *expected, struct err *e)
{
	uint8_t digest[DIGEST_BYTES];
	size_t n;
	bool zero;
	int r = 0;

	for (size_t at = 0; !r && at < len; at += n) {
		n = block_part(offset + at, len - at);
		if (!expected || !whole_block(d, offset + at, n)) {
			r = worker_add(w, d, offset + at, w->buf + at, n, NULL, e);
			continue;
		}
		worker_digest(w, w->buf + at, n, digest, &zero);
		if (!memcmp(digest, digest_at(expected, offset, at), DIGEST_BYTES))
			atomic_fetch_add(&w->agent->totals.unchanged_bytes, n);
		else
			r = worker_add(w, d, offset + at, w->buf + at, n, digest, e);
	}
	return r;
}

/* Scanned: as above, and remember what was seen for the second reading and the next cycle. */
static int add_scanned(struct worker *w, struct disk *d, uint64_t offset, size_t len,
		       const uint8_t *expected, struct err *e)
{
	uint8_t digests[SCAN_CHUNK / WIRE_BLOCK * DIGEST_BYTES], *digest = digests;
	size_t n;
	bool zero;
	int r;

	for (size_t at = 0; at < len; at += n, digest += DIGEST_BYTES) {
		n = block_part(offset + at, len - at);
		worker_digest(w, w->buf + at, n, digest, &zero);
		if (expected && !memcmp(digest, digest_at(expected, offset, at), DIGEST_BYTES)) {
			atomic_fetch_add(&w->agent->totals.unchanged_bytes, n);
		} else {
			r = worker_add(w, d, offset + at, w->buf + at, n, digest, e);
			if (r)
				return r;
		}
		scan_digests_learn(d->digests, offset + at, digest);
	}
	scan_digests_saw(d->digests, offset, digests, (size_t)(digest - digests));
	return 0;
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

/* A part of a run that fits the buffer. */
static int part_of_run(struct worker *w, const struct piece *p, uint64_t offset, size_t len,
		       const uint8_t *expected, struct err *e)
{
	struct disk *d = p->owner;
	uint64_t began = clock_monotonic_ns();
	int r;

	if (d->source->ops->hole && d->source->ops->hole(d->source, offset, len))
		return hole(w, p, offset, len, expected, e);
	r = d->source->ops->read(d->source, w->buf, len, offset);

	stage_add(&w->agent->stages, STAGE_READ, clock_monotonic_ns() - began, len);
	if (r == -EIO && d->source->ops->tracks)
		return salvage(w, d, offset, len, e);
	if (r == -EIO)
		return p->mode == PIECE_VERIFY ? 0 : postpone(d, offset, len, e);
	if (r)
		return err_errno(e, r, "cannot read %s", d->path);
	atomic_fetch_add(&w->agent->totals.read_bytes, len);
	if (p->mode == PIECE_VERIFY)
		return verify(w, d, offset, len);
	if (d->source->ops->tracks)
		return add_tracked(w, d, offset, len, expected, e);
	return add_scanned(w, d, offset, len, expected, e);
}

static int one_run(struct worker *w, const struct piece *p, const struct run *run, struct err *e)
{
	struct disk *d = p->owner;
	uint64_t first = run->offset & ~(uint64_t)(WIRE_BLOCK - 1), at = run->offset;
	uint64_t end = run->offset + run->length;
	const uint8_t *expected = NULL;
	size_t step = read_size(d), n;
	int r = grow_buffer(w, step, e);

	if (!r && p->mode == PIECE_COMPARE) {
		expected = w->expected;
		if (!scan_digests_known(d->digests, first, end - first, w->expected))
			r = worker_ask_digests(w, d, first, end - first, e);
	}
	for (; !r && at < end; at += n) {
		if (w->given_up(w->arg))
			return err_set(e, -ECANCELED, "canceled");
		n = (size_t)min_u64(step, end - at);
		r = part_of_run(w, p, at, n,
				expected ? digest_at(expected, first, (size_t)(at - first)) : NULL,
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
		r = one_run(w, p, &p->run[i], e);
	}
	return r;
}
