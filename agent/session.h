/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session: the one thread that decides. It attaches disks, agrees with the appliance where
 * each stands, takes boundaries, lets the workers drain, and commits. All functions but
 * session_main are for that thread alone (session*.c, epoch*.c).
 */
#ifndef MOBILITY_AGENT_SESSION_H
#define MOBILITY_AGENT_SESSION_H

#include "agent/agent.h"
#include "agent/backoff.h"
#include "agent/drain.h"
#include "agent/finder.h"
#include "agent/uplink.h"

struct session {
	struct agent *a;
	struct drain_pool *pool;
	struct uplink uplink;
	char boot_id[STATE_TEXT];
	char module_id[STATE_HEX_ID];
	uint64_t generation; /* of the store, as it was applied */
	bool synced; /* where every disk stands is agreed with the appliance */
	bool epoch_failed; /* the last one did */
	bool older; /* the appliance is behind what it had committed when it was last asked */
	bool left_so; /* and: its last epoch is the last one committed here */
	struct finder *finder; /* NULL: nothing was looked for yet */
	struct backoff backoff;
	/* monotonic times, 0: never */
	uint64_t boundary_ns, kmod_looked_ns, cert_look_ns;
	uint64_t application_ns; /* the last application-consistent epoch tried, or our start */
};

/* arg: struct agent. Returns NULL when agent_stop was called. */
void *session_main(void *arg);

void session_beat(void *s); /* shows that the session lives */
/* fn(arg) in a thread of its own, while the session shows that it lives: for what may take minutes, like a sync. */
void session_aside(struct session *s, void *(*fn)(void *arg), void *arg);
/*
 * session_beat, while the workers drain or the appliance lets us wait, which may take longer than a
 * certificate lives: renews it when it is time. Not where an application waits for a boundary, for it may talk to the appliance.
 */
void session_drain_beat(void *s);
/* What a source tells; while a scan's filesystem is asked, which may not answer, the status shows it. */
int session_ask(struct session *s, struct disk *d, struct source_status *out, struct err *e);
/*
 * session_local.c: create, find, attach and drop disks as the state wants it; heeds what happened
 * to them.
 */
int session_local(struct session *s, struct err *e);
/* session_record.c. Ask for a resync of d from 0, remembered until the appliance knows. Nothing is asked where that fails. */
int session_request_resync(struct session *s, struct disk *d, const char *cause, struct err *e);
/*
 * What becomes of a request for a resync that the state may hold (an operator's may come at any
 * time).
 */
enum record { RECORD_KEEP, RECORD_REQUEST, RECORD_CLEAR };
/*
 * Remember the attachment and the cause from which replication of d goes on. Writes only what
 * changed.
 */
int session_record(struct session *s, struct disk *d, enum record what, struct err *e);
/*
 * The same where replication goes on without: what is recorded words a later cause and helps to find the
 * disk, and a request that is not cleared means a resync more.
 */
void session_remember(struct session *s, struct disk *d, enum record what);

/*
 * session_window.c: which resyncs wait for the window; begins those that were scheduled when it opens (synced is false
 * then).
 */
int session_heed_window(struct session *s, const struct state *st, struct err *e);
/* An epoch ended with r: keeps for the status what became of the resyncs in it. */
void session_resync_outcome(struct session *s, int r, const struct err *e);

/* session_sync.c: register, unregister, and decide for each disk where it goes on. */
int session_sync(struct session *s, const struct state *st, struct err *e);

/*
 * epoch.c: one epoch from open to commit. scan: read the scanned disks too. 0: committed.
 * -ECANCELED, -ESTALE (lost; nothing is missing, begin another), or another error of api.h; the
 * session syncs before it goes on.
 */
int epoch_run(struct session *s, bool scan, struct err *e);

#endif
