// SPDX-License-Identifier: Apache-2.0
#include "agent/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/compare.h"
#include "agent/doubt.h"
#include "agent/epoch.h"
#include "agent/session.h"
#include "agent/skip_epoch.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SLICE_BYTES (256ull << 20) /* short enough that epochs are not late for it */
#define SLICE_LEAST (16ull << 20)
#define SLICE_SURE ((uint64_t)VERIFY_SUSPECTS * WIRE_BLOCK) /* all of it may differ */
#define AGAIN_NS (60 * NSEC_PER_SEC) /* when it cannot be done now */

void verify_init(struct verify *v)
{
	pthread_mutex_init(&v->lock, NULL);
}

static void close_live(struct verify *v)
{
	if (v->live)
		v->live->ops->close(v->live);
	v->live = NULL;
}

void verify_clear(struct verify *v)
{
	close_live(v);
	skip_clear(&v->left_out);
	pthread_mutex_destroy(&v->lock);
}

static void set_cursor(struct disk *d, uint64_t cursor)
{
	pthread_mutex_lock(&d->lock);
	d->verify.cursor = cursor;
	pthread_mutex_unlock(&d->lock);
}

void verify_reset(struct disk *d)
{
	close_live(&d->verify);
	verify_abandon(d);
	set_cursor(d, 0);
}

void verify_ask(struct disk *d)
{
	atomic_store(&d->verify.untried, true);
	atomic_store(&d->verify.asked, true);
}

static bool tracked(const struct disk *d)
{
	return d->source && d->source->ops->tracks;
}

static bool ready(const struct disk *d)
{
	return d->state == DISK_PROTECTED && tracked(d) &&
	       clock_monotonic_ns() >= d->verify.again_ns;
}

/* How many bytes are due now? */
static uint64_t due(const struct session *s, const struct disk *d)
{
	uint64_t rate = s->a->config.verify_rate, bytes;
	double seconds = (double)(clock_monotonic_ns() - d->verify.sliced_ns) / NSEC_PER_SEC;

	if (!ready(d) || d->verify.end || !s->boundary_ns)
		return 0;
	if (atomic_load(&d->verify.asked))
		return SLICE_BYTES;
	if (!rate)
		return 0;
	if (seconds > 3600)
		seconds = 3600;
	bytes = (uint64_t)(seconds * (double)rate) & ~(SLICE_LEAST - 1);
	return bytes < SLICE_BYTES ? bytes : SLICE_BYTES;
}

static int begin_slice(struct session *s, struct disk *d, uint64_t bytes, struct plan_disk *p,
		       struct err *e)
{
	struct verify *v = &d->verify;
	uint64_t end;
	int r = 0;

	if (!v->live)
		r = source_scan_open(d->path, &v->live, e);
	if (r)
		return r;
	if (!v->cursor) {
		v->pass_mismatches = atomic_load(&v->mismatched_bytes);
		v->pass_epoch = agent_facts_get(s->a).epoch;
	}
	v->count = 0;
	if (v->too_many && bytes > SLICE_SURE)
		bytes = SLICE_SURE;
	v->too_many = false;
	atomic_store(&v->failed, false);
	end = d->size - v->cursor <= bytes ? d->size : v->cursor + bytes;
	v->end = end;
	v->sliced_ns = clock_monotonic_ns();
	skip_clear(&v->left_out);
	/* What cannot be found out is judged: at worst it is sent again. */
	skip_search(s, d, v->cursor, end, &v->left_out, "verified like the rest");
	*p = (struct plan_disk){.owner = d,
				.size = d->size,
				.spans = {{v->cursor, end, PIECE_PROVE}},
				.span_count = 1};
	return 0;
}

static void put_off(struct disk *d, const struct err *e)
{
	log_warning("%s cannot be verified now: %s", d->name, e->text);
	d->verify.again_ns = clock_monotonic_ns() + AGAIN_NS;
}

static void begin_slices(struct session *s, struct plan *plan)
{
	struct err e;

	for (size_t i = 0; i < s->a->disks->count; i++) {
		struct disk *d = s->a->disks->disk[i];
		uint64_t bytes = due(s, d);

		if (!bytes)
			continue;
		if (begin_slice(s, d, bytes, &plan->disks[plan->disk_count], &e)) {
			put_off(d, &e);
			continue;
		}
		plan->disk_count++;
		compare_begin(s->a, d, d->verify.cursor, d->verify.end);
	}
}

/* True: some disk is the reason why they were not read. */
static bool end_slices(const struct plan *plan, int r, const struct err *e)
{
	bool failed = false;

	for (size_t i = 0; i < plan->disk_count; i++) {
		struct disk *d = plan->disks[i].owner;

		compare_end(d);
		/* Not of an epoch: what is left to do does not shrink by it. */
		atomic_store(&d->drained, 0);
		if (!r)
			continue;
		verify_abandon(d);
		if (atomic_load(&d->verify.failed)) {
			put_off(d, e);
			failed = true;
		}
	}
	return failed;
}

int verify_slices(struct session *s, struct err *e)
{
	struct drain dr = {0};
	int r = 0;

	dr.plan.disks = calloc(s->a->disks->count + 1, sizeof(*dr.plan.disks));
	if (!dr.plan.disks)
		return err_set(e, -ENOMEM, "out of memory");
	begin_slices(s, &dr.plan);
	if (dr.plan.disk_count)
		r = drain_run(s->pool, &dr, session_drain_beat, s, e);
	/* Replication does not depend on it. Should the appliance have been put back, the epoch finds out. */
	if (end_slices(&dr.plan, r, e))
		r = 0;
	free(dr.plan.disks);
	return r;
}

