/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim tells, as JSON (vss-shim(8)). For the main thread; the caller owns the result, which
 * is NULL when there is no memory.
 */
#ifndef VSS_SHIM_REPORT_H
#define VSS_SHIM_REPORT_H

#include <jansson.h>

#include "vss-shim/set.h"

/* How the set went so far. */
json_t *report_set(struct set *set);

/* How each writer did in the last set that had it. */
struct history;
struct history *history_new(void);
void history_free(struct history *h);
void history_keep(struct history *h, const struct set *set);
/* All writers as set_identify found them, with their last result. */
json_t *report_writers(const struct set *set, const struct history *h);

#endif
