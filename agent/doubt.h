/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery points that a mismatch (verify.h) puts in doubt. What differs is sent again, and later points are right; those since the disk was last
 * proven equal may not be, and whoever recovers must know. So the appliance is told before anything is sent again: an agent that is killed in between
 * finds the mismatch once more. What lies where something was left out (left_out.h) may differ by design, and puts nothing in doubt. The session's thread.
 */
#ifndef MOBILITY_AGENT_DOUBT_H
#define MOBILITY_AGENT_DOUBT_H

#include "lib/err.h"

struct disk;
struct session;

/* Tell the appliance of the disk's mismatches that it was not told of yet. Errors as of uplink_until, but an appliance that cannot note it is none. */
int doubt_tell(struct session *s, struct disk *d, struct err *e);

#endif
