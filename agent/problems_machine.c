// SPDX-License-Identifier: Apache-2.0
#include "agent/problems.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"

#define SILENCE_NS (30 * NSEC_PER_SEC)
#define SHIM_NS (60 * NSEC_PER_SEC) /* applications may take a while to be made ready */

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
	problem_add(
		list, "error", remedy,
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
		problem_add(
			list, "error", store_remedy(v->store.code),
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
		problem_add(list, "error",
			    "Enrol this machine again with a fresh token: mobilityctl enroll.",
			    "The certificate of this machine has expired.");
		return;
	}
	if (expiry)
		clock_format_utc(expiry, when);
	near = !expiry || expiry - v->now_ns < (expiry - v->cert_begin_ns) / 4;
	/* While there is time an appliance that is away is problem enough. */
	if (v->renewal.code && (near || !v->link.error[0]))
		problem_add(
			list, near ? "error" : "warning",
			"Remove that cause, the agent tries again at least hourly; once it has expired this "
			"machine must be enrolled again, and its disks begin anew.",
			"The certificate of this machine, which expires at %s, could not be renewed: %s.",
			when, v->renewal.text);
}

static void machine_problems(const struct status_view *v, json_t *list)
{
	if (!v->enrolled) {
		problem_add(
			list, "error",
			"Get a token on the appliance (mobility-appliance token), then: mobilityctl enroll "
			"HOST --fingerprint sha256:… --token-file FILE.",
			"This machine is not enrolled with an appliance.");
		return;
	}
	if (v->link.error[0] && v->link.code == -ENOKEY)
		key_problem(v, list);
	else if (v->link.error[0])
		problem_add(list, "error", link_remedy(v->link.code), "%s.", v->link.error);
	if (v->paused)
		problem_add(list, "warning", "mobilityctl resume", "Replication is paused.");
	if (!v->disk_count)
		problem_add(list, "error", "mobilityctl protect DISK", "No disk is protected.");
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
		problem_add(
			list, "warning",
			"Load it (modprobe mobility), or build it for this kernel first (make kmod kmod-install); "
			"until then disks are scanned, which is slower and makes recovery points only of disks "
			"that are quiet.",
			"The kernel module does not work: %s.", v->kmod.reason);
	else if (v->kmod.mode == KMOD_TRACK_ONLY)
		problem_add(list, "warning", track_only_remedy(v->kmod.reason),
			    "The kernel module tracks only: %s.", v->kmod.reason);
}

void problems_of_machine(const struct status_view *v, json_t *list)
{
	store_problem(v, list);
	machine_problems(v, list);
	module_problems(v, list);
}

static bool disk_waited_for(const struct status_view *v, json_t *list)
{
	char remedy[3 * STATE_TEXT], since[32];

	if (v->waiting.what != WAIT_DISK || v->waiting_ns < SILENCE_NS)
		return false;
	snprintf(
		remedy, sizeof(remedy),
		"Look at the kernel's log, and after the filesystem that it is on (a server of a network filesystem that is "
		"away); nothing is lost, and replication goes on by itself when it answers. To go on without it: "
		"mobilityctl unprotect %s, then restart mobilityd.",
		v->waiting.name);
	problem_add(list, "error", remedy,
		    "%s has not answered for %s: no disk is replicated meanwhile.", v->waiting.name,
		    duration_format(v->waiting_ns, since));
	return true;
}

static bool shim_waited_for(const struct status_view *v, json_t *list)
{
	const char *what = waiting_for_shim(&v->waiting);
	char since[32];

	if (!what[0] || v->waiting_ns < SHIM_NS)
		return false;
	problem_add(
		list, "warning",
		"mobilityctl writers tells which application is slow; if vss-shim does not answer: systemctl restart "
		"vss-shim. The point becomes a crash-consistent one then, and replication goes on.",
		"Replication has waited %s for %s.", duration_format(v->waiting_ns, since), what);
	return true;
}

bool problems_of_session(const struct status_view *v, json_t *list)
{
	char since[32];

	if (!v->enrolled)
		return false;
	if (disk_waited_for(v, list) || shim_waited_for(v, list))
		return true;
	/* A request to an appliance that is away takes its time, and that is told. */
	if (v->hangs || (v->silent_ns >= SILENCE_NS && !v->link.error[0])) {
		problem_add(
			list, "error",
			"Look at the log of mobilityd and at the kernel's for what does not answer; if it persists restart "
			"mobilityd. Nothing is lost.",
			"Replication has stood still for %s.",
			duration_format(v->silent_ns, since));
		return true;
	}
	if (v->paused || !v->disk_count || v->unheard_ns < SILENCE_NS || v->link.error[0])
		return false;
	problem_add(list, "error",
		    "Look at the log of mobilityd for why; the agent goes on trying.",
		    "The appliance has not been reached since the start, %s ago.",
		    duration_format(v->unheard_ns, since));
	return true;
}
