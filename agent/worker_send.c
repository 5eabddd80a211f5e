// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/backoff.h"
#include "agent/worker.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SEGMENT_PAYLOAD (6u << 20) /* bound of a segment's payload */
#define SEGMENT_GOAL (4u << 20) /* a segment with so many bytes of data is sent */
/* A digest that is wrong this often in a row is not the network's fault. */
#define DIGEST_TRIES 5

int worker_init(struct worker *w, struct agent *a, struct err *e)
{
	w->agent = a;
	w->codec = codec_new();
	w->builder = frame_builder_new(SEGMENT_PAYLOAD);
	w->expected = malloc(PIECE_COMPARE_BYTES / WIRE_BLOCK * DIGEST_BYTES);
	w->own = malloc(PIECE_COMPARE_BYTES / WIRE_BLOCK * DIGEST_BYTES);
	w->theirs = malloc(PIECE_COMPARE_BYTES / WIRE_BLOCK * DIGEST_BYTES);
	if (!w->codec || !w->builder || !w->expected || !w->own || !w->theirs)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

void worker_clear(struct worker *w)
{
	api_free(w->api);
	codec_free(w->codec);
	frame_builder_free(w->builder);
	free(w->expected);
	free(w->own);
	free(w->theirs);
	free(w->buf);
}

static int connect_api(struct worker *w, struct err *e)
{
	uint64_t identity = atomic_load(&w->agent->identity);
	struct state st;
	int r;

	if (w->api && w->api_identity == identity)
		return 0;
	api_free(w->api);
	w->api = NULL;
	r = store_copy(w->agent->store, &st, e);
	if (r)
		return r;
	w->api = agent_api(w->agent, &st, e);
	w->api_identity = identity;
	state_clear(&st);
	return w->api ? 0 : e->code;
}

struct request {
	struct disk *disk;
	const uint8_t *data; /* a segment; NULL: ask for digests */
	size_t len;
	uint64_t offset, length;
};

static int send_once(struct worker *w, const struct request *q, struct err *e)
{
	uint64_t sent = 0, began = clock_monotonic_ns();
	int r = connect_api(w, e);

	if (r)
		return r;
	if (!q->data)
		return api_digests(w->api, q->disk->id, q->offset, q->length, WIRE_BLOCK,
				   w->expected, e);
	r = api_put_segment(w->api, q->disk->id, w->epoch, w->segment, q->data, q->len, &sent, e);
	atomic_fetch_add(&w->agent->totals.sent_bytes, sent);
	stage_add(&w->agent->stages, STAGE_SEND, clock_monotonic_ns() - began, sent);
	return r;
}

/* Until it is done, refused for good, or nobody wants it any more. */
static int send_until(struct worker *w, const struct request *q, struct err *e)
{
	struct backoff backoff = {0};
	unsigned int wrong = 0;
	int r;

	for (;;) {
		if (w->given_up(w->arg))
			return err_set(e, -ECANCELED, "canceled");
		r = send_once(w, q, e);
		agent_link(w->agent, r, e);
		if (!r || api_final(r))
			return r;
		if (r == -EILSEQ && ++wrong >= DIGEST_TRIES)
			return r;
		atomic_fetch_add(&w->agent->totals.retries, 1);
		log_debug("sending again: %s", e->text);
		backoff_sleep(backoff_next(&backoff, api_retry_after(w->api)), &w->agent->cancel);
	}
}

int worker_ask_digests(struct worker *w, struct disk *d, uint64_t offset, uint64_t length,
		       struct err *e)
{
	struct request q = {.disk = d, .offset = offset, .length = length};

	return send_until(w, &q, e);
}

int worker_flush(struct worker *w, struct err *e)
{
	struct request q = {.disk = w->open};
	int r;

	if (!w->open)
		return 0;
	frame_finish(w->builder, &q.data, &q.len);
	r = send_until(w, &q, e);
	if (!r)
		w->open = NULL;
	return r;
}

void worker_forget(struct worker *w)
{
	w->open = NULL;
}

/*
 * A segment for d that has room. The number is taken only now: numbers without a segment would be
 * a gap.
 */
static int begin(struct worker *w, struct disk *d, struct err *e)
{
	int r;

	if (w->open == d)
		return 0;
	r = worker_flush(w, e);
	if (r)
		return r;
	w->segment = atomic_fetch_add(&d->segments, 1);
	frame_begin(w->builder, d->id_bytes, w->epoch, w->segment);
	w->filled = 0;
	w->open = d;
	return 0;
}

static int add_once(struct worker *w, uint64_t offset, const uint8_t *data, size_t len,
		    const uint8_t *digest, bool zero)
{
	const struct config *c = &w->agent->config;
	enum wire_codec codec = (enum wire_codec)c->compression;
	int level = (int)c->compression_level;

	if (zero)
		return frame_add_zero(w->builder, offset, len);
	if (digest)
		return frame_add_digested(w->builder, w->codec, codec, level, offset, data, len,
					  digest);
	return frame_add_data(w->builder, w->codec, codec, level, offset, data, len);
}

int worker_add(struct worker *w, struct disk *d, uint64_t offset, const uint8_t *data, size_t len,
	       const uint8_t *digest, struct err *e)
{
	bool zero = mem_is_zero(data, len);
	int r = begin(w, d, e);
	uint64_t began;

	if (r)
		return r;
	began = clock_monotonic_ns();
	r = add_once(w, offset, data, len, digest, zero);
	stage_add(&w->agent->stages, STAGE_COMPRESS, clock_monotonic_ns() - began, len);
	if (r == -ENOSPC) {
		r = worker_flush(w, e);
		if (!r)
			r = begin(w, d, e);
		if (r)
			return r;
		r = add_once(w, offset, data, len, digest, zero);
	}
	if (r)
		return err_errno(e, r, "cannot build a segment at offset %llu",
				 (unsigned long long)offset);
	w->filled += zero ? 0 : len;
	atomic_fetch_add(zero ? &w->agent->totals.zero_bytes : &w->agent->totals.data_bytes, len);
	return w->filled >= SEGMENT_GOAL ? worker_flush(w, e) : 0;
}
