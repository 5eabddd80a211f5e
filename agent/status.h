/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `mobilityctl status --json` shows; docs/status.schema.json describes it. Any thread that
 * is registered with RCU; sleeps only for moments.
 */
#ifndef MOBILITY_AGENT_STATUS_H
#define MOBILITY_AGENT_STATUS_H

#include <jansson.h>

#include "agent/agent.h"

#define STATUS_SCHEMA 1

/* Main thread, about once a second: advance the rates. */
void status_tick(struct agent *a);

json_t *status_json(struct agent *a, struct err *e); /* the caller owns it */

/* Everything that status is made of: one consistent copy. (Also for tests of problems.c.) */
struct disk_view {
	char name[STATE_TEXT], path[PATH_MAX], key[STATE_TEXT], id[UUID_TEXT_BYTES];
	bool reachable, tracks;
	enum source_choice choice;
	bool file;
	enum disk_state state;
	uint64_t size, replicated, rate, churn, backlog, granule;
	uint64_t eta_ns; /* UINT64_MAX: not known */
	bool waiting; /* its resync waits for the window */
	bool scheduled; /* the operator wants a resync in the next window */
	uint64_t starts_ns; /* when waiting or scheduled; UINT64_MAX: never by itself */
	bool verifying;
	uint64_t verified, proven_ns,
		mismatched; /* bytes of the pass; 0 never; bytes since the start */
	unsigned int failures; /* of its resync, in a row */
	uint64_t reading_ns; /* for how long no read of it has come back */
	char resync_cause[STATE_TEXT], error[512], remedy[256], failure[512];
};

struct status_view {
	uint64_t now_ns;
	bool enrolled, paused;
	char appliance[STATE_TEXT + 16]; /* its address, as enroll takes it */
	struct link link;
	struct setback setback;
	struct err store; /* why the state file cannot be written; code 0: it can */
	struct facts facts;
	struct kmod_view kmod;
	uint64_t cert_begin_ns, cert_expiry_ns; /* 0: unknown */
	struct err renewal; /* why it could not be renewed; code 0: it could, or it was not time */
	uint64_t app_interval_ns; /* 0: off */
	struct waiting waiting;
	uint64_t waiting_ns; /* how long for that */
	uint64_t silent_ns; /* how long the session has shown no life */
	bool hangs; /* longer than any request may take */
	uint64_t
		unheard_ns; /* how long it could have asked the appliance, and nothing came of that yet */
	uint64_t sealing_ns, in_flight; /* how long a boundary has waited for so many writes */
	struct disk_view *disk;
	size_t disk_count;
};

/* problems.c: what is wrong, each with its remedy: [{"severity", "what", "remedy"}…]. Pure. */
json_t *status_problems(const struct status_view *v);

#endif
