// SPDX-License-Identifier: Apache-2.0
#include "agent/problems.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/text.h"

#define FAILURES 3 /* in a row: not a passing disturbance */
#define POINT_OVERDUE_NS (15 * 60 * NSEC_PER_SEC)

#define NO_ANSWER                                                                                                    \
	"Look at the kernel's log for a disk, or a path to it, that does not answer (before Linux 5.18 it may also " \
	"be a cgroup's limit of writes, io.max); nothing is lost, and replication goes on by itself when it does. "  \
	"To go on without that disk: mobilityctl unprotect."

void problem_add(json_t *list, const char *severity, const char *remedy, const char *fmt, ...)
{
	char what[1024];
	va_list args;

	va_start(args, fmt);
	text_vformat(what, sizeof(what), fmt, args);
	va_end(args);
	json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "severity", severity, "what", what,
					      "remedy", remedy));
}

static void resync_waits(const struct disk_view *d, json_t *list)
{
	char when[32], remedy[STATE_TEXT + 64];

	snprintf(remedy, sizeof(remedy), "To begin at once: mobilityctl resync --now %s.", d->name);
	if (d->starts_ns == UINT64_MAX)
		problem_add(
			list, "error", remedy,
			"%s must be resynchronised and resync_window is never: %s. There are no new "
			"recovery points until it is.",
			d->name, d->resync_cause);
	else
		problem_add(
			list, "error", remedy,
			"%s waits for the resync_window (%s) to be resynchronised: %s. There are no new "
			"recovery points until it is.",
			d->name, clock_format_utc(d->starts_ns, when), d->resync_cause);
}

static bool resync_fails(const struct disk_view *d)
{
	return !d->waiting && d->failures >= FAILURES;
}

static void resync_failing(const struct disk_view *d, json_t *list)
{
	char remedy[STATE_TEXT + 192];

	snprintf(
		remedy, sizeof(remedy),
		"Look at the log of mobilityd for what came before; the agent goes on trying. If it "
		"persists: mobilityctl resync --now %s.",
		d->name);
	problem_add(list, "error", remedy, "The resynchronisation of %s (%s) failed %u times: %s.",
		    d->name, d->resync_cause, d->failures, d->failure);
}

static bool disk_problems(const struct disk_view *d, json_t *list)
{
	bool hangs = d->reading_ns >= OVERDUE_NS;
	char since[32];

	if (!d->reachable) {
		problem_add(list, "error",
			    d->remedy[0] ? d->remedy : "Nothing to do yet: it is being looked for.",
			    "%s cannot be reached%s%s.", d->name, d->error[0] ? ": " : "",
			    d->error);
		return true;
	}
	if (d->error[0])
		problem_add(list, "error", d->remedy, "%s: %s.", d->name, d->error);
	if (hangs)
		problem_add(list, "error", NO_ANSWER,
			    "%s does not answer: a read of it has taken %s.", d->name,
			    duration_format(d->reading_ns, since));
	if (d->waiting)
		resync_waits(d, list);
	else if (resync_fails(d))
		resync_failing(d, list);
	else if (d->state == DISK_RESYNC)
		problem_add(list, "warning",
			    "Nothing to do: recovery points are made again when it is complete.",
			    "%s is being resynchronised: %s.", d->name, d->resync_cause);
	return d->error[0] || d->state != DISK_PROTECTED || hangs;
}

/* A boundary is for all disks together: one that does not answer keeps it open. */
static bool sealing_problem(const struct status_view *v, json_t *list)
{
	char since[32];

	if (v->sealing_ns < OVERDUE_NS)
		return false;
	problem_add(
		list, "error", NO_ANSWER,
		"Writes have not completed for %s (%llu are in flight): until they do there is no new recovery point.",
		duration_format(v->sealing_ns, since), (unsigned long long)v->in_flight);
	return true;
}

