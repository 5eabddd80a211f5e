// SPDX-License-Identifier: Apache-2.0
#include "agent/epoch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/compare.h"
#include "agent/doubt.h"
#include "agent/skip_epoch.h"
#include "agent/slice.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text.h"

void epoch_fuzzy(struct epoch *ep, enum loss loss, const char *fmt, ...)
{
	va_list args;

	if (ep->fuzzy[0])
		return;
	ep->loss = loss;
	va_start(args, fmt);
	text_vformat(ep->fuzzy, sizeof(ep->fuzzy), fmt, args);
	va_end(args);
}

static bool tracked(struct disk *d)
{
	return d->source && d->source->ops->tracks;
}

static bool scanned(struct disk *d)
{
	return d->source && !d->source->ops->tracks;
}

static bool put_off(struct disk *d)
{
	return atomic_load(&d->put_off) > 0;
}

enum disk_state epoch_state_after(const struct disk *d)
{
	if (d->in_epoch && d->slice_end >= d->size)
		return DISK_PROTECTED;
	return d->state;
}

bool epoch_all_protected(const struct epoch *ep)
{
	for (size_t i = 0; i < ep->table->count; i++) {
		if (epoch_state_after(ep->table->disk[i]) != DISK_PROTECTED)
			return false;
	}
	return ep->table->count > 0;
}

/*
 * Ready the disk for this epoch; the slice is marked before the boundary, so that it is part of
 * what the boundary ends.
 */
static int prepare(struct epoch *ep, struct disk *d, struct err *e)
{
	bool whole = d->state == DISK_PROTECTED;

	atomic_store(&d->segments, 0);
	atomic_store(&d->extents, 0);
	atomic_store(&d->put_off, 0);
	atomic_store(&d->drained, 0);
	atomic_store(&d->planned, 0);
	disk_unread_begin(d, ep->bookmark != NULL);
	atomic_store(&d->changed_at, UINT64_MAX);
	d->slice_end = whole ? d->size : slice_end(d->replicated, d->slice, d->size);
	d->in_epoch = tracked(d) || (scanned(d) && (ep->scan || !whole) && !d->waiting);
	/* Nothing of it moves yet; what is written meanwhile comes with its slice. */
	if (d->waiting)
		d->slice_end = d->replicated;
	if (!d->source)
		epoch_fuzzy(ep, LOSS_OTHER, "%s cannot be reached", d->name);
	else if (!d->in_epoch) {
		epoch_fuzzy(ep, LOSS_SCANNED, "%s is scanned, and was not in this epoch", d->name);
		ep->between |= whole;
	}
	if (!d->in_epoch || whole || d->waiting)
		return 0;
	return skip_mark(ep, d, e);
}

static int prepare_all(struct epoch *ep, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < ep->table->count; i++)
		r = prepare(ep, ep->table->disk[i], e);
	return r;
}

static void add_span(struct plan_disk *p, uint64_t from, uint64_t to, enum piece_mode mode)
{
	if (from < to)
		p->spans[p->span_count++] = (struct span){from, to, mode};
}

static void plan_disk(struct disk *d, const struct source_map *map, struct plan_disk *p)
{
	enum piece_mode slice = d->state == DISK_INITIAL ? PIECE_SEND : PIECE_COMPARE;

	*p = (struct plan_disk){.owner = d,
				.bitmap = map->bitmap,
				.granules = map->granules,
				.shift = map->shift,
				.size = d->size};
	if (!tracked(d)) {
		bool whole = d->state == DISK_PROTECTED;

		add_span(p, whole ? 0 : d->replicated, d->slice_end, slice);
	} else if (d->state == DISK_PROTECTED) {
		add_span(p, 0, d->size, PIECE_SEND);
	} else {
		/* What is dirty beyond the slice comes with its own slice, later. */
		add_span(p, 0, d->replicated, PIECE_SEND);
		add_span(p, d->replicated, d->slice_end, slice);
	}
}

static bool any(const struct epoch *ep, bool (*which)(struct disk *d))
{
	for (size_t i = 0; i < ep->table->count; i++) {
		if (ep->table->disk[i]->in_epoch && which(ep->table->disk[i]))
			return true;
	}
	return false;
}

bool epoch_tracks(const struct epoch *ep)
{
	return any(ep, tracked);
}

static void close_drains(struct epoch *ep, bool (*which)(struct disk *d))
{
	for (size_t i = 0; i < ep->table->count; i++) {
		struct disk *d = ep->table->disk[i];

		if (d->in_epoch && which(d))
			d->source->ops->drain_close(d->source);
	}
}

