// SPDX-License-Identifier: Apache-2.0
#include "agent/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/chosen.h"
#include "agent/enroll.h"
#include "agent/rcu.h"
#include "agent/shim.h"
#include "agent/status.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"

static json_t *run_enroll(struct agent *a, const struct request *q, struct err *e)
{
	struct enroll_request en = {.host = q->host,
				    .port = q->port,
				    .fingerprint = q->fingerprint,
				    .token = q->token};
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	char machine[UUID_TEXT_BYTES];
	int r;

	pthread_mutex_lock(&one_at_a_time);
	r = enroll(a, &en, machine, e);
	pthread_mutex_unlock(&one_at_a_time);
	if (r)
		return NULL;
	agent_wake(a);
	return json_pack("{s:s}", "machine", machine);
}

/* --- disks ------------------------------------------------------------------------------------ */

struct protection {
	struct agent *a;
	const struct request *q;
	struct identity *id; /* one for each disk of q */
	json_t *answer;
};

static bool name_taken(const struct state *st, const char *name)
{
	for (size_t i = 0; i < st->disk_count; i++) {
		if (st->disk[i].name != name && !strcmp(st->disk[i].name, name))
			return true;
	}
	return false;
}

/* Names are those of exported files: two disks may not have the same. */
static void choose_name(const struct state *st, const struct identity *id, char out[STATE_TEXT])
{
	snprintf(out, STATE_TEXT, "%s", id->name);
	for (unsigned int n = 2; name_taken(st, out); n++)
		snprintf(out, STATE_TEXT, "%.200s-%u", id->name, n);
}

static int check_source(struct agent *a, const struct identity *id, enum source_choice choice,
			struct err *e)
{
	struct kmod_view view;

	if (choice != SOURCE_KMOD)
		return 0;
	if (id->file)
		return err_set(e, -EINVAL,
			       "%s is a plain file: the kernel module tracks disks only, "
			       "use --source scan",
			       id->path);
	agent_kmod_view(a, &view);
	if (view.mode == KMOD_ABSENT)
		return err_set(e, -ENODEV, "%s cannot be tracked: %s", id->path, view.reason);
	return 0;
}

static int add_disk(struct state *st, struct protection *p, const struct identity *id,
		    struct err *e)
{
	enum source_choice choice =
		(enum source_choice)(p->q->source >= 0 ? p->q->source : p->a->config.source);
	struct state_disk *d = chosen_identity(st, id);
	int r;

	/* Whatever is configured for disks; who asks for the module by name is told. */
	if (id->file && p->q->source != SOURCE_KMOD)
		choice = SOURCE_SCAN;
	if (d && d->removing)
		return err_set(
			e, -EBUSY,
			"the appliance has not been told yet that %s is not protected any more: "
			"try again in a moment",
			id->path);
	if (d)
		return err_set(e, -EEXIST, "%s is protected already, as %s", id->path, d->name);
	r = check_source(p->a, id, choice, e);
	if (r)
		return r;
	d = state_add(st);
	if (!d)
		return err_set(e, -E2BIG, "no more than %d disks can be protected",
			       STATE_DISKS_MAX);
	choose_name(st, id, d->name);
	strcpy(d->key, id->key);
	strcpy(d->path, id->path);
	d->file = id->file;
	d->source = choice;
	json_array_append_new(p->answer,
			      json_pack("{s:s, s:s, s:s, s:I}", "name", d->name, "path", d->path,
					"key", d->key, "size", (json_int_t)id->size));
	return 0;
}

static int edit_protect(struct state *st, void *arg, struct err *e)
{
	struct protection *p = arg;
	int r = 0;

	for (size_t i = 0; !r && i < p->q->disk_count; i++)
		r = add_disk(st, p, &p->id[i], e);
	return r;
}

static json_t *run_protect(struct agent *a, const struct request *q, struct err *e)
{
	struct protection p = {.a = a, .q = q};
	_cleanup_free_ struct identity *id = calloc(q->disk_count, sizeof(*id));
	_cleanup_json_ json_t *disks = json_array();
	int r = id && disks ? 0 : err_set(e, -ENOMEM, "out of memory");

	p.id = id;
	p.answer = disks;
	for (size_t i = 0; !r && i < q->disk_count; i++)
		r = identify(q->disk[i], &id[i], e);
	if (!r)
		r = store_update(a->store, true, edit_protect, &p, e);
	if (r)
		return NULL;
	agent_wake(a);
	return json_pack("{s:O}", "disks", disks);
}

