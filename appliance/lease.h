/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding a machine's recovery points still while a command reads them: nothing of it expires and nothing is folded meanwhile. A lease runs out by itself
 * when its process dies. One thread.
 */
#ifndef APPLIANCE_LEASE_H
#define APPLIANCE_LEASE_H

#include "appliance/home.h"
#include "lib/clock.h"

/*
 * How long one lasts from when it was last extended. By the monotonic clock, which is the same for all processes and does not jump: one that lasts
 * longer from now was taken before the machine was restarted.
 */
#define LEASE_NS (120 * NSEC_PER_SEC)

struct lease {
	struct home *home;
	uint64_t id; /* 0: none */
	uint64_t extended; /* monotonic ns */
};

/* Take it, and wait until a fold that is writing has paused (seconds); -EBUSY when that takes too long. */
int lease_take(struct home *h, const char *machine, struct lease *l, struct err *e);
/* Call at least once a minute, and once before success is reported. -ENOENT: it ran out; what was read since is worth nothing. */
int lease_keep(struct lease *l, bool now, struct err *e);
void lease_drop(struct lease *l);

#endif