/* Open the drains of these disks and plan them. */
static int plan_all(struct epoch *ep, bool (*which)(struct disk *d), struct plan *plan,
		    struct err *e)
{
	struct source_map map;

	for (size_t i = 0; i < ep->table->count; i++) {
		struct disk *d = ep->table->disk[i];
		struct plan_disk *p = &plan->disks[plan->disk_count];
		int r;

		if (!d->in_epoch || !which(d))
			continue;
		r = d->source->ops->drain_open(d->source, ep->boundary, &map, e);
		if (r)
			return r;
		if (!map.present) {
			epoch_fuzzy(ep, LOSS_OTHER, "%s has no part in this epoch", d->name);
			d->in_epoch = false;
			continue;
		}
		r = skip_send(ep, d, &map, e);
		if (r)
			return r;
		if (d->verify.end && map.bitmap) {
			r = verify_judge(ep, d, &map, e);
			if (r)
				return r;
		}
		plan_disk(d, &map, p);
		atomic_store(&d->planned, plan_bytes(p));
		plan->disk_count++;
	}
	return 0;
}

/* What is to be compared is asked for ahead, unless a scan remembers it. */
static void begin_compare(struct epoch *ep, const struct plan *plan)
{
	for (size_t i = 0; i < plan->disk_count; i++) {
		const struct plan_disk *p = &plan->disks[i];
		struct disk *d = p->owner;

		for (unsigned int k = 0; k < p->span_count; k++) {
			if (p->spans[k].mode == PIECE_COMPARE &&
			    (d->state != DISK_PROTECTED || verify_scan(d)))
				compare_begin(ep->s->a, d, p->spans[k].from, p->spans[k].to);
		}
	}
}

static int drain(struct epoch *ep, bool (*which)(struct disk *d), struct err *e)
{
	struct drain dr = {.epoch = ep->number};
	uint64_t began = clock_monotonic_ns();
	int r;

	dr.plan.disks = calloc(ep->table->count + 1, sizeof(*dr.plan.disks));
	if (!dr.plan.disks)
		return err_set(e, -ENOMEM, "out of memory");
	r = plan_all(ep, which, &dr.plan, e);
	if (!r && dr.plan.disk_count) {
		begin_compare(ep, &dr.plan);
		r = drain_run(ep->s->pool, &dr, session_drain_beat, ep->s, e);
	}
	for (size_t i = 0; i < dr.plan.disk_count; i++)
		compare_end(dr.plan.disks[i].owner);
	close_drains(ep, which);
	free(dr.plan.disks);
	ep->drain_ns += clock_monotonic_ns() - began;
	return r;
}

/*
 * The first reading of the scanned disks; it comes before the boundary, which the second reading
 * follows.
 */
static int scan_first(struct epoch *ep, struct err *e)
{
	uint64_t now = clock_monotonic_ns();

	for (size_t i = 0; i < ep->table->count; i++) {
		struct disk *d = ep->table->disk[i];

		if (!d->in_epoch || !scanned(d))
			continue;
		if (d->state == DISK_PROTECTED)
			d->scanned_ns = now;
		else if (d->replicated || d->slice_end < d->size)
			epoch_fuzzy(ep, LOSS_SCANNED, "%s was read over several epochs", d->name);
		verify_scan_begin(d);
		scan_digests_begin(d->digests);
	}
	return any(ep, scanned) ? drain(ep, scanned, e) : 0;
}

/*
 * Read the scanned disks again: what is as it was before the boundary was so at the boundary. Not where there will be no point
 * anyway.
 */
static int scan_second(struct epoch *ep, struct err *e)
{
	struct drain dr = {.epoch = ep->number};
	int r;

	if (!any(ep, scanned) || ep->fuzzy[0] || any(ep, disk_has_unread) || any(ep, put_off) ||
	    !epoch_all_protected(ep))
		return 0;
	dr.plan.disks = calloc(ep->table->count + 1, sizeof(*dr.plan.disks));
	if (!dr.plan.disks)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < ep->table->count; i++) {
		struct disk *d = ep->table->disk[i];
		struct plan_disk *p = &dr.plan.disks[dr.plan.disk_count];

		if (!d->in_epoch || !scanned(d))
			continue;
		*p = (struct plan_disk){.owner = d, .size = d->size};
		add_span(p, 0, d->size, PIECE_VERIFY);
		dr.plan.disk_count++;
	}
	r = drain_run(ep->s->pool, &dr, session_drain_beat, ep->s, e);
	free(dr.plan.disks);
	return r;
}

