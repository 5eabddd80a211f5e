/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filesystems of a snapshot set: which there are, their freeze (by a thread of its own, since
 * the kernel may keep it for long) and their thaw. All functions are for the main thread. From
 * freezer_sync or freezer_freeze until freezer_busy() is false the thread has the list.
 */
#ifndef VSS_SHIM_FREEZER_H
#define VSS_SHIM_FREEZER_H

#include <pthread.h>
#include <stdbool.h>

#include "vss-shim/ledger.h"
#include "vss-shim/mounts.h"
#include "vss-shim/protocol.h"

enum fs_result { FS_RESULT_OK, FS_RESULT_SKIPPED, FS_RESULT_FAILED };

struct frozen_fs {
	char *point, *type;
	dev_t dev;
	int fd;
	enum fs_result result;
	char text[320]; /* why it was skipped, or failed */
	uint64_t frozen_ns, freeze_us, held_us;
	_Atomic bool thawing; /* somebody thaws it: the thread or the main thread, not both */
};

struct freezer {
	const struct fs_ops *ops;
	struct ledger *ledger;
	struct frozen_fs
		fs[LEDGER_FS_MAX]; /* in the order of the freeze: last mounted, first frozen */
	size_t count;
	pthread_t thread;
	bool started; /* the thread is to be joined */
	int done; /* eventfd: the thread has ended; -1: none */
	_Atomic bool cancel, ended;
};

int freezer_init(struct freezer *f, const struct fs_ops *ops, struct ledger *l, struct err *e);
/* The filesystems that this order is about, each opened; replaces what was there. */
int freezer_select(struct freezer *f, const struct order *o, struct err *e);
/* The same from a list of mounts. */
int freezer_take(struct freezer *f, const struct mounts *m, const struct order *o, struct err *e);
/* Start the thread: write everything back; or (in the ledger) freeze one after another. */
int freezer_sync(struct freezer *f, struct err *e);
int freezer_freeze(struct freezer *f, struct err *e);
bool freezer_busy(struct freezer *f);
/*
 * Thaw what is frozen, in the order of mounting; if the thread is still at work it thaws what it
 * still freezes itself. What was not frozen until now is failed then.
 */
void freezer_thaw(struct freezer *f);
/* Close the descriptors and forget the list; not while it is busy. */
void freezer_empty(struct freezer *f);
void freezer_destroy(struct freezer *f);

#endif