static int edit_unprotect(struct state *st, void *arg, struct err *e)
{
	const struct chosen *c = arg;

	for (size_t i = 0; i < c->q->disk_count; i++) {
		struct state_disk *d = chosen_disk(st, c, i, e);

		if (!d)
			return -ENOENT;
		/* Without an appliance there is nobody to tell. */
		if (st->machine[0])
			d->removing = true;
		else
			state_remove(st, d->key);
	}
	return 0;
}

static json_t *run_unprotect(struct agent *a, const struct request *q, struct err *e)
{
	_cleanup_(chosen_clear) struct chosen c;

	if (chosen_disks(a, q, &c, e) || store_update(a->store, true, edit_unprotect, &c, e))
		return NULL;
	/* An epoch under way would hold on to the disk until it is durable. */
	agent_cancel_epoch(a);
	return json_pack("{s:O}", "disks", c.answer);
}

static int edit_resync(struct state *st, void *arg, struct err *e)
{
	const struct chosen *c = arg;

	for (size_t i = 0; i < c->q->disk_count; i++) {
		struct state_disk *d = chosen_disk(st, c, i, e);

		if (!d)
			return -ENOENT;
		d->resync_scheduled = !c->q->now;
		if (!c->q->now)
			continue;
		d->resync_now = d->resync_requested = true;
		/* One that waits already keeps the cause that it has. */
		if (d->last_state != DISK_RESYNC || !d->resync_cause[0])
			snprintf(d->resync_cause, sizeof(d->resync_cause), RESYNC_OPERATOR);
	}
	return 0;
}

static json_t *run_resync(struct agent *a, const struct request *q, struct err *e)
{
	uint64_t now = clock_realtime_ns(), starts = window_next(&a->config.resync_window, now);
	_cleanup_(chosen_clear) struct chosen c;

	if (chosen_disks(a, q, &c, e) || store_update(a->store, q->now, edit_resync, &c, e))
		return NULL;
	agent_wake(a);
	if (q->now || starts == now)
		return json_pack("{s:O}", "disks", c.answer);
	return json_pack("{s:O, s:o}", "disks", c.answer, "starts",
			 starts == UINT64_MAX ? json_null() : json_integer((json_int_t)starts));
}

/* The disks of the request, or all; verify_ask() wakes nobody. */
static void ask_verify(struct agent *a, const struct chosen *c)
{
	const struct disk_table *t;

	agent_rcu_lock();
	t = agent_rcu_read(a->disks);
	for (size_t i = 0; i < t->count; i++) {
		bool wanted = !c->q->disk_count;

		for (size_t k = 0; !wanted && k < c->q->disk_count; k++)
			wanted = !strcmp(c->key[k], t->disk[i]->key);
		if (wanted)
			verify_ask(t->disk[i]);
	}
	agent_rcu_unlock();
}

static json_t *run_verify(struct agent *a, const struct request *q, struct err *e)
{
	_cleanup_(chosen_clear) struct chosen c;

	if (chosen_disks(a, q, &c, e))
		return NULL;
	ask_verify(a, &c);
	agent_wake(a);
	return json_pack("{s:O}", "disks", c.answer);
}

/* --- pause, bookmark -------------------------------------------------------------------------- */

static int edit_paused(struct state *st, void *arg, struct err *e)
{
	(void)e;
	st->paused = *(bool *)arg;
	return 0;
}

static json_t *set_paused(struct agent *a, bool paused, struct err *e)
{
	if (store_update(a->store, false, edit_paused, &paused, e))
		return NULL;
	log_info(paused ? "replication is paused" : "replication goes on");
	if (paused)
		agent_cancel_epoch(a);
	agent_wake(a);
	return json_object();
}

