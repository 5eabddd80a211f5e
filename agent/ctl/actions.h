/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of mobilityctl. Each returns the exit status of the program. One thread. */
#ifndef MOBILITY_CTL_ACTIONS_H
#define MOBILITY_CTL_ACTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1, /* also: status has problems to tell */
	CTL_USAGE = 2,
	CTL_NOT_RUNNING = 3,
	CTL_ONLY_CRASH = 4, /* bookmark --app: there is a point, but a crash-consistent one */
};

struct ctl {
	const char *socket, *state_dir;
	char **args;
	int arg_count;
	const char *fingerprint, *token_file, *source; /* NULL: not given */
	const char *name; /* of a bookmark; NULL: not given */
	bool json, watch, app, now;
	uint64_t timeout_ns;
	uint64_t duration_ns, interval_ns; /* of plan */
	uint64_t retention_ns, bandwidth; /* of plan; bandwidth 0: several are shown */
};

int ctl_enroll(struct ctl *c);
int ctl_protect(struct ctl *c);
int ctl_unprotect(struct ctl *c);
int ctl_status(struct ctl *c);
int ctl_bookmark(struct ctl *c);
int ctl_resync(struct ctl *c);
int ctl_verify(struct ctl *c);
int ctl_pause(struct ctl *c);
int ctl_resume(struct ctl *c);
int ctl_explain(struct ctl *c);
int ctl_plan(struct ctl *c); /* plan.c */
int ctl_writers(struct ctl *c);

#endif
