/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot set of vss-shim(8), as its requester. One thread at a time for a struct shim. Calls
 * sleep at most as long as the shim's own deadlines, and call beat in between; *cancel cuts them
 * short. Closing the connection, in any state, lets go of everything.
 */
#ifndef MOBILITY_AGENT_SHIM_H
#define MOBILITY_AGENT_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/json.h"

struct shim;

/* disks: "MAJOR:MINOR,…", the disks whose filesystems are to be frozen. */
int shim_open(const char *socket, struct shim **out, struct err *e);
void shim_close(struct shim *s); /* NULL is fine */
void shim_attend(struct shim *s, void (*beat)(void *arg), void *arg, const volatile bool *cancel);

/* Slow, nothing is held. */
int shim_prepare(struct shim *s, const char *disks, struct err *e);
/* When it returns 0 everything is held that could be, until shim_thaw. */
int shim_freeze(struct shim *s, struct err *e);
/* Does not wait. */
int shim_thaw(struct shim *s, struct err *e);
/* After shim_thaw: the report of how it went, the caller's. NULL: an error. */
json_t *shim_report(struct shim *s, struct err *e);

/* Control thread: {"writers": […]} of vss-shim(8), the caller's. NULL: an error. */
json_t *shim_writers(const char *socket, const volatile bool *cancel, struct err *e);

#endif
