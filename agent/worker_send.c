// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/worker.h"
#include "lib/clock.h"

int worker_init(struct worker *w, struct agent *a, struct err *e)
{
	w->agent = a;
	w->uplink = (struct uplink){.agent = a, .given_up = w->given_up, .arg = w->arg};
	w->reader = (struct reader){.buf = &w->buf, .buf_size = &w->buf_size};
	tuner_init(&w->tuner);
	w->codec = codec_new();
	w->expected = malloc(PIECE_COMPARE_BYTES / WIRE_BLOCK * DIGEST_BYTES);
	w->own = malloc(PIECE_COMPARE_BYTES / WIRE_BLOCK * DIGEST_BYTES);
	w->theirs = malloc(PIECE_COMPARE_BYTES / WIRE_BLOCK * DIGEST_BYTES);
	if (reader_init(&w->reader) || !w->codec || !w->expected || !w->own || !w->theirs)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

void worker_clear(struct worker *w)
{
	worker_forget(w);
	reader_clear(&w->reader);
	uplink_clear(&w->uplink);
	codec_free(w->codec);
	free(w->expected);
	free(w->own);
	free(w->theirs);
	free(w->buf);
}

struct question {
	struct disk *disk;
	uint64_t offset, length;
	uint8_t *answer;
};

static int ask_once(struct api *api, void *request, struct err *e)
{
	struct question *q = request;

	return api_digests(api, q->disk->id, q->offset, q->length, WIRE_BLOCK, q->answer, e);
}

int worker_ask_digests(struct worker *w, struct disk *d, uint64_t offset, uint64_t length,
		       struct err *e)
{
	struct question q = {.disk = d, .offset = offset, .length = length, .answer = w->expected};

	return uplink_until(&w->uplink, ask_once, &q, e);
}

void worker_digest(struct worker *w, const void *data, size_t len, uint8_t out[DIGEST_BYTES],
		   bool *zero)
{
	uint64_t began = clock_monotonic_ns();

	scan_block_digest(data, len, out, zero);
	stage_add(&w->agent->stages, STAGE_DIGEST, clock_monotonic_ns() - began, len);
}

void worker_flush(struct worker *w)
{
	struct stages *stages = &w->agent->stages;
	struct tuner_segment s = {.behind = w->behind};

	if (!w->open)
		return;
	s.starved = senders_idle(w->senders);
	/* In this order: what the appliance took is added after what it is a part of. */
	s.appliance_ns = atomic_load(&stages->appliance_ns);
	s.send_ns = atomic_load(&stages->ns[STAGE_SEND]);
	tuner_segment(&w->tuner, &s);
	w->begun(w->arg);
	senders_put(w->senders, w->open);
	w->open = NULL;
}

void worker_forget(struct worker *w)
{
	if (w->open)
		senders_back(w->senders, w->open);
	w->open = NULL;
}

/*
 * A segment for d that has room. The number is taken only now: numbers without a segment would be
 * a gap.
 */
static void begin(struct worker *w, struct disk *d)
{
	if (w->open && w->open->disk == d)
		return;
	worker_flush(w);
	w->open = senders_take(w->senders, &w->behind);
	w->open->disk = d;
	w->open->epoch = w->epoch;
	w->open->segment = atomic_fetch_add(&d->segments, 1);
	frame_builder_version(w->open->builder, (uint16_t)atomic_load(&w->agent->segment_version));
	frame_begin(w->open->builder, d->id_bytes, w->epoch, w->open->segment);
	w->filled = 0;
}

static int add_once(struct worker *w, uint64_t offset, const uint8_t *data, size_t len,
		    const uint8_t *digest)
{
	const struct config *c = &w->agent->config;
	enum wire_codec codec = (enum wire_codec)c->compression;
	int level = (int)c->compression_level;

	if (!digest)
		return frame_add_zero(w->open->builder, offset, len);
	if (!(atomic_load(&w->agent->codecs) & 1u << codec))
		codec = WIRE_CODEC_NONE;
	if (!level)
		level = tuner_level(&w->tuner, codec);
	return frame_add_digested(w->open->builder, w->codec, codec, level, offset, data, len,
				  digest);
}

int worker_add(struct worker *w, struct disk *d, uint64_t offset, const uint8_t *data, size_t len,
	       const uint8_t *digest, struct err *e)
{
	uint8_t own[DIGEST_BYTES];
	uint64_t began;
	bool zero;
	int r;

	begin(w, d);
	if (digest)
		zero = mem_is_zero(digest, DIGEST_BYTES);
	else
		worker_digest(w, data, len, own, &zero);
	digest = zero ? NULL : digest ? digest : own;
	began = clock_monotonic_ns();
	r = add_once(w, offset, data, len, digest);
	if (r == -ENOSPC) {
		worker_flush(w);
		begin(w, d);
		r = add_once(w, offset, data, len, digest);
	}
	if (r)
		return err_errno(e, r, "cannot build a segment at offset %llu",
				 (unsigned long long)offset);
	atomic_fetch_add(&d->extents, 1);
	stage_add(&w->agent->stages, STAGE_COMPRESS, clock_monotonic_ns() - began, len);
	w->filled += zero ? 0 : len;
	atomic_fetch_add(zero ? &w->agent->totals.zero_bytes : &w->agent->totals.data_bytes, len);
	if (w->filled >= SEGMENT_GOAL)
		worker_flush(w);
	return 0;
}

int worker_add_zero(struct worker *w, struct disk *d, uint64_t offset, size_t len, struct err *e)
{
	int r;

	begin(w, d);
	r = frame_add_zero(w->open->builder, offset, len);
	if (r == -ENOSPC) {
		worker_flush(w);
		begin(w, d);
		r = frame_add_zero(w->open->builder, offset, len);
	}
	if (r)
		return err_errno(e, r, "cannot build a segment at offset %llu",
				 (unsigned long long)offset);
	atomic_fetch_add(&d->extents, 1);
	atomic_fetch_add(&w->agent->totals.zero_bytes, len);
	return 0;
}
