// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/status.h"
#include "lib/clock.h"
#include "lib/text.h"

#define FAILURES 3 /* in a row: not a passing disturbance */
#define POINT_OVERDUE_NS (15 * 60 * NSEC_PER_SEC)

#define NO_ANSWER                                                                                                    \
	"Look at the kernel's log for a disk, or a path to it, that does not answer (before Linux 5.18 it may also " \
	"be a cgroup's limit of writes, io.max); nothing is lost, and replication goes on by itself when it does. "  \
	"To go on without that disk: mobilityctl unprotect."

static void add(json_t *list, const char *severity, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(json_t *list, const char *severity, const char *remedy, const char *fmt, ...)
{
	char what[1024];
	va_list args;

	va_start(args, fmt);
	text_vformat(what, sizeof(what), fmt, args);
	va_end(args);
	json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "severity", severity, "what", what,
					      "remedy", remedy));
}

static const char *link_remedy(int code)
{
	switch (code) {
	case -EACCES:
		return "Enrol this machine again with a fresh token: mobilityctl enroll.";
	case -EKEYREJECTED:
		return "Check that the address is the appliance's and that both clocks are right; if the "
		       "appliance was set up anew, enrol again.";
	case -ENOSPC:
		return "Make room in the appliance's store; replication goes on by itself then.";
	case -EAGAIN:
		return "Look at the appliance's log; the agent goes on trying.";
	case -ESTALE:
		return "Nothing to do: the epoch begins anew. If it persists, look at the appliance's log.";
	case -EILSEQ:
		return "What is sent arrives damaged, inside TLS: look for faulty memory on either side, and at "
		       "what ends TLS in between; the agent sends it again.";
	case -EPROTO:
		return "Install the same release on this machine and on the appliance.";
	default:
		return "Check that the appliance runs and that its ports can be reached from here; the "
		       "agent goes on trying.";
	}
}

/* Nobody was asked: the files are ours. */
static void key_problem(const struct status_view *v, json_t *list)
{
	char remedy[sizeof(v->appliance) + 400];

	snprintf(
		remedy, sizeof(remedy),
		"Put key.pem, cert.pem and ca.pem in the state_dir back as they were together (a backup), readable "
		"for mobilityd; or enrol again, with a token of mobility-appliance token: mobilityctl enroll %s "
		"--fingerprint sha256:… --token-file FILE.",
		v->appliance);
	add(list, "error", remedy,
	    "The key and certificate of this machine cannot be used, so that the appliance is not asked: %s.",
	    v->link.error);
}

static const char *store_remedy(int code)
{
	switch (code) {
	case -ENOSPC:
	case -EDQUOT:
		return "Make room in the filesystem of that file; the agent tries again by itself.";
	case -EROFS:
		return "Look at the kernel's log for why its filesystem is read-only, and mount it writable "
		       "again; the agent tries again by itself.";
	default:
		return "Look after that file and the filesystem that it is on; the agent tries again by itself.";
	}
}

static void store_problem(const struct status_view *v, json_t *list)
{
	if (v->store.code)
		add(list, "error", store_remedy(v->store.code),
		    "%s. Replication goes on, but what changes cannot be remembered: commands are refused, "
		    "and a resynchronisation may have to wait.",
		    v->store.text);
}

/* Told in time: who has none that is valid can only enrol again. */
static void certificate_problem(const struct status_view *v, json_t *list)
{
	uint64_t expiry = v->cert_expiry_ns;
	char when[32] = "a time that is not known";
	bool near;

	if (expiry && expiry < v->now_ns) {
		add(list, "error",
		    "Enrol this machine again with a fresh token: mobilityctl enroll.",
		    "The certificate of this machine has expired.");
		return;
	}
	if (expiry)
		clock_format_utc(expiry, when);
	near = !expiry || expiry - v->now_ns < (expiry - v->cert_begin_ns) / 4;
	/* While there is time an appliance that is away is problem enough. */
	if (v->renewal.code && (near || !v->link.error[0]))
		add(list, near ? "error" : "warning",
		    "Remove that cause, the agent tries again at least hourly; once it has expired this "
		    "machine must be enrolled again, and its disks begin anew.",
		    "The certificate of this machine, which expires at %s, could not be renewed: %s.",
		    when, v->renewal.text);
}

static void machine_problems(const struct status_view *v, json_t *list)
{
	if (!v->enrolled) {
		add(list, "error",
		    "Get a token on the appliance (mobility-appliance token), then: mobilityctl enroll "
		    "HOST --fingerprint sha256:… --token-file FILE.",
		    "This machine is not enrolled with an appliance.");
		return;
	}
	if (v->link.error[0] && v->link.code == -ENOKEY)
		key_problem(v, list);
	else if (v->link.error[0])
		add(list, "error", link_remedy(v->link.code), "%s.", v->link.error);
	if (v->paused)
		add(list, "warning", "mobilityctl resume", "Replication is paused.");
	if (!v->disk_count)
		add(list, "error", "mobilityctl protect DISK", "No disk is protected.");
	certificate_problem(v, list);
}

