// SPDX-License-Identifier: Apache-2.0
#include "agent/skip_epoch.h"

#include <errno.h>
#include <string.h>

#include "agent/runs.h"
#include "lib/cleanup.h"
#include "lib/frame.h"
#include "lib/log.h"

#define PAYLOAD 65536 /* a builder wants some; zeros have none */

struct search {
	struct skip_wish wish;
	struct disk *disk;
	struct skip_set *out;
	const char *instead;
};

static void *search(void *arg)
{
	struct search *s = arg;
	struct err e;

	if (skip_find(&s->wish, s->out, &e))
		log_warning("%s: %s; it is %s", s->disk->name, e.text, s->instead);
	return NULL;
}

void skip_search(struct session *s, struct disk *d, uint64_t from, uint64_t to,
		 struct skip_set *out, const char *instead)
{
	const struct config *c = &s->a->config;
	struct search all = {.wish = {.path = d->path,
				      .from = from,
				      .to = to,
				      .granule = 1ull << d->source->shift,
				      .swap = c->skip_swap,
				      .free = c->skip_free},
			     .disk = d,
			     .out = out,
			     .instead = instead};

	session_aside(s, search, &all);
}

int skip_mark(struct epoch *ep, struct disk *d, struct err *e)
{
	uint64_t at = d->replicated;
	int r = 0;

	skip_clear(&d->skip);
	if (!at)
		d->left_out = (struct left_out){0};
	if (d->state == DISK_INITIAL && d->source->ops->tracks)
		skip_search(ep->s, d, at, d->slice_end, &d->skip, "sent instead");
	for (size_t i = 0; !r && i < d->skip.count; i++) {
		const struct skip_range *s = &d->skip.range[i];

		if (s->from > at)
			r = d->source->ops->mark(d->source, at, s->from - at, e);
		at = s->to;
	}
	if (!r && at < d->slice_end)
		r = d->source->ops->mark(d->source, at, d->slice_end - at, e);
	return r;
}

struct zeros {
	struct epoch *ep;
	struct disk *disk;
	struct frame_builder *builder;
	uint32_t segment;
	bool open;
	const uint8_t *data; /* finished */
	size_t len;
};

static int put_once(struct api *api, void *request, struct err *e)
{
	struct zeros *z = request;
	struct put_outcome out = {0};
	int r = api_put_segment(api, z->disk->id, z->ep->number, z->segment, z->data, z->len, &out,
				e);

	atomic_fetch_add(&z->ep->s->a->totals.sent_bytes, out.sent);
	return r;
}

static int put(struct zeros *z, struct err *e)
{
	if (!z->open)
		return 0;
	z->open = false;
	frame_finish(z->builder, &z->data, &z->len);
	return uplink_until(&z->ep->s->uplink, put_once, z, e);
}

static int add(struct zeros *z, uint64_t from, uint64_t to, enum skip_kind kind, struct err *e)
{
	int r = -ENOSPC;

	if (z->open)
		r = frame_add_zero(z->builder, from, to - from);
	if (r == -ENOSPC) {
		r = put(z, e);
		if (r)
			return r;
		z->segment = atomic_fetch_add(&z->disk->segments, 1);
		frame_builder_version(z->builder,
				      (uint16_t)atomic_load(&z->ep->s->a->segment_version));
		frame_begin(z->builder, z->disk->id_bytes, z->ep->number, z->segment);
		z->open = true;
		r = frame_add_zero(z->builder, from, to - from);
	}
	if (r)
		return err_errno(e, r, "cannot build a segment of zeros");
	atomic_fetch_add(&z->disk->extents, 1);
	atomic_fetch_add(&z->ep->s->a->totals.skipped_bytes[kind], to - from);
	return 0;
}

/* The parts of one range that were not written: those are in the bitmap, and are read. */
static int add_clean(struct zeros *z, const struct skip_range *s, const struct source_map *map,
		     struct err *e)
{
	uint64_t bit = s->from >> map->shift, last = s->to >> map->shift, pos, start, end;
	int r = 0;

	while (!r && bit < last) {
		pos = bit;
		if (!runs_next(map->bitmap, map->granules, &pos, &start, &end) || start > last)
			start = end = last;
		if (start > bit)
			r = add(z, bit << map->shift, start << map->shift, s->kind, e);
		bit = end;
	}
	return r;
}

static void builder_freep(struct frame_builder **b)
{
	frame_builder_free(*b);
}

int skip_send(struct epoch *ep, struct disk *d, const struct source_map *map, struct err *e)
{
	_cleanup_(builder_freep) struct frame_builder *b = NULL;
	struct zeros z = {.ep = ep, .disk = d};
	int r = 0;

	if (!d->skip.count)
		return 0;
	b = z.builder = frame_builder_new(PAYLOAD);
	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; !r && i < d->skip.count; i++) {
		left_out_add(&d->left_out, d->skip.range[i].from, d->skip.range[i].to);
		r = add_clean(&z, &d->skip.range[i], map, e);
	}
	if (!r)
		r = put(&z, e);
	skip_clear(&d->skip);
	return r;
}
