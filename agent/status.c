// SPDX-License-Identifier: Apache-2.0
#include "agent/status.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/enroll.h"
#include "agent/rcu.h"
#include "lib/clock.h"
#include "lib/json.h"

static void tick_disk(struct disk *d, uint64_t now)
{
	struct source_status st;

	/* The file of a scan may not answer, and has nothing to tell. */
	if (d->source && d->source->ops->tracks && !d->source->ops->status(d->source, &st, NULL))
		meter_update(&d->churn, now, st.written_bytes);
	if (d->state == DISK_PROTECTED)
		memset(&d->progress, 0, sizeof(d->progress));
	else
		meter_update(&d->progress, now, d->replicated + atomic_load(&d->drained));
}

void status_tick(struct agent *a)
{
	uint64_t now = clock_monotonic_ns();
	const struct disk_table *t;

	agent_rcu_lock();
	t = agent_rcu_read(a->disks);
	for (size_t i = 0; i < t->count; i++) {
		pthread_mutex_lock(&t->disk[i]->lock);
		tick_disk(t->disk[i], now);
		pthread_mutex_unlock(&t->disk[i]->lock);
	}
	agent_rcu_unlock();
}

/* Bytes that are not on the appliance yet, as well as it can be known. */
static uint64_t backlog_of(struct disk *d)
{
	uint64_t drained = atomic_load(&d->drained), planned = atomic_load(&d->planned), sum = 0;
	struct source_status st;

	if (d->state != DISK_PROTECTED) {
		sum = d->replicated + drained;
		return sum < d->size ? d->size - sum : 0;
	}
	if (d->source && d->source->ops->tracks) {
		sum = planned > drained ? planned - drained : 0;
		if (!d->source->ops->status(d->source, &st, NULL))
			sum += st.dirty_bytes;
	}
	return sum < d->size ? sum : d->size;
}

/* The disk's lock is held. */
static void view_disk(struct disk *d, struct disk_view *v)
{
	strcpy(v->name, d->name);
	strcpy(v->path, d->path);
	strcpy(v->key, d->key);
	strcpy(v->id, d->id);
	strcpy(v->resync_cause, d->state == DISK_RESYNC ? d->resync_cause : "");
	strcpy(v->error, d->error);
	strcpy(v->remedy, d->remedy);
	strcpy(v->failure, d->failure);
	v->failures = d->failures;
	v->reading_ns = disk_reading_ns(d);
	v->waiting = d->waiting;
	v->verifying = atomic_load(&d->verify.asked) || d->verify.cursor;
	v->verified = d->verify.cursor;
	v->proven_ns = d->verify.proven_ns;
	v->mismatched = atomic_load(&d->verify.mismatched_bytes);
	/* Without an error it has not been looked for yet. */
	v->reachable = d->source || !d->error[0];
	v->tracks = d->source ? d->source->ops->tracks : d->choice == SOURCE_KMOD;
	v->granule = d->source ? 1ull << d->source->shift : 0;
	v->choice = d->choice;
	v->file = d->file;
	v->state = d->state;
	v->size = d->size;
	v->replicated = d->state == DISK_PROTECTED ? d->size : d->replicated;
	v->rate = meter_rate(&d->progress);
	v->churn = meter_rate(&d->churn);
	v->backlog = backlog_of(d);
	v->eta_ns = d->state == DISK_PROTECTED ? 0 : meter_eta_ns(v->backlog, v->rate);
}

/* A disk that was protected a moment ago: the session has not come to it yet. */
static void view_pending(const struct state_disk *d, struct disk_view *v)
{
	strcpy(v->name, d->name);
	strcpy(v->path, d->path);
	strcpy(v->key, d->key);
	v->reachable = true;
	v->tracks = d->source == SOURCE_KMOD;
	v->choice = d->source;
	v->file = d->file;
	v->state = d->last_state;
	v->eta_ns = UINT64_MAX;
}

