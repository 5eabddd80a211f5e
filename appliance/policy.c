/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/fold.h"
#include "appliance/lease.h"
#include "appliance/policy.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

#define MAP_IDLE_NS (10 * 60 * NSEC_PER_SEC)
#define FILL_NS (10 * NSEC_PER_SEC) /* of a round: nothing expires or is folded meanwhile */
#define STEP_BYTES (1ull << 30) /* of journals that are folded at once */
#define STEP_SEGMENTS 4000000u

/* How many of the newest n points, some of them from the future, are no older than that: they came before the earliest stamp since that is not. */
static size_t younger(const struct point_row *points, size_t n, uint64_t now, uint64_t age)
{
	uint64_t came = now;
	size_t i;

	for (i = 0; i < n; i++) {
		if (points[i].committed_at < came)
			came = points[i].committed_at;
		if (now - came > age)
			break;
	}
	return i;
}

/*
 * A point came no earlier than those before it: the latest of its stamp and theirs counts, which makes up for a clock that was behind. If that is in the
 * future, the clock was ahead, or is behind now, and the stamp says nothing. But the point came no later than those after it: the earliest of its stamp and
 * theirs that is not in the future counts, and without one it is new.
 *
 * So a clock that was ahead keeps points only until the ones after them are old. One that steps back makes all points before that as old as the first one
 * since: too young if anything, and they go a retention after it. When it comes right again, those from in between are as old as the last one before: too
 * old by no more than the time that the clock was behind, unless that was longer than the retention and none before is left to tell by.
 */
void policy_thin(const struct config *c, const struct point_row *points, size_t n, uint64_t now,
		 bool *drop)
{
	/* From the oldest on, so that the first of an interval is found before the others. */
	uint64_t interval, last = UINT64_MAX, came = 0;
	size_t ahead = n, retained, all;

	while (ahead && points[ahead - 1].committed_at <= now)
		ahead--;
	retained = younger(points, ahead, now, c->retention_ns);
	all = younger(points, ahead, now, c->all_points_for_ns);
	for (size_t i = n; i > 0; i--) {
		const struct point_row *p = &points[i - 1];
		bool old, thin;

		if (p->committed_at > came)
			came = p->committed_at;
		old = i > ahead ? now - came > c->retention_ns : i > retained;
		thin = i > ahead ? now - came > c->all_points_for_ns : i > all;
		interval = p->committed_at / c->point_interval_ns;
		drop[i - 1] = i > 1 && (old || (thin && interval == last && !p->name[0] &&
						strcmp(p->consistency, "application") != 0));
		last = interval;
	}
}

/* Set, and not only slewed. */
static bool has_stepped(const struct policy_clock *c, uint64_t realtime_ns, uint64_t passed)
{
	uint64_t expected = c->realtime + passed, off;

	off = realtime_ns > expected ? realtime_ns - expected : expected - realtime_ns;
	return off > NSEC_PER_SEC + passed / 10;
}

uint64_t policy_clock(struct policy_clock *c, uint64_t realtime_ns, uint64_t boottime_ns,
		      uint64_t retention_ns)
{
	uint64_t passed = boottime_ns - c->boottime, most = c->now + 2 * passed;

	if (c->now && has_stepped(c, realtime_ns, passed))
		c->stepped = boottime_ns;
	if (c->now && most < realtime_ns && boottime_ns - c->stepped < retention_ns)
		c->now = most;
	else
		c->now = realtime_ns;
	c->realtime = realtime_ns;
	c->boottime = boottime_ns;
	return c->now;
}

/* The time for this round. */
static uint64_t tell_time(struct appliance *app)
{
	uint64_t realtime = clock_realtime_ns(), stepped = app->clock.stepped;
	uint64_t retention = app->home.config.retention_ns;
	uint64_t now = policy_clock(&app->clock, realtime, clock_boottime_ns(), retention);
	char ahead[32], most[32];

	if (app->clock.stepped != stepped && now < realtime)
		log_warning(
			"the clock is %s ahead of the time that has passed: recovery points expire later than by it, for %s at most",
			duration_format(realtime - now, ahead), duration_format(retention, most));
	return now;
}

