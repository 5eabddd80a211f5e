// SPDX-License-Identifier: Apache-2.0
#include "agent/session.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/application.h"
#include "agent/enroll.h"
#include "agent/rcu.h"
#include "lib/clock.h"
#include "lib/io.h"
#include "lib/log.h"

#define HEARTBEAT_NS                                                                               \
	(10 * NSEC_PER_SEC) /* an epoch at least this often, so that the RPO is honest */
#define IDLE_NS (2 * NSEC_PER_SEC)
#define BOOKMARK_GAP_NS NSEC_PER_SEC /* a bookmark does not wait for a longer min_epoch_interval */
#define POLL_DISKS 64

void session_beat(void *arg)
{
	struct session *s = arg;

	atomic_store(&s->a->session_alive_ns, clock_monotonic_ns());
}

void session_aside(struct session *s, void *(*fn)(void *arg), void *arg)
{
	struct timespec until;
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg)) {
		fn(arg);
		return;
	}
	do {
		session_beat(s);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
	} while (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == ETIMEDOUT);
}

static void check_certificate(struct session *s)
{
	uint64_t now = clock_monotonic_ns(), again;
	struct err e;
	int r;

	if (!s->uplink.api || now < s->cert_look_ns)
		return;
	r = enroll_renew(s->a, s->uplink.api, &again, &e);
	if (r)
		log_warning("the certificate cannot be renewed now: %s", e.text);
	if (r != -ECANCELED)
		agent_renewal(s->a, r ? &e : NULL);
	s->cert_look_ns = now + again;
	/*
	 * A kept connection still shows the certificate of its handshake: a new one in place of it,
	 * also in the middle of an epoch.
	 */
	if (uplink_connect(&s->uplink, &e))
		log_warning("cannot connect with the renewed certificate: %s", e.text);
}

void session_drain_beat(void *arg)
{
	session_beat(arg);
	check_certificate(arg);
}

static bool given_up(void *arg)
{
	const struct session *s = arg;

	return __atomic_load_n(&s->a->cancel, __ATOMIC_ACQUIRE);
}

/* The connection to whom we are enrolled with now: what was agreed with another counts no more. */
static int connect_now(struct session *s, struct err *e)
{
	if (s->uplink.api && s->uplink.identity == atomic_load(&s->a->identity))
		return 0;
	s->cert_look_ns = 0;
	s->synced = false;
	return uplink_connect(&s->uplink, e);
}

/* Sleep at most ns, until woken, or (dirty) until a tracked disk has something new. */
static void session_wait(struct session *s, uint64_t ns, bool dirty)
{
	struct pollfd p[1 + POLL_DISKS] = {{.fd = s->a->wake_fd, .events = POLLIN}};
	/* What cannot be remembered is not acknowledged: an event would wake us again at once. */
	short events = store_failing(s->a->store, NULL) ? POLLIN : POLLIN | POLLPRI;
	nfds_t n = 1;
	uint64_t counter;

	for (size_t i = 0; dirty && i < s->a->disks->count && n < 1 + POLL_DISKS; i++) {
		const struct source *src = s->a->disks->disk[i]->source;

		if (src && src->poll_fd >= 0)
			p[n++] = (struct pollfd){.fd = src->poll_fd, .events = events};
	}
	session_beat(s);
	poll(p, n, (int)(ns / 1000000) + 1);
	session_beat(s);
	/* Nothing to do with the count: what woke us is looked at anyway. */
	if (p[0].revents && read(s->a->wake_fd, &counter, sizeof(counter)) < 0)
		log_debug("nothing to read from the wake descriptor");
}

static bool slices_left(const struct session *s)
{
	for (size_t i = 0; i < s->a->disks->count; i++) {
		const struct disk *d = s->a->disks->disk[i];

		if (d->source && d->state != DISK_PROTECTED && !d->waiting)
			return true;
	}
	return false;
}

static bool anything_dirty(const struct session *s)
{
	struct source_status st;

	for (size_t i = 0; i < s->a->disks->count; i++) {
		const struct disk *d = s->a->disks->disk[i];

		/* What cannot be told counts as dirty: the epoch will show it. Of a scan nobody can. */
		if (d->source && d->source->ops->tracks &&
		    (d->source->ops->status(d->source, &st, NULL) || st.dirty_bytes))
			return true;
	}
	return false;
}

/* How long until the next scan of any disk is due; UINT64_MAX: none is scanned. */
static uint64_t until_scan(const struct session *s, uint64_t now)
{
	uint64_t best = UINT64_MAX, interval = s->a->config.scan_interval, left;

	for (size_t i = 0; i < s->a->disks->count; i++) {
		const struct disk *d = s->a->disks->disk[i];

		if (!d->source || d->source->ops->tracks || d->state != DISK_PROTECTED)
			continue;
		left = !d->scanned_ns || verify_scan_due(d) || now - d->scanned_ns >= interval
			       ? 0
			       : interval - (now - d->scanned_ns);
		best = left < best ? left : best;
	}
	return best;
}

static bool any_tracked(const struct session *s)
{
	for (size_t i = 0; i < s->a->disks->count; i++) {
		const struct disk *d = s->a->disks->disk[i];

		if (d->source && d->source->ops->tracks)
			return true;
	}
	return false;
}

static bool any_reachable(const struct session *s)
{
	for (size_t i = 0; i < s->a->disks->count; i++) {
		if (s->a->disks->disk[i]->source)
			return true;
	}
	return false;
}

