/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the session waits for where that may take long, or never come back: so that the status can tell. The session begins and ends
 * it, any thread asks.
 */
#ifndef MOBILITY_AGENT_WAITING_H
#define MOBILITY_AGENT_WAITING_H

#include <stddef.h>
#include <stdint.h>

#include "agent/state.h"

struct agent;

enum waiting_for {
	WAIT_NONE,
	WAIT_DISK, /* it, or the filesystem that it is a file of, is looked at or opened */
	/* vss-shim */
	WAIT_PREPARE,
	WAIT_FREEZE,
	WAIT_REPORT,
};

struct waiting {
	enum waiting_for what;
	uint64_t since_ns; /* monotonic */
	char name[STATE_TEXT]; /* of the disk */
};

/* name: of the disk; NULL: of none */
void waiting_begin(struct agent *a, enum waiting_for what, const char *name);
void waiting_end(struct agent *a);
struct waiting waiting_get(struct agent *a);
/* How long; 0: for nothing. */
uint64_t waiting_ns(const struct waiting *w);
/* vss-shim and what it is to do, as the end of a sentence; "" where something else is waited for. */
const char *waiting_for_shim(const struct waiting *w);

#endif