/* Expire points; *oldest is the epoch of the oldest one left, 0 if there is none. */
static int expire(struct appliance *app, const char *machine, uint64_t now, uint64_t *oldest,
		  struct err *e)
{
	struct catalog *c = app->home.catalog;
	_cleanup_free_ struct point_row *points = NULL;
	_cleanup_free_ uint64_t *gone = NULL;
	_cleanup_free_ bool *drop = NULL;
	size_t count = 0;
	int n = catalog_points(c, machine, 0, &points, e), rc = 0;

	*oldest = 0;
	if (n <= 0)
		return n;
	drop = calloc((size_t)n, sizeof(*drop));
	gone = calloc((size_t)n, sizeof(*gone));
	if (!drop || !gone)
		return err_set(e, -ENOMEM, "out of memory");
	policy_thin(&app->home.config, points, (size_t)n, now, drop);
	for (int i = 0; i < n; i++) {
		if (drop[i])
			gone[count++] = points[i].epoch;
		else
			*oldest = points[i].epoch;
	}
	if (count)
		rc = catalog_points_remove(c, machine, gone, count, e);
	if (rc == 0 && count)
		log_info("machine %s: %zu recovery points expired", machine, count);
	return rc;
}

/* What fold.c asks of us while it works on one disk. */
struct folding {
	struct live_disk *disk;
	bool (*stop)(void *arg);
	void *arg;
};

static void folding_exclude(void *arg)
{
	pthread_rwlock_wrlock(&((struct folding *)arg)->disk->lock);
}

static void folding_admit(void *arg)
{
	pthread_rwlock_unlock(&((struct folding *)arg)->disk->lock);
}

static void folding_folded(void *arg, uint64_t target)
{
	live_folded(((struct folding *)arg)->disk, target);
}

static bool folding_stop(void *arg)
{
	struct folding *f = arg;

	return f->stop(f->arg);
}

/* What is to be folded of a disk. */
struct step {
	const struct journal_row *journals;
	size_t n;
	uint64_t target; /* where all of them end */
};

size_t policy_step(const struct journal_row *journals, size_t n, size_t done)
{
	uint64_t bytes = 0, segments = 0;

	while (done < n && bytes < STEP_BYTES && segments < STEP_SEGMENTS) {
		bytes += journals[done].bytes;
		segments += journals[done].segments;
		done++;
	}
	return done;
}

/* One step, to the end of the first *done of n journals; of all when the others have what this one cannot read. */
static int fold_step(struct appliance *app, struct disk_row *d, const struct step *step,
		     size_t *done, const struct fold_hooks *hooks, struct err *e)
{
	struct catalog *c = app->home.catalog;
	int rc = fold_disk(c, app->home.store, d,
			   *done < step->n ? step->journals[*done - 1].epoch : step->target, hooks,
			   e);

	if (!content_unreadable(rc) || *done == step->n)
		return rc;
	*done = step->n;
	rc = catalog_disk(c, d->id, d, e);
	return rc < 0 ? rc : fold_disk(c, app->home.store, d, step->target, hooks, e);
}

/*
 * Fold in steps: the journals of one go before the next begins, so that a store with little space left can take the base of a disk that it has the
 * journals of, and the map of what is folded stays small. Any committed epoch that no kept point is older than can end a step. One that has not the space
 * is halved; the next ones are twice as large again for each that had it.
 */
static int fold_steps(struct appliance *app, struct disk_row *d, uint64_t target,
		      const struct fold_hooks *hooks, struct err *e)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	int rc = catalog_journals(app->home.catalog, d->id, target, &journals, e);
	size_t n = rc > 0 ? (size_t)rc : 0, done = 0, most = n;
	const struct step step = {journals, n, target};

	if (rc < 0 || (n == 0 && !d->fold_target))
		return rc;
	do {
		size_t from = done;

		done = policy_step(journals, n, done);
		if (done - from > most)
			done = from + most;
		rc = fold_step(app, d, &step, &done, hooks, e);
		most = 2 * (done - from);
		if (fold_no_space(rc) && done - from > 1) {
			most = (done - from) / 2;
			done = from;
			rc = 0;
		}
		if (rc == 0 && done < n)
			rc = hooks->stop(hooks->arg) ? err_set(e, -EAGAIN, "folding is to stop")
						     : catalog_disk(app->home.catalog, d->id, d, e);
	} while (rc == 0 && done < n);
	return rc;
}

