/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is frozen and whom to kill, in memory that the shim, its freezing thread, the watchdog and,
 * in a file below /run, the next shim share. It is right at any instant, also for who finds it after
 * the others have died.
 *
 *	member		written by
 *	fs[].state	IDLE → FREEZING → FROZEN or IDLE: the freezing thread; → THAWED: who thawed it,
 *			and not who tried in vain
 *	fs[].dev, point	the shim, before anything is frozen
 *	deadline_ns	the shim; 0: not armed
 *	group[]		the shim: process group of a writer, negative for a hook; 0: none
 *	fired		the watchdog
 */
#ifndef VSS_SHIM_LEDGER_H
#define VSS_SHIM_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

#define LEDGER_FS_MAX 200 /* their descriptors go in one message: at most 253 */
#define LEDGER_GROUPS_MAX 64
#define LEDGER_POINT_BYTES 512

enum fs_state { FS_IDLE, FS_FREEZING, FS_FROZEN, FS_THAWED };

struct ledger_fs {
	_Atomic int state; /* enum fs_state */
	uint64_t dev;
	char point[LEDGER_POINT_BYTES];
};

struct ledger {
	uint64_t magic;
	_Atomic uint64_t deadline_ns; /* monotonic */
	_Atomic int fired;
	_Atomic int count; /* of fs */
	_Atomic int group[LEDGER_GROUPS_MAX];
	struct ledger_fs fs[LEDGER_FS_MAX];
};

/* How a filesystem is frozen and thawed; 0 or a negative errno. Tests have their own. */
struct fs_ops {
	int (*sync)(int fd);
	int (*freeze)(int fd);
	int (*thaw)(int fd);
};

extern const struct fs_ops fs_kernel;

/* After thaw() said r: it is not frozen (any more). Else it may still be, and is to be tried again. */
bool fs_thawed(int r);

/* path NULL: in memory alone. Emptied. Unmap with ledger_close. */
int ledger_open(const char *path, struct ledger **out, struct err *e);
void ledger_close(struct ledger *l);
/*
 * Thaw what a shim left frozen, as the file at path says; the number, or a negative errno. -EBUSY: one
 * cannot be thawed, and stays in the file; the others are.
 */
int ledger_recover(const char *path, const struct fs_ops *ops, struct err *e);

#endif
