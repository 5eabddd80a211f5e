/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protected disks that a request names: by name or key as status shows them, or by path. What is
 * at a path now is what is meant by it, not what was there once. Any thread that is registered with
 * RCU. A request that names none (only verify may) means all.
 */
#ifndef MOBILITY_AGENT_CHOSEN_H
#define MOBILITY_AGENT_CHOSEN_H

#include <jansson.h>

#include "agent/agent.h"
#include "agent/request.h"

struct chosen {
	const struct request *q;
	char (*key)[STATE_TEXT]; /* one for each disk of q */
	json_t *answer; /* what they are, also where q names none: name, path and key of each */
};

/*
 * Without the store's lock, since it may read the disks. -ENOENT: one is not protected (any more).
 * -ENOTUNIQ: it may be several. chosen_clear() it, also after a failure.
 */
int chosen_disks(struct agent *a, const struct request *q, struct chosen *c, struct err *e);
void chosen_clear(struct chosen *c);

/* Number i, in the state as it is now; NULL: it is not there any more, e is filled. */
struct state_disk *chosen_disk(struct state *st, const struct chosen *c, size_t i, struct err *e);

/* The disk of the state that this is, under the key that it has or the one of an earlier version; NULL: none. */
struct state_disk *chosen_identity(struct state *st, const struct identity *id);

#endif
