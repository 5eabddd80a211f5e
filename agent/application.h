/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The application-consistent epoch: what is done around its boundary, and what its commit may say.
 * None of these fails the epoch: what goes wrong makes it a crash-consistent one, with the reason.
 * The session's thread alone.
 */
#ifndef MOBILITY_AGENT_APPLICATION_H
#define MOBILITY_AGENT_APPLICATION_H

#include "agent/shim.h"

struct epoch;
struct session;

struct application {
	bool wanted, scheduled;
	bool tried; /* applications were asked to hold still */
	char put_off[512]; /* why they were not, and the bookmark is for a later epoch; "" */
	struct shim *shim; /* NULL: nothing is held */
	bool thawed;
	bool consistent; /* known after application_judge */
	char reason[512]; /* why it is not; "" */
	json_t *writers; /* for the commit; NULL: none */
};

/* How long until a scheduled one is due, 0: now, UINT64_MAX: not scheduled, or not before every disk is complete. */
uint64_t application_due(const struct session *s, uint64_t now);

/* Takes part in this epoch if wanted is set: let the shim prepare and freeze. */
void application_freeze(struct epoch *ep);
/* Is something held, so that the boundary may not wait? */
bool application_holds(const struct epoch *ep);
/* The boundary has been taken (taken), or cannot be taken while things are held. */
void application_thaw(struct epoch *ep, bool taken);
/* Before the commit: was everything held until after the boundary? */
void application_judge(struct epoch *ep);
/* After the commit (or without one): let go, and tell people. */
void application_end(struct epoch *ep, bool committed);

#endif