/* The disks that are protected by the state's word, as the session has them. */
static int view_disks(struct agent *a, const struct state *st, struct status_view *v, struct err *e)
{
	uint64_t starts = window_next(&a->config.resync_window, v->now_ns);
	const struct disk_table *t;

	v->disk = calloc(st->disk_count + 1, sizeof(*v->disk));
	if (!v->disk)
		return err_set(e, -ENOMEM, "out of memory");
	agent_rcu_lock();
	t = agent_rcu_read(a->disks);
	for (size_t i = 0; i < st->disk_count; i++) {
		struct disk *d = disk_table_find(t, st->disk[i].key);

		if (st->disk[i].removing)
			continue;
		if (d) {
			pthread_mutex_lock(&d->lock);
			view_disk(d, &v->disk[v->disk_count++]);
			pthread_mutex_unlock(&d->lock);
		} else {
			view_pending(&st->disk[i], &v->disk[v->disk_count++]);
		}
		v->disk[v->disk_count - 1].scheduled = st->disk[i].resync_scheduled;
		v->disk[v->disk_count - 1].starts_ns = starts;
	}
	agent_rcu_unlock();
	return 0;
}

static json_t *text_or_null(const char *s)
{
	return s[0] ? json_string(s) : json_null();
}

static json_t *ns_or_null(uint64_t ns)
{
	return ns <= INT64_MAX ? json_integer((json_int_t)ns) : json_null();
}

static json_t *verify_json(const struct disk_view *d)
{
	return json_pack("{s:b, s:I, s:o, s:I}", "running", d->verifying, "checked_bytes",
			 (json_int_t)d->verified, "proven_equal",
			 d->proven_ns ? ns_or_null(d->proven_ns) : json_null(), "mismatched_bytes",
			 (json_int_t)d->mismatched);
}

static json_t *disk_json(const struct disk_view *d)
{
	bool due = d->waiting || d->scheduled;

	return json_pack(
		"{s:s, s:s, s:s, s:o, s:I, s:s, s:s, s:I, s:I, s:o, s:I, s:I, s:I, s:o, s:b, s:o, s:o, s:o}",
		"name", d->name, "path", d->path, "key", d->key, "id", text_or_null(d->id), "size",
		(json_int_t)d->size, "state",
		d->reachable ? disk_state_name(d->state) : "unreachable", "source",
		d->tracks ? "kmod" : "scan", "replicated", (json_int_t)d->replicated,
		"rate_bytes_per_s", (json_int_t)d->rate, "eta_ns", ns_or_null(d->eta_ns),
		"backlog_bytes", (json_int_t)d->backlog, "churn_bytes_per_s", (json_int_t)d->churn,
		"granule", (json_int_t)d->granule, "resync_cause", text_or_null(d->resync_cause),
		"resync_waiting", due, "resync_starts",
		due ? ns_or_null(d->starts_ns) : json_null(), "verify", verify_json(d), "error",
		text_or_null(d->error));
}

static json_t *machine_json(const struct state *st)
{
	char hostname[256] = "";

	gethostname(hostname, sizeof(hostname) - 1);
	if (!st->machine[0])
		return json_null();
	return json_pack("{s:s, s:s}", "id", st->machine, "hostname", hostname);
}

/* The limit as it was written, and what it is now. */
static json_t *bandwidth_json(struct agent *a)
{
	uint64_t now = rate_limit(&a->rate, clock_monotonic_ns(), clock_realtime_ns());

	if (!a->config.bandwidth_limit)
		return json_null();
	return json_pack("{s:s, s:o}", "limit", a->config.bandwidth_limit, "now_bytes_per_s",
			 now ? json_integer((json_int_t)now) : json_null());
}

static json_t *appliance_json(const struct state *st, const struct status_view *v)
{
	char url[400];

	if (!st->machine[0])
		return json_null();
	snprintf(url, sizeof(url), "https://%s", v->appliance);
	return json_pack("{s:s, s:b, s:I, s:o}", "url", url, "connected", v->link.connected,
			 "since", (json_int_t)v->link.since_ns, "error",
			 text_or_null(v->link.error));
}

static json_t *module_json(const struct kmod_view *k)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "mode",
			 kmod_mode_name(k->mode), "reason", k->reason, "pool_limit",
			 (json_int_t)k->pool_limit, "pool_used", (json_int_t)k->pool_used,
			 "held_writes", (json_int_t)k->held_writes, "held_max_ns",
			 (json_int_t)k->held_max_ns, "held_total_ns", (json_int_t)k->held_total_ns,
			 "torn_epochs", (json_int_t)k->torn_epochs, "boundaries",
			 (json_int_t)k->boundaries);
}

static json_t *point_json(const struct facts *f)
{
	if (!f->has_point)
		return json_null();
	return json_pack("{s:I, s:I, s:s, s:o}", "id", (json_int_t)f->point.id, "time",
			 (json_int_t)f->point.time, "consistency", f->point.consistency, "name",
			 text_or_null(f->point.name));
}

