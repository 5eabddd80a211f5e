// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/epoch.h"
#include "agent/slice.h"
#include "lib/clock.h"
#include "lib/log.h"

/* What proves, at the next start, that nothing was missed since this commit. */
static void source_of(const struct epoch *ep, const struct disk *d,
		      char out[CONTINUITY_SOURCE_BYTES])
{
	if (!d->in_epoch)
		snprintf(out, CONTINUITY_SOURCE_BYTES, "%s", d->remote_source);
	else if (d->source->ops->tracks)
		continuity_format(out, d->source->attach_id, ep->info.epoch);
	else
		snprintf(out, CONTINUITY_SOURCE_BYTES, "scan");
}

static json_t *disk_part(const struct epoch *ep, struct disk *d)
{
	char source[CONTINUITY_SOURCE_BYTES];
	uint64_t replicated = d->in_epoch ? d->slice_end : d->replicated;

	source_of(ep, d, source);
	return json_pack("{s:s, s:I, s:s, s:I, s:s}", "disk", d->id, "segments",
			 (json_int_t)atomic_load(&d->segments), "state",
			 disk_state_name(epoch_state_after(d)), "replicated",
			 (json_int_t)replicated, "source", source);
}

static json_t *make_body(const struct epoch *ep, bool with_bookmark)
{
	json_t *disks = json_array(), *bookmark = json_null(), *body;
	bool app = ep->app.consistent;

	for (size_t i = 0; i < ep->table->count; i++) {
		/* A disk that was never registered is not known to the appliance. */
		if (ep->table->disk[i]->id[0])
			json_array_append_new(disks, disk_part(ep, ep->table->disk[i]));
	}
	if (with_bookmark)
		bookmark = json_pack("{s:s, s:s}", "name", ep->bookmark ? ep->bookmark_name : "",
				     "type", ep->app.wanted ? "application" : "crash");
	body = json_pack("{s:s, s:I, s:s, s:s, s:o, s:o}", "attempt", ep->attempt, "boundary",
			 (json_int_t)ep->info.realtime_ns, "consistency",
			 ep->fuzzy[0] ? "fuzzy" : (app ? "application" : "crash"), "reason",
			 ep->fuzzy[0] ? ep->fuzzy : ep->app.reason, "bookmark", bookmark, "disks",
			 disks);
	if (body && ep->app.writers)
		json_object_set(body, "writers", ep->app.writers);
	return body;
}

struct commit {
	uint64_t epoch;
	const json_t *body;
	struct commit_answer *answer;
};

/* Asked until there is an answer: only that tells whether the epoch exists. */
static int commit_once(struct api *api, void *request, struct err *e)
{
	struct commit *c = request;

	return api_commit(api, c->epoch, c->body, c->answer, e);
}

static void log_change(const struct disk *d, enum disk_state before)
{
	if (before == d->state)
		return;
	if (d->state == DISK_PROTECTED)
		log_info("%s is protected: %s is complete", d->name,
			 before == DISK_INITIAL ? "its initial replication"
						: "its resynchronisation");
}

static void disk_committed(struct epoch *ep, struct disk *d)
{
	enum disk_state before = d->state, after = epoch_state_after(d);
	bool done = after == DISK_PROTECTED;

	if (!d->in_epoch) {
		verify_abandon(d);
		return;
	}
	verify_committed(d, &(struct verify_commit){ep->number, ep->info.realtime_ns,
						    ep->fuzzy[0] != '\0'});
	source_of(ep, d, d->remote_source);
	if (!done && !d->waiting)
		d->slice = slice_next(d->slice_end - d->replicated, ep->drain_ns);
	disk_set_state(d, after, d->slice_end, done ? "" : d->resync_cause);
	log_change(d, before);
	/* Read over several epochs: only a whole reading can make a recovery point. */
	if (done && before != after && !d->source->ops->tracks)
		d->scanned_ns = ep->fuzzy[0] ? 0 : ep->s->boundary_ns;
	session_remember(ep->s, d, d->restart ? RECORD_CLEAR : RECORD_KEEP);
	d->restart = false;
	atomic_store(&d->drained, 0);
	atomic_store(&d->planned, 0);
}

