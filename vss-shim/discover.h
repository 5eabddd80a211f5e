/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which writers there are: the two folders, and the hooks of other products. Main thread.
 */
#ifndef VSS_SHIM_DISCOVER_H
#define VSS_SHIM_DISCOVER_H

#include "vss-shim/writer.h"

#define WRITERS_MAX 64

/*
 * Fills list with the writers in the order of their names, each with result READY, or DISABLED or
 * REFUSED with the reason. -E2BIG: more than WRITERS_MAX; -ENOMEM. writer_clear them.
 */
int discover(const struct settings *s, struct writer list[WRITERS_MAX], size_t *count,
	     struct err *e);
/* Is it NN-name? */
bool discover_name_ok(const char *name);

#endif