bool verify_needs_epoch(const struct session *s)
{
	for (size_t i = 0; i < s->a->disks->count; i++) {
		if (s->a->disks->disk[i]->verify.end || due(s, s->a->disks->disk[i]))
			return true;
	}
	return false;
}

bool verify_hurries(const struct session *s)
{
	for (size_t i = 0; i < s->a->disks->count; i++) {
		const struct disk *d = s->a->disks->disk[i];

		if (atomic_load(&d->verify.asked) && ready(d))
			return true;
	}
	return false;
}

static bool scan_asked(const struct disk *d)
{
	return d->source && !tracked(d) && d->state == DISK_PROTECTED &&
	       atomic_load(&d->verify.asked);
}

bool verify_scan_due(const struct disk *d)
{
	return scan_asked(d) && atomic_load(&d->verify.untried);
}

/* Who asks from now on is not content with this scan: a part of it may have been remembered. */
void verify_scan_begin(struct disk *d)
{
	d->verify.scanning = scan_asked(d);
	if (d->verify.scanning)
		atomic_store(&d->verify.untried, false);
}

bool verify_scan(const struct disk *d)
{
	return d->verify.scanning;
}

/* Did the epoch have no write to any granule of the range? */
static bool clean(const struct source_map *map, const struct run *r)
{
	uint64_t last = (r->offset + r->length - 1) >> map->shift;

	for (uint64_t g = r->offset >> map->shift; g <= last; g++) {
		if (g >= map->granules || map->bitmap[g / 8] >> (g % 8) & 1)
			return false;
	}
	return true;
}

/* Take the suspects that are no mismatch off the list; the bytes of those that are. */
static uint64_t find_mismatches(struct disk *d, const struct source_map *map)
{
	struct verify *v = &d->verify;
	unsigned int kept = 0;
	uint64_t found = 0;

	for (unsigned int i = 0; i < v->count; i++) {
		if (!clean(map, &v->suspect[i]))
			continue;
		v->suspect[kept] = v->suspect[i];
		verify_mismatch(d, v->suspect[kept].offset, v->suspect[kept].length);
		found += v->suspect[kept++].length;
	}
	v->count = kept;
	return found;
}

int verify_judge(struct epoch *ep, struct disk *d, const struct source_map *map, struct err *e)
{
	struct verify *v = &d->verify;
	uint64_t found = find_mismatches(d, map);
	int r = doubt_tell(ep->s, d, e);

	for (unsigned int i = 0; !r && i < v->count; i++)
		r = d->source->ops->mark(d->source, v->suspect[i].offset, v->suspect[i].length, e);
	v->count = 0;
	/* It is marked for the next one. */
	if (found)
		epoch_fuzzy(ep, LOSS_OTHER, "verification found that it lacks %llu bytes of %s",
			    (unsigned long long)found, d->name);
	return r;
}

/* first: the epoch as of which the pass began to look. */
static void pass_done(struct disk *d, uint64_t first, uint64_t boundary_ns)
{
	struct verify *v = &d->verify;
	bool equal = atomic_load(&v->mismatched_bytes) == v->pass_mismatches;

	set_cursor(d, 0);
	/* After a mismatch the disk is read again, so as to prove that it was repaired. */
	if (!equal)
		return;
	atomic_store(&v->asked, false);
	close_live(v);
	pthread_mutex_lock(&d->lock);
	v->proven_ns = boundary_ns;
	v->proven_epoch = first;
	pthread_mutex_unlock(&d->lock);
	log_info("%s is proven to be equal on the appliance", d->name);
}

static void scan_committed(struct disk *d, const struct verify_commit *c)
{
	struct verify *v = &d->verify;

	if (!v->scanning)
		return;
	v->scanning = false;
	if (c->fuzzy)
		return;
	v->pass_mismatches = atomic_load(&v->mismatched_bytes);
	pass_done(d, c->epoch, c->boundary_ns);
}

/* Not everything that the epoch should have of the disk is in it, or nobody can tell. */
static bool lacks(struct disk *d)
{
	struct source_status st;

	return disk_unread_told(d) || atomic_load(&d->put_off) ||
	       d->source->ops->status(d->source, &st, NULL) || st.events;
}

void verify_committed(struct disk *d, const struct verify_commit *c)
{
	struct verify *v = &d->verify;

	if (!tracked(d)) {
		scan_committed(d, c);
		return;
	}
	if (!v->end)
		return;
	if (!v->too_many)
		set_cursor(d, v->end);
	v->end = 0;
	if (v->cursor < d->size)
		return;
	if (lacks(d)) {
		set_cursor(d, 0);
		v->again_ns = clock_monotonic_ns() + AGAIN_NS;
	} else {
		pass_done(d, v->pass_epoch, c->boundary_ns);
	}
}

void verify_abandon(struct disk *d)
{
	d->verify.end = 0;
	d->verify.count = 0;
	d->verify.scanning = false;
}

void verify_mismatch(struct disk *d, uint64_t offset, uint64_t length)
{
	struct verify *v = &d->verify;

	atomic_fetch_add(&v->mismatched_bytes, length);
	log_warning("verify mismatch: the appliance does not have what %s has at %llu, %llu bytes; "
		    "they are sent again",
		    d->name, (unsigned long long)offset, (unsigned long long)length);
	if (left_out_touches(&d->left_out, offset, offset + length))
		return;
	pthread_mutex_lock(&v->lock);
	if (!v->untold.bytes || offset < v->untold.offset)
		v->untold.offset = offset;
	v->untold.bytes += length;
	pthread_mutex_unlock(&v->lock);
}