static const char *track_only_remedy(const char *reason)
{
	if (strstr(reason, "owns"))
		return "Unload what else hooks block I/O (a module, a livepatch, a BPF program or a kprobe), then load "
		       "the module again; until then recovery points are made only when the disks are quiet for a "
		       "moment.";
	if (strstr(reason, "module parameter"))
		return "Take mode=track-only out of the module's parameters and load it again; until then recovery "
		       "points are made only when the disks are quiet for a moment.";
	return "This kernel allows no more: recovery points are made only when the disks are quiet for a moment.";
}

static void module_problems(const struct status_view *v, json_t *list)
{
	bool wanted = false;

	for (size_t i = 0; i < v->disk_count; i++)
		wanted |= !v->disk[i].file && v->disk[i].choice != SOURCE_SCAN;
	if (!wanted)
		return;
	if (v->kmod.mode == KMOD_ABSENT)
		add(list, "warning",
		    "Load it (modprobe mobility), or build it for this kernel first (make kmod kmod-install); "
		    "until then disks are scanned, which is slower and makes recovery points only of disks "
		    "that are quiet.",
		    "The kernel module does not work: %s.", v->kmod.reason);
	else if (v->kmod.mode == KMOD_TRACK_ONLY)
		add(list, "warning", track_only_remedy(v->kmod.reason),
		    "The kernel module tracks only: %s.", v->kmod.reason);
}

static void resync_waits(const struct disk_view *d, json_t *list)
{
	char when[32], remedy[STATE_TEXT + 64];

	snprintf(remedy, sizeof(remedy), "To begin at once: mobilityctl resync --now %s.", d->name);
	if (d->starts_ns == UINT64_MAX)
		add(list, "error", remedy,
		    "%s must be resynchronised and resync_window is never: %s. There are no new "
		    "recovery points until it is.",
		    d->name, d->resync_cause);
	else
		add(list, "error", remedy,
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
	add(list, "error", remedy, "The resynchronisation of %s (%s) failed %u times: %s.", d->name,
	    d->resync_cause, d->failures, d->failure);
}

static bool disk_problems(const struct disk_view *d, json_t *list)
{
	bool hangs = d->reading_ns >= OVERDUE_NS;
	char since[32];

	if (!d->reachable) {
		add(list, "error",
		    d->remedy[0] ? d->remedy : "Nothing to do yet: it is being looked for.",
		    "%s cannot be reached%s%s.", d->name, d->error[0] ? ": " : "", d->error);
		return true;
	}
	if (d->error[0])
		add(list, "error", d->remedy, "%s: %s.", d->name, d->error);
	if (hangs)
		add(list, "error", NO_ANSWER, "%s does not answer: a read of it has taken %s.",
		    d->name, duration_format(d->reading_ns, since));
	if (d->waiting)
		resync_waits(d, list);
	else if (resync_fails(d))
		resync_failing(d, list);
	else if (d->state == DISK_RESYNC)
		add(list, "warning",
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
	add(list, "error", NO_ANSWER,
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
	add(list, "error", setback_remedy(v->setback.last.code),
	    "Replication failed %u times in a row: %s.", v->setback.count, v->setback.last.text);
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
		add(list, "warning", loss_remedy(v->facts.loss),
		    "The last epoch is not a recovery point: %s.", v->facts.fuzzy);
		return;
	}
	if (v->link.error[0] || v->paused || !v->facts.has_point ||
	    v->now_ns < v->facts.point.time + POINT_OVERDUE_NS)
		return;
	add(list, "warning", "mobilityctl explain tells what bounds it, and what would help.",
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
		add(list, "error",
		    "Set app_consistent_interval in mobility.conf below the appliance's retention, or "
		    "raise that.",
		    "Application-consistent recovery points are taken every %s and kept for %s: at times "
		    "there is none.",
		    duration_format(v->app_interval_ns, interval),
		    duration_format(v->facts.retention_s * NSEC_PER_SEC, retention));
	if (v->facts.application[0] && v->disk_count)
		add(list, "warning", application_remedy(v),
		    "The last application-consistent recovery point is only crash-consistent: %s.",
		    v->facts.application);
}

json_t *status_problems(const struct status_view *v)
{
	json_t *list = json_array();
	bool explained;

	store_problem(v, list);
	machine_problems(v, list);
	module_problems(v, list);
	explained = sealing_problem(v, list);
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
