// SPDX-License-Identifier: Apache-2.0
#include "agent/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/backoff.h"
#include "agent/digest_feed.h"
#include "agent/worker.h"
#include "lib/digest_tree.h"

struct compare {
	struct agent *agent;
	struct disk *disk;
	struct api *api; /* of the feed's thread */
	struct digest_feed *feed;
};

static int connect_feed(struct compare *c, const volatile bool *stop, struct err *e)
{
	struct state st;
	int r;

	if (c->api)
		return 0;
	r = store_copy(c->agent->store, &st, e);
	if (r)
		return r;
	c->api = agent_api_until(c->agent, &st, stop, e);
	state_clear(&st);
	return c->api ? 0 : e->code;
}

static int ask_nodes(void *arg, const volatile bool *stop, uint64_t offset, uint64_t length,
		     uint8_t *out, struct err *e)
{
	struct compare *c = arg;
	struct backoff backoff = {0};
	int r;

	for (;;) {
		r = connect_feed(c, stop, e);
		if (!r)
			r = api_digests(c->api, c->disk->id, offset, length, TREE_NODE, out, e);
		if (!r || api_final(r))
			return r;
		backoff_sleep(backoff_next(&backoff, api_retry_after(c->api)), stop);
		if (__atomic_load_n(stop, __ATOMIC_SEQ_CST))
			return err_set(e, -ECANCELED, "canceled");
	}
}

void compare_begin(struct agent *a, struct disk *d, uint64_t from, uint64_t to)
{
	struct compare *c;

	from = (from + TREE_NODE - 1) & ~(TREE_NODE - 1);
	if (from >= to)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	c->agent = a;
	c->disk = d;
	c->feed = digest_feed_start(from, to, ask_nodes, c);
	d->compare = c;
}

void compare_end(struct disk *d)
{
	struct compare *c = d->compare;

	d->compare = NULL;
	if (!c)
		return;
	digest_feed_stop(c->feed);
	api_free(c->api);
	free(c);
}

void compare_piece(struct worker *w, uint64_t end)
{
	w->leaves = (struct leaves){.piece_end = end, .step = TREE_NODE};
}

/*
 * The appliance's digests of the blocks of a node, or of its part: asked for in windows that double within a piece, so that a single change costs little
 * and many cost few round trips.
 */
static int get_leaves(struct worker *w, struct disk *d, uint64_t offset, uint64_t end,
		      uint8_t *expected, struct err *e)
{
	struct leaves *l = &w->leaves;
	size_t count = (size_t)((end - offset + WIRE_BLOCK - 1) / WIRE_BLOCK);
	int r;

	if (offset < l->from || end > l->to) {
		uint64_t to = offset + l->step;

		if (to > l->piece_end)
			to = (l->piece_end + WIRE_BLOCK - 1) & ~(uint64_t)(WIRE_BLOCK - 1);
		if (to < end)
			to = end;
		if (to > d->size)
			to = d->size;
		l->from = l->to = 0;
		r = worker_ask_digests(w, d, offset, to - offset, e);
		if (r)
			return r;
		l->from = offset;
		l->to = to;
		l->step *= 2;
	}
	memcpy(expected, w->expected + (offset - l->from) / WIRE_BLOCK * DIGEST_BYTES,
	       count * DIGEST_BYTES);
	return 0;
}

/* 1: the node is the appliance's. 0: it differs, or that is not known. */
static int same_node(struct worker *w, struct disk *d, uint64_t offset, uint64_t end,
		     const uint8_t *own, struct err *e)
{
	uint8_t theirs[DIGEST_BYTES], ours[DIGEST_BYTES];
	int r;

	if (!d->compare || offset % TREE_NODE || (end % TREE_NODE && end != d->size))
		return 0;
	r = digest_feed_get(d->compare->feed, offset, w->given_up, w->arg, theirs);
	if (r == -ECANCELED)
		return err_set(e, r, "canceled");
	if (r)
		return 0;
	digest_tree_node(own, (size_t)((end - offset + WIRE_BLOCK - 1) / WIRE_BLOCK), ours);
	return !memcmp(ours, theirs, DIGEST_BYTES);
}

int compare_expected(struct worker *w, struct disk *d, uint64_t offset, size_t len,
		     const uint8_t *own, uint8_t *expected, struct err *e)
{
	uint64_t end = offset + len, next;
	int r = 0;

	for (uint64_t at = offset; r >= 0 && at < end; at = next) {
		size_t in = (size_t)((at - offset) / WIRE_BLOCK * DIGEST_BYTES);

		next = (at & ~(TREE_NODE - 1)) + TREE_NODE;
		if (next > end)
			next = end;
		r = same_node(w, d, at, next, own + in, e);
		if (r > 0)
			memcpy(expected + in, own + in,
			       (size_t)((next - at + WIRE_BLOCK - 1) / WIRE_BLOCK * DIGEST_BYTES));
		else if (r == 0)
			r = get_leaves(w, d, at, next, expected + in, e);
	}
	return r < 0 ? r : 0;
}