static void fold_one(struct appliance *app, struct disk_row *d, uint64_t target,
		     bool (*stop)(void *arg), void *arg)
{
	struct folding f = {live_disk(app->live, d->machine, d->id), stop, arg};
	struct fold_hooks hooks = {
		folding_exclude, folding_admit, folding_folded, folding_stop, &f, 0};
	struct err e;
	int rc = f.disk ? fold_steps(app, d, target, &hooks, &e)
			: err_set(&e, -ENOMEM, "out of memory");

	if (rc < 0 && rc != -EAGAIN)
		log_warning("disk %s (%s): folding into the base goes on later: %s", d->name, d->id,
			    e.text);
}

/* Who took a lease waits for a batch that could not be written to the end: nothing else is done for a fold meanwhile. */
static int mend_leased(struct appliance *app, const char *machine, bool (*stop)(void *arg),
		       void *arg, struct err *e)
{
	_cleanup_free_ struct disk_row *disks = NULL;
	int n = catalog_disks(app->home.catalog, machine, false, &disks, e);

	for (int i = 0; i < n && !stop(arg); i++) {
		if (disks[i].fold_active)
			fold_one(app, &disks[i], disks[i].fold_target, stop, arg);
	}
	return n < 0 ? n : 0;
}

static int machine_round(struct appliance *app, const struct machine_row *m, uint64_t now,
			 bool (*stop)(void *arg), void *arg, struct err *e)
{
	struct catalog *c = app->home.catalog;
	uint64_t kept = app->home.config.retention_ns, oldest;
	_cleanup_free_ struct disk_row *disks = NULL;
	int n, rc = catalog_leased(c, m->id, clock_monotonic_ns(), e);

	if (rc)
		return rc < 0 ? rc : mend_leased(app, m->id, stop, arg, e);
	rc = expire(app, m->id, now, &oldest, e);
	if (rc < 0)
		return rc;
	/* Without a point to keep, the last committed epoch is all that anybody can ask for. */
	if (!oldest)
		oldest = m->committed;
	n = catalog_disks(c, m->id, false, &disks, e);
	if (n < 0)
		return n;
	for (int i = 0; i < n && !stop(arg); i++)
		fold_one(app, &disks[i], oldest, stop, arg);
	policy_forget_disks(app, m->id);
	return catalog_epochs_prune(c, m->id, oldest, now > kept ? now - kept : 0, e);
}

void policy_round(struct appliance *app, bool (*stop)(void *arg), void *arg)
{
	struct catalog *c = app->home.catalog;
	_cleanup_free_ struct machine_row *machines = NULL;
	uint64_t mono = clock_monotonic_ns();
	uint64_t now = tell_time(app);
	struct err e = {0};
	/* A lease may have been taken or extended since mono was read: only what no clock of ours gave. */
	int n = catalog_leases_expire(c, mono, mono + 2 * LEASE_NS, &e);

	if (n == 0)
		n = catalog_tokens_expire(c, now, &e);
	if (n == 0)
		n = catalog_machines(c, &machines, &e);
	if (n < 0)
		log_warning("the policy's round is put off: %s", e.text);
	for (int i = 0; i < n && !stop(arg); i++) {
		if (machine_round(app, &machines[i], now, stop, arg, &e) < 0)
			log_warning("machine %s: the policy is applied later: %s", machines[i].id,
				    e.text);
	}
	policy_remove_data(app, stop, arg);
	policy_release_removed(app);
	policy_fill(app, FILL_NS, stop, arg);
	live_trim(app->live, MAP_IDLE_NS);
}
