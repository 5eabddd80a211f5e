/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The epoch under way, between epoch.c (its course), epoch_boundary.c (its instant) and epoch_commit.c (its end); the session's
 * thread alone.
 */
#ifndef MOBILITY_AGENT_EPOCH_H
#define MOBILITY_AGENT_EPOCH_H

#include "agent/application.h"
#include "agent/session.h"

struct epoch {
	struct session *s;
	struct disk_table *table;
	bool scan; /* the scanned disks are read */
	char attempt[UUID_TEXT_BYTES];
	uint64_t number; /* the appliance's */
	struct boundary *boundary; /* NULL: no tracked disk */
	struct boundary_info info;
	uint64_t drain_ns; /* how long the draining took */
	char fuzzy[512]; /* why it is not the image of an instant; "" if it is */
	enum loss loss; /* of fuzzy */
	bool between; /* a protected disk is scanned, but not now: nobody expects a point of it */
	struct bookmark *bookmark; /* NULL: none */
	const char *bookmark_name;
	struct application app;
};

/* Note why the epoch is no image of an instant; the first reason stays. */
void epoch_fuzzy(struct epoch *ep, enum loss loss, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* What the commit says of a disk, and what becomes of it then. */
enum disk_state epoch_state_after(const struct disk *d);
bool epoch_all_protected(const struct epoch *ep);
bool epoch_tracks(const struct epoch *ep); /* is a tracked disk in it? */

/* Take the boundary, with applications held if that is wanted, and wait until every write before it has completed. */
int epoch_boundary(struct epoch *ep, struct err *e);

/* The bookmark goes with a later epoch, but not soon if applications were held for it. */
void epoch_retry_bookmark(struct epoch *ep, const char *why);
/*
 * Commit on the appliance, then in the module; updates disks, facts, state and answers the
 * bookmark.
 */
int epoch_commit(struct epoch *ep, struct err *e);

#endif