static void judge_disk(struct epoch *ep, struct disk *d)
{
	uint64_t at = atomic_load(&d->changed_at), unread;
	struct source_status st;
	struct err e;
	bool news;

	if (!d->in_epoch)
		return;
	unread = disk_unread_judge(d, &news);
	if (unread && news)
		log_error("%s: %s", d->name, d->error);
	if (unread)
		epoch_fuzzy(ep, LOSS_OTHER, "%llu bytes of %s could not be read",
			    (unsigned long long)unread, d->name);
	else
		disk_clear_error(d);
	if (put_off(d))
		epoch_fuzzy(
			ep, LOSS_OTHER,
			"more of %s has changed than an epoch takes; the rest comes with the next",
			d->name);
	if (at != UINT64_MAX)
		epoch_fuzzy(ep, LOSS_SCANNED, "%s changed while it was scanned (near offset %llu)",
			    d->name, (unsigned long long)at);
	if (session_ask(ep->s, d, &st, &e))
		epoch_fuzzy(ep, LOSS_OTHER, "%s", e.text);
	else if (st.events & SOURCE_SUSPECT)
		epoch_fuzzy(ep, LOSS_OTHER, "writes of unknown range went to %s", d->name);
	else if (st.events)
		epoch_fuzzy(ep, LOSS_OTHER, "%s was %s", d->name,
			    st.events & SOURCE_GONE ? "removed" : "resized");
}

/* The module tells in words alone. */
static enum loss why_torn(const char *reason)
{
	return strstr(reason, "pool_bytes") ? LOSS_POOL_FULL : LOSS_OTHER;
}

/* Only after the last granule was read is it known whether the epoch was torn. */
static int judge(struct epoch *ep, struct err *e)
{
	char reason[128];
	bool torn = false;
	int r;

	if (ep->boundary) {
		r = boundary_torn(ep->boundary, &torn, reason, sizeof(reason), e);
		if (r)
			return r;
		if (torn)
			epoch_fuzzy(ep, why_torn(reason), "the epoch was torn: %s", reason);
	}
	for (size_t i = 0; i < ep->table->count; i++) {
		judge_disk(ep, ep->table->disk[i]);
		r = doubt_tell(ep->s, ep->table->disk[i], e);
		if (r)
			return r;
	}
	application_judge(ep);
	return 0;
}

static int open_attempt(struct epoch *ep, struct err *e)
{
	uint8_t id[UUID_BYTES];
	struct opened opened;
	int r;

	uuid_random(id);
	uuid_format(id, ep->attempt);
	r = api_open_epoch(ep->s->uplink.api, ep->attempt, &opened, e);
	agent_link(ep->s->a, r, e);
	if (r)
		return r;
	ep->number = opened.epoch;
	/* The appliance may have been put back between two epochs, and no connection noticed. */
	if (opened.has_committed && opened.committed != agent_facts_get(ep->s->a).epoch)
		return err_set(
			e, -ESTALE,
			"the appliance stands at another epoch than the last one committed here");
	return 0;
}

static int course(struct epoch *ep, struct err *e)
{
	int r;

	if ((r = open_attempt(ep, e)) || (r = prepare_all(ep, e)) || (r = scan_first(ep, e)) ||
	    (r = epoch_boundary(ep, e)))
		return r;
	if (any(ep, tracked))
		r = drain(ep, tracked, e);
	if (!r)
		r = scan_second(ep, e);
	if (!r)
		r = judge(ep, e);
	if (!r)
		r = epoch_commit(ep, e);
	return r;
}

int epoch_run(struct session *s, bool scan, struct err *e)
{
	struct epoch ep = {.s = s, .table = s->a->disks, .scan = scan};
	int r;

	ep.bookmark = bookmarks_take(s->a->bookmarks, &ep.bookmark_name);
	if (ep.bookmark)
		ep.scan = true;
	ep.app.wanted = ep.bookmark && bookmark_is_app(ep.bookmark);
	if (!ep.bookmark && !application_due(s, clock_monotonic_ns()))
		ep.app.wanted = ep.app.scheduled = true;
	r = course(&ep, e);
	application_end(&ep, !r);
	/* Without the commit this gives the bits back. */
	boundary_close(ep.boundary);
	if (!r)
		return 0;
	if (ep.bookmark)
		epoch_retry_bookmark(&ep, e->text);
	for (size_t i = 0; i < ep.table->count; i++) {
		scan_digests_forget(ep.table->disk[i]->digests);
		ep.table->disk[i]->scanned_ns = 0;
		/* What was planned is in the module's bitmaps again. */
		atomic_store(&ep.table->disk[i]->planned, 0);
		atomic_store(&ep.table->disk[i]->drained, 0);
		verify_abandon(ep.table->disk[i]);
	}
	return r;
}