void epoch_retry_bookmark(struct epoch *ep, const char *why)
{
	struct bookmarks *q = ep->s->a->bookmarks;

	if (ep->app.tried)
		bookmarks_put_off(q, ep->bookmark, why);
	else
		bookmarks_retry(q, ep->bookmark, why);
}

/* Why there is no point for the bookmark. */
static const char *why_none(const struct epoch *ep)
{
	if (ep->fuzzy[0])
		return ep->fuzzy;
	return ep->app.put_off[0] ? ep->app.put_off : "not every disk is protected yet";
}

static void answer_bookmark(struct epoch *ep, bool asked, const struct commit_answer *answer)
{
	struct bookmarks *q = ep->s->a->bookmarks;
	struct bookmark_result r = {0};

	if (!ep->bookmark)
		return;
	if (asked && answer->has_point) {
		r.id = answer->point.id;
		r.time_ns = answer->point.time;
		snprintf(r.consistency, sizeof(r.consistency), "%s", answer->point.consistency);
		snprintf(r.reason, sizeof(r.reason), "%s", ep->app.reason);
		log_info("recovery point %llu '%s'", (unsigned long long)r.id, ep->bookmark_name);
		bookmarks_done(q, ep->bookmark, &r);
	} else if (asked) {
		bookmarks_refuse(q, ep->bookmark, -EBUSY,
				 answer->refused[0] ? answer->refused
						    : "the appliance made no recovery point of it");
	} else {
		epoch_retry_bookmark(ep, why_none(ep));
	}
	ep->bookmark = NULL;
}

static void learn_facts(struct epoch *ep, const struct commit_answer *answer)
{
	struct facts f = agent_facts_get(ep->s->a);

	f.epoch = ep->number;
	ep->s->older = false;
	if (answer->has_point) {
		f.has_point = true;
		f.point = answer->point;
	}
	/* While disks are read for the first time or again nobody expects a point, nor between two scans: the last one's counts. */
	if (!epoch_all_protected(ep)) {
		f.fuzzy[0] = '\0';
	} else if (!ep->between) {
		snprintf(f.fuzzy, sizeof(f.fuzzy), "%s", ep->fuzzy);
		f.loss = ep->loss;
	}
	agent_facts_set(ep->s->a, &f);
	atomic_fetch_add(&ep->s->a->totals.epochs, 1);
}

int epoch_commit(struct epoch *ep, struct err *e)
{
	bool with_bookmark = (ep->bookmark || ep->app.scheduled) && !ep->app.put_off[0] &&
			     !ep->fuzzy[0] && epoch_all_protected(ep);
	_cleanup_json_ json_t *body = make_body(ep, with_bookmark);
	struct commit_answer answer;
	struct commit c = {.epoch = ep->number, .body = body, .answer = &answer};
	uint64_t began = clock_monotonic_ns();
	int r;

	if (!body)
		return err_set(e, -ENOMEM, "out of memory");
	r = uplink_until(&ep->s->uplink, commit_once, &c, e);
	if (r)
		return r;
	/*
	 * Only now may the module forget. If it does not, the bits come once more with the next
	 * epoch.
	 */
	if (ep->boundary && boundary_commit(ep->boundary, e))
		log_error("%s", e->text);
	learn_facts(ep, &answer);
	for (size_t i = 0; i < ep->table->count; i++)
		disk_committed(ep, ep->table->disk[i]);
	answer_bookmark(ep, with_bookmark, &answer);
	log_debug("epoch %llu committed (drained in %llu ms, committed in %llu ms)%s%s",
		  (unsigned long long)ep->number, (unsigned long long)ep->drain_ns / 1000000,
		  (unsigned long long)(clock_monotonic_ns() - began) / 1000000,
		  ep->fuzzy[0] ? ", fuzzy: " : "", ep->fuzzy);
	return 0;
}
