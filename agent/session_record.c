// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "agent/session.h"
#include "lib/log.h"

struct recording {
	struct session *s;
	struct disk *d;
	enum record what;
};

static void fill_record(const struct recording *rec, struct state_disk *d)
{
	const struct disk *from = rec->d;

	strcpy(d->path, from->path);
	if (from->source)
		strcpy(d->path_boot_id, rec->s->boot_id);
	d->last_state = from->state;
	d->proven_ns = from->verify.proven_ns;
	d->proven_epoch = from->verify.proven_epoch;
	d->left_out = from->left_out;
	/* A request that the session has not acted on yet keeps its own cause. */
	if (rec->what != RECORD_KEEP || !d->resync_requested)
		strcpy(d->resync_cause, from->resync_cause);
	if (rec->what != RECORD_KEEP)
		d->resync_requested = rec->what == RECORD_REQUEST;
	if (from->state == DISK_PROTECTED && !d->resync_requested)
		d->resync_now = false;
	if (from->source && from->source->ops->tracks) {
		strcpy(d->attach_id, from->source->attach_id);
		strcpy(d->module_id, rec->s->module_id);
		strcpy(d->boot_id, rec->s->boot_id);
	}
}

static int edit_record(struct state *st, void *arg, struct err *e)
{
	const struct recording *rec = arg;
	struct state_disk *d = state_find(st, rec->d->key);

	(void)e;
	if (d)
		fill_record(rec, d);
	return 0;
}

static bool record_differs(const struct recording *rec, const struct state_disk *d)
{
	struct state_disk *next = malloc(sizeof(*next));
	bool differs = true;

	if (next) {
		memcpy(next, d, sizeof(*next));
		fill_record(rec, next);
		differs = d->last_state != next->last_state || strcmp(d->path, next->path) != 0 ||
			  strcmp(d->path_boot_id, next->path_boot_id) != 0 ||
			  strcmp(d->resync_cause, next->resync_cause) != 0 ||
			  d->resync_requested != next->resync_requested ||
			  d->resync_now != next->resync_now || d->proven_ns != next->proven_ns ||
			  d->proven_epoch != next->proven_epoch ||
			  memcmp(&d->left_out, &next->left_out, sizeof(d->left_out)) != 0 ||
			  strcmp(d->attach_id, next->attach_id) != 0 ||
			  strcmp(d->module_id, next->module_id) != 0 ||
			  strcmp(d->boot_id, next->boot_id) != 0;
	}
	free(next);
	return differs;
}

int session_record(struct session *s, struct disk *d, enum record what, struct err *e)
{
	struct recording rec = {.s = s, .d = d, .what = what};
	struct state_disk *known;
	struct state st;
	bool differs;
	int r = store_copy(s->a->store, &st, e);

	if (r)
		return r;
	known = state_find(&st, d->key);
	differs = known && record_differs(&rec, known);
	state_clear(&st);
	if (!differs)
		return 0;
	/* store_retry() finds out when it works again, and then all this is gone through again. */
	if (store_failing(s->a->store, e))
		return e->code;
	return store_update(s->a->store, false, edit_record, &rec, e);
}

void session_remember(struct session *s, struct disk *d, enum record what)
{
	struct err e;

	/* The store has told of its file. */
	if (session_record(s, d, what, &e))
		log_debug("where %s stands is not recorded: %s", d->name, e.text);
}

int session_request_resync(struct session *s, struct disk *d, const char *cause, struct err *e)
{
	int r;

	disk_set_state(d, d->state, d->replicated, cause);
	r = session_record(s, d, RECORD_REQUEST, e);
	if (r)
		return r;
	s->synced = false;
	log_warning("%s must be resynchronised: %s", d->name, cause);
	return 0;
}
