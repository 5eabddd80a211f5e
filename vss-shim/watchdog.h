/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog: a process of its own for each snapshot set, locked in memory, which thaws every
 * filesystem of the ledger, and then kills the writers that still hold something, when the deadline
 * has passed or the shim has died. After its start it allocates nothing and logs nothing. Functions
 * are for the shim's main thread.
 */
#ifndef VSS_SHIM_WATCHDOG_H
#define VSS_SHIM_WATCHDOG_H

#include <stdbool.h>

#include "vss-shim/ledger.h"

struct watchdog {
	pid_t pid; /* 0: none */
	int channel; /* end of file: it has died */
	struct ledger *ledger;
};

/* Returns when it is ready. must_lock: memory that cannot be locked is an error. */
int watchdog_start(struct watchdog *w, struct ledger *l, const struct fs_ops *ops, bool must_lock,
		   struct err *e);
/* Hand over descriptors of the filesystems, in the order of the ledger; returns when it has them. */
int watchdog_give(struct watchdog *w, const int *fd, int count, struct err *e);
/* Set the deadline. */
int watchdog_arm(struct watchdog *w, uint64_t deadline_ns, struct err *e);
/* The set is over: end it; where something is still frozen it goes on until that is thawed. */
void watchdog_stop(struct watchdog *w);
/* Is it one that goes on so? */
bool watchdog_left(pid_t pid);

#endif