static json_t *totals_json(struct totals *t)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "skipped_swap_bytes",
			 (json_int_t)atomic_load(&t->skipped_bytes[SKIP_SWAP]),
			 "skipped_free_bytes",
			 (json_int_t)atomic_load(&t->skipped_bytes[SKIP_FREE]), "read_bytes",
			 (json_int_t)atomic_load(&t->read_bytes), "data_bytes",
			 (json_int_t)atomic_load(&t->data_bytes), "sent_bytes",
			 (json_int_t)atomic_load(&t->sent_bytes), "zero_bytes",
			 (json_int_t)atomic_load(&t->zero_bytes), "unchanged_bytes",
			 (json_int_t)atomic_load(&t->unchanged_bytes), "epochs",
			 (json_int_t)atomic_load(&t->epochs), "retries",
			 (json_int_t)atomic_load(&t->retries));
}

static json_t *rpo_json(const struct status_view *v)
{
	if (!v->facts.has_point || !v->disk_count)
		return json_null();
	return json_integer((
		json_int_t)(v->now_ns > v->facts.point.time ? v->now_ns - v->facts.point.time : 0));
}

static json_t *assemble(struct agent *a, const struct state *st, const struct status_view *v)
{
	json_t *disks = json_array();
	uint64_t backlog = 0, churn = 0;

	for (size_t i = 0; i < v->disk_count; i++) {
		backlog += v->disk[i].backlog;
		churn += v->disk[i].churn;
		json_array_append_new(disks, disk_json(&v->disk[i]));
	}
	return json_pack(
		"{s:i, s:I, s:o, s:o, s:o, s:b, s:I, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o}",
		"schema", STATUS_SCHEMA, "time", (json_int_t)v->now_ns, "machine", machine_json(st),
		"appliance", appliance_json(st, v), "module", module_json(&v->kmod), "paused",
		v->paused, "epoch", (json_int_t)v->facts.epoch, "last_point", point_json(&v->facts),
		"rpo_ns", rpo_json(v), "backlog_bytes", (json_int_t)backlog, "churn_bytes_per_s",
		(json_int_t)churn, "totals", totals_json(&a->totals), "bandwidth",
		bandwidth_json(a), "disks", disks, "problems", status_problems(v));
}

static void view_appliance(const struct state *st, struct status_view *v)
{
	const char *open = strchr(st->host, ':') ? "[" : "", *close = *open ? "]" : "";

	snprintf(v->appliance, sizeof(v->appliance), "%s%s%s:%u", open, st->host, close,
		 st->control_port);
}

static void view_sealing(struct agent *a, struct status_view *v)
{
	v->sealing_ns = agent_sealing_ns(a);
	v->in_flight = atomic_load(&a->in_flight);
}

static void view_session(struct agent *a, struct status_view *v)
{
	uint64_t running = atomic_load(&a->running_since);

	v->waiting = waiting_get(a);
	v->waiting_ns = waiting_ns(&v->waiting);
	v->silent_ns = agent_silent_ns(a);
	v->hangs = v->silent_ns >= agent_silence_limit(a);
	v->unheard_ns = running && !v->link.since_ns ? clock_monotonic_ns() - running : 0;
}

json_t *status_json(struct agent *a, struct err *e)
{
	struct status_view v = {.now_ns = clock_realtime_ns(),
				.link = agent_link_get(a),
				.setback = agent_setback_get(a),
				.renewal = agent_renewal_get(a),
				.facts = agent_facts_get(a)};
	struct state st;
	json_t *o = NULL;
	int r = store_copy(a->store, &st, e);

	if (r)
		return NULL;
	v.enrolled = st.machine[0] != '\0';
	v.paused = st.paused;
	view_appliance(&st, &v);
	v.app_interval_ns = a->config.app_consistent_interval;
	if (!v.enrolled || enroll_life(a, &v.cert_begin_ns, &v.cert_expiry_ns, NULL))
		v.cert_begin_ns = v.cert_expiry_ns = 0;
	agent_kmod_view(a, &v.kmod);
	store_failing(a->store, &v.store);
	view_sealing(a, &v);
	view_session(a, &v);
	r = view_disks(a, &st, &v, e);
	if (!r) {
		o = assemble(a, &st, &v);
		if (!o)
			err_set(e, -ENOMEM, "the status cannot be put together");
	}
	free(v.disk);
	state_clear(&st);
	return o;
}