/* Is an epoch due? If not, sleep a little. *scan: with the scanned disks. */
static bool epoch_due(struct session *s, bool *scan)
{
	uint64_t now = clock_monotonic_ns(), since = now - s->boundary_ns, wait = IDLE_NS, left,
		 app;
	uint64_t least = s->a->config.min_epoch_interval;

	if (bookmarks_waiting(s->a->bookmarks) && least > BOOKMARK_GAP_NS)
		least = BOOKMARK_GAP_NS;
	left = until_scan(s, now);
	*scan = left == 0;
	app = application_due(s, now);
	if (!any_reachable(s)) {
		session_wait(s, IDLE_NS, false);
		return false;
	}
	if (slices_left(s) || !s->boundary_ns)
		return true;
	if (since < least && !verify_hurries(s)) {
		/* No longer: it shows that the session lives, and events of disks are heeded between. */
		left = least - since;
		session_wait(s, left < IDLE_NS ? left : IDLE_NS, false);
		return false;
	}
	if (bookmarks_waiting(s->a->bookmarks) || *scan || !app || anything_dirty(s) ||
	    verify_needs_epoch(s) || (any_tracked(s) && since >= HEARTBEAT_NS))
		return true;
	if (any_tracked(s) && HEARTBEAT_NS - since < wait)
		wait = HEARTBEAT_NS - since;
	left = app < left ? app : left;
	session_wait(s, left < wait ? left : wait, true);
	return false;
}

static void back_off(struct session *s, const struct err *e)
{
	uint64_t ns = backoff_next(&s->backoff, s->uplink.api ? api_retry_after(s->uplink.api) : 0);

	if (e->code != -ECANCELED)
		log_debug("trying again: %s", e->text);
	session_wait(s, ns, false);
}

static int replicate(struct session *s, const struct state *st, struct err *e)
{
	bool scan;
	int r = connect_now(s, e);

	if (!r)
		check_certificate(s);
	if (!r && !s->synced)
		r = session_sync(s, st, e);
	if (r)
		return r;
	r = session_heed_window(s, st, e);
	if (!r && s->synced)
		r = verify_slices(s, e);
	if (r || !s->synced || !epoch_due(s, &scan))
		return r;
	r = epoch_run(s, scan, e);
	s->epoch_failed = r != 0;
	session_resync_outcome(s, r, e);
	if (r)
		s->synced = false;
	return r;
}

/* Whether replication may go on; clears a cancellation that was meant for the last epoch. */
static bool may_run(struct session *s)
{
	struct state st;
	bool may;

	if (agent_stopping(s->a) || store_copy(s->a->store, &st, NULL))
		return false;
	may = st.machine[0] && !st.paused && s->a->disks->count + st.disk_count;
	state_clear(&st);
	return may;
}

/* Also while replication is paused, or nothing is protected yet: what expired cannot be renewed. */
static void keep_certificate(struct session *s)
{
	struct state st;
	struct err e;

	if (agent_stopping(s->a) || store_copy(s->a->store, &st, NULL))
		return;
	if (st.machine[0] && !connect_now(s, &e))
		check_certificate(s);
	state_clear(&st);
}

static void step(struct session *s)
{
	struct state st = {0};
	struct err e = {0};
	bool may;
	int r;

	/*
	 * The order matters: whoever cancels changes the state first, so that a cancellation that
	 * is cleared here is seen as that change below.
	 */
	if (!agent_stopping(s->a))
		__atomic_store_n(&s->a->cancel, false, __ATOMIC_SEQ_CST);
	if (agent_stopping(s->a))
		__atomic_store_n(&s->a->cancel, true, __ATOMIC_SEQ_CST);
	r = session_local(s, &e);
	may = !r && may_run(s);
	if (!may)
		atomic_store(&s->a->running_since, 0);
	else if (!atomic_load(&s->a->running_since))
		atomic_store(&s->a->running_since, clock_monotonic_ns());
	if (!r && !may) {
		keep_certificate(s);
		session_wait(s, IDLE_NS, false);
		return;
	}
	if (!r)
		r = store_copy(s->a->store, &st, &e);
	if (!r)
		r = replicate(s, &st, &e);
	state_clear(&st);
	if (!r) {
		s->backoff.tries = 0;
		/* That no epoch is due yet does not overcome one that failed. */
		if (!s->epoch_failed)
			agent_setback(s->a, NULL);
		return;
	}
	if (r != -ECANCELED && r != -EHOSTDOWN && r != -EAGAIN) {
		log_warning("the epoch was abandoned, nothing is lost: %s", e.text);
		agent_setback(s->a, &e);
	}
	back_off(s, &e);
}

static void read_boot_id(struct session *s)
{
	char *text = NULL;
	size_t len;

	if (io_read_file("/proc/sys/kernel/random/boot_id", 128, &text, &len, NULL))
		return;
	text[strcspn(text, "\n")] = '\0';
	strncpy(s->boot_id, text, sizeof(s->boot_id) - 1);
	free(text);
}

void *session_main(void *arg)
{
	struct session s = {.a = arg, .application_ns = clock_monotonic_ns()};
	struct err e;

	s.uplink = (struct uplink){.agent = arg,
				   .given_up = given_up,
				   .beat = session_drain_beat,
				   .arg = &s};
	urcu_memb_register_thread();
	read_boot_id(&s);
	while (!agent_stopping(s.a) && drain_pool_new(s.a, &s.pool, &e)) {
		log_error("%s", e.text);
		session_wait(&s, IDLE_NS, false);
	}
	while (!agent_stopping(s.a))
		step(&s);
	drain_pool_free(s.pool);
	uplink_clear(&s.uplink);
	finder_free(s.finder);
	urcu_memb_unregister_thread();
	return NULL;
}
