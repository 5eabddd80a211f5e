// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/session.h"
#include "lib/clock.h"
#include "lib/log.h"

/*
 * One that has begun goes on to its end: stopping half-way would only make the time without recovery points longer.
 */
static bool must_wait(const struct disk *d, bool open)
{
	return d->state == DISK_RESYNC && d->replicated == 0 && !d->resync_now && !open;
}

static void set_waiting(struct disk *d, bool waiting)
{
	if (d->waiting == waiting)
		return;
	if (waiting)
		log_warning("%s waits for the resync_window to be resynchronised: %s", d->name,
			    d->resync_cause);
	pthread_mutex_lock(&d->lock);
	d->waiting = waiting;
	pthread_mutex_unlock(&d->lock);
}

static int edit_begin(struct state *st, void *arg, struct err *e)
{
	(void)arg, (void)e;
	for (size_t i = 0; i < st->disk_count; i++) {
		struct state_disk *d = &st->disk[i];

		if (!d->resync_scheduled)
			continue;
		d->resync_scheduled = false;
		d->resync_requested = true;
		snprintf(d->resync_cause, sizeof(d->resync_cause), RESYNC_OPERATOR);
	}
	return 0;
}

int session_heed_window(struct session *s, const struct state *st, struct err *e)
{
	bool open = window_is_open(&s->a->config.resync_window, clock_realtime_ns()), due = false;
	int r;

	for (size_t i = 0; i < s->a->disks->count; i++)
		set_waiting(s->a->disks->disk[i], must_wait(s->a->disks->disk[i], open));
	for (size_t i = 0; i < st->disk_count; i++)
		due |= st->disk[i].resync_scheduled;
	/* It begins when that can be remembered, and nothing else waits for it. */
	if (!due || !open || store_failing(s->a->store, NULL))
		return 0;
	r = store_update(s->a->store, false, edit_begin, NULL, e);
	if (!r)
		s->synced = false;
	return store_failing(s->a->store, NULL) ? 0 : r;
}

void session_resync_outcome(struct session *s, int r, const struct err *e)
{
	/* Nobody's failure: it was called off, or the machine or the appliance is not there, which is told as such. */
	if (r == -ECANCELED || r == -EHOSTDOWN || r == -EAGAIN)
		return;
	for (size_t i = 0; i < s->a->disks->count; i++) {
		struct disk *d = s->a->disks->disk[i];
		bool failed = r && d->state == DISK_RESYNC && d->in_epoch && !d->waiting;

		pthread_mutex_lock(&d->lock);
		d->failures = failed ? d->failures + 1 : 0;
		snprintf(d->failure, sizeof(d->failure), "%s", failed ? e->text : "");
		pthread_mutex_unlock(&d->lock);
	}
}
