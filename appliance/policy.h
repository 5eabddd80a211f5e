/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which recovery points are kept, and the thread that applies it: points expire, journals that no kept point needs are folded, leftovers go.
 */
#ifndef APPLIANCE_POLICY_H
#define APPLIANCE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/request.h"

/*
 * Pure. points: of one machine, newest first; drop[i] says whether point i expires at time now (ours): the newest never does; older than the retention all
 * do; younger than all_points_for none does; in between, the named ones stay, and of the others the first in each interval. A point is taken to be no older than
 * those before it, and no younger than those after it when its time is in the future, whatever the clock was when they came.
 */
void policy_thin(const struct config *c, const struct point_row *points, size_t n, uint64_t now,
		 bool *drop);

/*
 * Pure. Of n journals, oldest first, that are to be folded: how many are in the base after the next step, when `done` are. A step has at least one
 * journal, and about 1 GiB or 4 million segments of them; fewer where the store has not the space.
 */
size_t policy_step(const struct journal_row *journals, size_t n, size_t done);

/*
 * The time that ages are told by: the clock of the machine, but never ahead of it, and at most twice as fast as time passes. So a clock that
 * jumps forward takes no point away that would have stayed. Once it has gone on steadily for the retention, all points that are older than the jump
 * have had their time, and it is followed. Pure.
 */
uint64_t policy_clock(struct policy_clock *c, uint64_t realtime_ns, uint64_t boottime_ns,
		      uint64_t retention_ns);

/* One round for all machines: in the thread, and at start. stop: see fold.h. Failures are logged; the next round tries again. */
void policy_round(struct appliance *app, bool (*stop)(void *arg), void *arg);

/* Compute digests in advance for about so long: a part of the work where there is more; the next call goes on. In fill.c. */
void policy_fill(struct appliance *app, uint64_t for_ns, bool (*stop)(void *arg), void *arg);

/*
 * Parts of a round, in forget.c: forget the machine's disks that are no longer protected and that no point names; remove what forgotten disks and removed
 * machines left in the store; let go of machines that were removed.
 */
void policy_forget_disks(struct appliance *app, const char *machine);
void policy_remove_data(struct appliance *app, bool (*stop)(void *arg), void *arg);
void policy_release_removed(struct appliance *app);

/*
 * At start, before anybody is served: make folds whole that a crash cut, remove journals that were never committed. -EUCLEAN, and nothing is changed, where the
 * store is not the one that the catalog is of. In recover.c.
 */
int policy_recover(struct appliance *app, struct err *e);

/* The thread that does rounds, and renews the server's certificate, every policy_interval. In keeper.c. */
struct keeper;
int keeper_start(struct appliance *app, struct keeper **out, struct err *e);
void keeper_stop(struct keeper *k); /* NULL is fine; waits for the end of a batch */

#endif