/* Why no point can be made however long one waits; 0 if it can. */
static int refuse_disk(const struct disk *d, struct err *e)
{
	char done[32], all[32];

	if (!d->source && d->error[0])
		return err_set(
			e, -ENODEV,
			"no recovery point can be made: %s cannot be reached (mobilityctl status tells "
			"why)",
			d->name);
	if (d->state == DISK_PROTECTED)
		return 0;
	if (d->waiting)
		return err_set(e, -EBUSY,
			       "no recovery point can be made yet: %s waits to be resynchronised: "
			       "mobilityctl resync --now %s",
			       d->name, d->name);
	return err_set(e, -EBUSY,
		       "no recovery point can be made yet: %s of %s is in progress, %s of %s done",
		       d->state == DISK_INITIAL ? "the initial replication"
						: "the resynchronisation",
		       d->name, size_format(d->replicated, done), size_format(d->size, all));
}

static int refuse_disks(struct agent *a, const struct state *st, struct err *e)
{
	const struct disk_table *t;
	int r = 0;

	agent_rcu_lock();
	t = agent_rcu_read(a->disks);
	for (size_t i = 0; !r && i < st->disk_count; i++) {
		struct disk *d = disk_table_find(t, st->disk[i].key);

		if (st->disk[i].removing)
			continue;
		if (!d) {
			/* After a start the session may not have come to it yet: that takes a moment. */
			if (st->disk[i].last_state != DISK_PROTECTED)
				r = err_set(e, -EBUSY,
					    "no recovery point can be made yet: the initial "
					    "replication of %s is about to begin",
					    st->disk[i].name);
			continue;
		}
		pthread_mutex_lock(&d->lock);
		r = refuse_disk(d, e);
		pthread_mutex_unlock(&d->lock);
	}
	agent_rcu_unlock();
	return r;
}

static int may_bookmark(struct agent *a, struct err *e)
{
	struct state st;
	int r = store_copy(a->store, &st, e);

	if (r)
		return r;
	if (!st.machine[0])
		r = err_set(e, -EPERM,
			    "this machine is not enrolled with an appliance: mobilityctl enroll");
	else if (st.paused)
		r = err_set(e, -EBUSY, "replication is paused: mobilityctl resume");
	else if (!st.disk_count)
		r = err_set(e, -ENODEV, "no disk is protected: mobilityctl protect DISK");
	if (!r)
		r = refuse_disks(a, &st, e);
	state_clear(&st);
	return r;
}

static void wake(void *arg)
{
	agent_wake(arg);
}

static void default_name(char out[BOOKMARK_NAME_BYTES])
{
	time_t now = (time_t)(clock_realtime_ns() / NSEC_PER_SEC);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(out, BOOKMARK_NAME_BYTES, "bookmark-%Y%m%dT%H%M%SZ", &tm);
}

static json_t *run_bookmark(struct agent *a, const struct request *q, struct err *e)
{
	struct bookmark_result result;
	char name[BOOKMARK_NAME_BYTES];

	if (q->name[0])
		strcpy(name, q->name);
	else
		default_name(name);
	if (may_bookmark(a, e) ||
	    bookmarks_ask(a->bookmarks, name, q->app, q->timeout_ns, wake, a, &result, e))
		return NULL;
	return json_pack("{s:s, s:I, s:I, s:s, s:s}", "reason", result.reason, "id",
			 (json_int_t)result.id, "time", (json_int_t)result.time_ns, "consistency",
			 result.consistency, "name", name);
}

json_t *command_run(struct agent *a, const struct request *q, struct err *e)
{
	switch (q->command) {
	case COMMAND_ENROLL:
		return run_enroll(a, q, e);
	case COMMAND_PROTECT:
		return run_protect(a, q, e);
	case COMMAND_UNPROTECT:
		return run_unprotect(a, q, e);
	case COMMAND_STATUS:
		return status_json(a, e);
	case COMMAND_WRITERS:
		return shim_writers(a->config.shim_socket, (const volatile bool *)&a->stop, e);
	case COMMAND_BOOKMARK:
		return run_bookmark(a, q, e);
	case COMMAND_RESYNC:
		return run_resync(a, q, e);
	case COMMAND_VERIFY:
		return run_verify(a, q, e);
	case COMMAND_PAUSE:
		return set_paused(a, true, e);
	case COMMAND_RESUME:
		return set_paused(a, false, e);
	case COMMAND_EXPLAIN:
		return explain_json(a, e);
	}
	err_set(e, -EINVAL, "unknown command");
	return NULL;
}
