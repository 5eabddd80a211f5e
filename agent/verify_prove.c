// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "agent/compare.h"
#include "agent/verify.h"
#include "agent/worker.h"

static bool left_out(const struct verify *v, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < v->left_out.count; i++) {
		if (v->left_out.range[i].from < to && from < v->left_out.range[i].to)
			return true;
	}
	return false;
}

static void suspect(struct disk *d, uint64_t offset, uint64_t length)
{
	struct verify *v = &d->verify;

	if (left_out(v, offset, offset + length))
		return;
	pthread_mutex_lock(&v->lock);
	if (v->count < VERIFY_SUSPECTS)
		v->suspect[v->count++] = (struct run){offset, length};
	else
		v->too_many = true;
	pthread_mutex_unlock(&v->lock);
}

/* What is in the buffer, against what the appliance has. */
static int prove_part(struct worker *w, struct disk *d, uint64_t offset, size_t len, struct err *e)
{
	size_t n, i = 0;
	bool zero;
	int r;

	for (size_t at = 0; at < len; at += WIRE_BLOCK, i++) {
		n = len - at < WIRE_BLOCK ? len - at : WIRE_BLOCK;
		scan_block_digest(w->buf + at, n, w->own + i * DIGEST_BYTES, &zero);
	}
	r = compare_expected(w, d, offset, len, w->own, w->theirs, e);
	for (size_t k = 0; !r && k < i; k++) {
		size_t at = k * WIRE_BLOCK;

		n = len - at < WIRE_BLOCK ? len - at : WIRE_BLOCK;
		if (memcmp(w->own + k * DIGEST_BYTES, w->theirs + k * DIGEST_BYTES, DIGEST_BYTES))
			suspect(d, offset + at, n);
	}
	return r;
}

/* Where the last epoch could not read this fails without being tried, as it does for the next one. */
static int read_live(struct worker *w, struct disk *d, void *buf, size_t len, uint64_t offset)
{
	if (disk_spared(d, offset, len))
		return -EIO;
	return disk_read(d, d->verify.live, &w->reader, buf, len, offset);
}

/* The next epoch has to replicate it: it does, or tells that it cannot, and then nothing is proven. */
static int unreadable(struct disk *d, uint64_t offset, size_t len, struct err *e)
{
	if (left_out(&d->verify, offset, offset + len))
		return 0;
	return d->source->ops->mark(d->source, offset, len, e);
}

/* Block by block where not all can be read at once. */
static int prove_run(struct worker *w, struct disk *d, const struct run *run, struct err *e)
{
	uint64_t end = run->offset + run->length, by_block = 0;
	int r = worker_buffer(w, WORKER_READ_BYTES, e);
	size_t n;

	compare_piece(w, end);
	for (uint64_t at = run->offset; !r && at < end; at += n) {
		if (w->given_up(w->arg))
			return err_set(e, -ECANCELED, "canceled");
		n = at < by_block ? WIRE_BLOCK : WORKER_READ_BYTES;
		n = end - at < n ? (size_t)(end - at) : n;
		r = read_live(w, d, w->buf, n, at);
		if (r == -EIO && n > WIRE_BLOCK) {
			by_block = at + n;
			n = 0;
			r = 0;
		} else if (r == -EIO) {
			r = unreadable(d, at, n, e);
		} else if (r) {
			r = err_errno(e, r, "cannot read %s", d->path);
		} else {
			atomic_fetch_add(&w->agent->totals.read_bytes, n);
			r = prove_part(w, d, at, n, e);
		}
	}
	return r;
}

int verify_prove(struct worker *w, struct disk *d, const struct run *run, struct err *e)
{
	int r = prove_run(w, d, run, e);

	if (r && r != -ECANCELED)
		atomic_store(&d->verify.failed, true);
	return r;
}
