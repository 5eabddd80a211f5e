/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identify_find() in a thread of its own, for disks of which identify_reads(): it may read every disk
 * of the machine, and one that does not answer would keep whoever waits for it. One search at a time; for the session alone.
 */
#ifndef MOBILITY_AGENT_FINDER_H
#define MOBILITY_AGENT_FINDER_H

#include <limits.h>
#include <stdbool.h>

#include "lib/err.h"

struct finder;

struct finder *finder_new(void); /* NULL: out of memory */
/* A search under way goes on, and frees it. NULL is fine. */
void finder_free(struct finder *f);

/*
 * As identify_find(), but waits no more than a second. -EINPROGRESS: this search, or that for another
 * disk, is still under way: ask again.
 */
int finder_find(struct finder *f, const char *key, const char *hint, bool hint_holds,
		char path[PATH_MAX], struct err *e);

#endif