static const char *setback_remedy(int code)
{
	switch (code) {
	case -ENOMEM:
		return "See what uses the memory of this machine; the agent goes on trying, and no change "
		       "is lost.";
	case -EBUSY:
		return NO_ANSWER;
	case -ESTALE:
		return "Look at the appliance's log; the agent goes on trying, and no change is lost.";
	default:
		return "Look at the log of mobilityd and at the kernel's; the agent goes on trying, and no "
		       "change is lost.";
	}
}

/* Not where a problem tells of the same failure already: the appliance's, or a resync's. */
static bool setback_problem(const struct status_view *v, json_t *list)
{
	bool told = v->link.error[0] || v->paused || !v->enrolled;

	for (size_t i = 0; i < v->disk_count; i++)
		told |= resync_fails(&v->disk[i]);
	if (told || v->setback.count < FAILURES)
		return false;
	problem_add(list, "error", setback_remedy(v->setback.last.code),
		    "Replication failed %u times in a row: %s.", v->setback.count,
		    v->setback.last.text);
	return true;
}

static const char *loss_remedy(enum loss loss)
{
	switch (loss) {
	case LOSS_POOL_FULL:
		return "Nothing to do: every change is on the appliance, and a later epoch becomes a recovery point. "
		       "If it persists: a larger pool (module parameter pool_bytes), or quieter disks.";
	case LOSS_SCANNED:
		return "Nothing to do: every change is on the appliance, and the next scan becomes a recovery point if "
		       "the disks are quiet. With the kernel module all epochs can.";
	default:
		return "Nothing to do: every change is on the appliance, and a later epoch becomes a recovery point. If it "
		       "persists: quieter disks.";
	}
}

static void point_problems(const struct status_view *v, json_t *list)
{
	char since[32];

	if (v->facts.fuzzy[0]) {
		problem_add(list, "warning", loss_remedy(v->facts.loss),
			    "The last epoch is not a recovery point: %s.", v->facts.fuzzy);
		return;
	}
	if (v->link.error[0] || v->paused || !v->facts.has_point ||
	    v->now_ns < v->facts.point.time + POINT_OVERDUE_NS)
		return;
	problem_add(list, "warning",
		    "mobilityctl explain tells what bounds it, and what would help.",
		    "There has been no recovery point for %s.",
		    duration_format(v->now_ns - v->facts.point.time, since));
}

static const char *application_remedy(const struct status_view *v)
{
	for (size_t i = 0; i < v->disk_count; i++) {
		if (!v->disk[i].tracks)
			return "Protect only disks that the kernel module tracks, or take application-consistent "
			       "points no more.";
	}
	return v->app_interval_ns
		       ? "mobilityctl writers shows them all; the next one is tried at the next interval."
		       : "mobilityctl writers shows them all; try again: mobilityctl bookmark --app.";
}

static void application_problems(const struct status_view *v, json_t *list)
{
	char interval[32], retention[32];

	if (v->app_interval_ns && v->facts.retention_s &&
	    v->app_interval_ns / NSEC_PER_SEC >= v->facts.retention_s)
		problem_add(
			list, "error",
			"Set app_consistent_interval in mobility.conf below the appliance's retention, or "
			"raise that.",
			"Application-consistent recovery points are taken every %s and kept for %s: at times "
			"there is none.",
			duration_format(v->app_interval_ns, interval),
			duration_format(v->facts.retention_s * NSEC_PER_SEC, retention));
	if (v->facts.application[0] && v->disk_count)
		problem_add(
			list, "warning", application_remedy(v),
			"The last application-consistent recovery point is only crash-consistent: %s.",
			v->facts.application);
}

json_t *status_problems(const struct status_view *v)
{
	json_t *list = json_array();
	bool explained;

	problems_of_machine(v, list);
	explained = problems_of_session(v, list);
	explained |= sealing_problem(v, list);
	explained |= setback_problem(v, list);
	for (size_t i = 0; i < v->disk_count; i++)
		explained |= disk_problems(&v->disk[i], list);
	/* A disk that has a problem, or is not complete yet, explains the missing points. */
	if (v->enrolled && v->disk_count && !explained)
		point_problems(v, list);
	if (v->enrolled)
		application_problems(v, list);
	return list;
}
