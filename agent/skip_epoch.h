/* SPDX-License-Identifier: Apache-2.0 */
/* What an epoch does with what need not be read (skip.h). For epoch.c and verify.c; the session's thread alone. */
#ifndef MOBILITY_AGENT_SKIP_EPOCH_H
#define MOBILITY_AGENT_SKIP_EPOCH_H

#include "agent/epoch.h"

/*
 * Add what need not be read of [from, to) of d to out. Where that cannot be found out the log says what is done
 * instead: "it is …".
 */
void skip_search(struct session *s, struct disk *d, uint64_t from, uint64_t to,
		 struct skip_set *out, const char *instead);
/*
 * Mark the slice of d in the module, but for what need not be read. Before the boundary: a write to
 * what is left out marks it then.
 */
int skip_mark(struct epoch *ep, struct disk *d, struct err *e);
/* Send what was left out, and was not written until the boundary, as zeros. */
int skip_send(struct epoch *ep, struct disk *d, const struct source_map *map, struct err *e);

#endif
