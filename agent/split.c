// SPDX-License-Identifier: Apache-2.0
#include "agent/split.h"

#include <assert.h>
#include <errno.h>

#include "lib/log.h"

static_assert(SPLIT_MAX >= WIRE_EXTENT_DATA_MAX, "every extent fits into a part");

/* The extents from `from` on that the limit has room for: at least one. */
static void take_part(struct split *s)
{
	size_t room = s->limit ? s->limit : SPLIT_MAX, used = 0;
	struct frame_extent x;

	frame_begin(s->builder, s->frame.disk, s->frame.epoch, s->number);
	for (s->to = s->from; s->to < s->frame.extent_count; s->to++) {
		frame_get(&s->frame, s->to, &x);
		used += WIRE_EXTENT_BYTES + x.stored_len;
		if (s->to > s->from && used > room)
			break;
		/* Only room can be missing in what was built by the same rules. */
		if (frame_add_stored(s->builder, &x))
			break;
	}
	frame_finish(s->builder, &s->data, &s->len);
}

/* Whether the parcel's segment can be taken apart. Without memory for it, it goes on whole. */
static bool can_part(struct split *s)
{
	struct err e;

	if (!s->builder)
		s->builder = frame_builder_new(SPLIT_MAX);
	if (!s->builder || frame_parse(&s->frame, s->whole, s->whole_len, UINT64_MAX, false, &e))
		return false;
	frame_builder_version(s->builder, s->frame.version);
	return true;
}

static void new_request(struct split *s)
{
	s->broken = 0;
	s->all_sent = false;
}

void split_begin(struct split *s, struct parcel *p)
{
	s->parcel = p;
	s->number = p->segment;
	frame_finish(p->builder, &s->whole, &s->whole_len);
	s->data = s->whole;
	s->len = s->whole_len;
	s->from = 0;
	s->to = (uint32_t)frame_extents(p->builder);
	if (s->limit && can_part(s))
		take_part(s);
	new_request(s);
}

static void set_limit(struct split *s, size_t limit)
{
	s->limit = limit;
	s->passed = 0;
}

/* Smaller requests from here on, beginning with this one, if it can be taken apart. */
static void shrink(struct split *s)
{
	size_t limit = s->limit ? s->limit / SPLIT_STEP : SPLIT_MAX;

	while (limit >= s->len)
		limit /= SPLIT_STEP;
	if (limit < SPLIT_MIN || (s->data == s->whole && !can_part(s)))
		return;
	log_info("connections break before %zu KiB are through: sending %zu KiB at a time",
		 s->len >> 10, limit >> 10);
	if (s->grown && s->early < SPLIT_EARLY_MAX)
		s->early++;
	s->grown = false;
	set_limit(s, limit);
	take_part(s);
	new_request(s);
}

bool split_failed(struct split *s, int code, uint64_t sent)
{
	/* Without a byte of it the connection was never there, which no size mends. */
	if (code != -EHOSTDOWN || !sent)
		return false;
	s->all_sent |= sent >= s->len;
	if (++s->broken >= (s->all_sent ? SPLIT_PATIENCE_SENT : SPLIT_PATIENCE))
		shrink(s);
	return true;
}

/* Larger parts after many that passed, and whole segments in the end; all is forgotten when these pass. */
static void passed(struct split *s)
{
	if (++s->passed < SPLIT_TRUST << s->early)
		return;
	if (!s->limit) {
		s->early = 0;
		s->grown = false;
		return;
	}
	s->grown = true;
	set_limit(s, s->limit < SPLIT_MAX ? s->limit * SPLIT_STEP : 0);
	if (!s->limit)
		log_info("connections hold again: sending whole segments");
}

bool split_next(struct split *s)
{
	passed(s);
	if (s->to == frame_extents(s->parcel->builder))
		return false;
	s->from = s->to;
	s->number = atomic_fetch_add(&s->parcel->disk->segments, 1);
	take_part(s);
	new_request(s);
	return true;
}

void split_clear(struct split *s)
{
	frame_builder_free(s->builder);
	s->builder = NULL;
}
