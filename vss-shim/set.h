/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot set, step by step: prepare → freeze → (the boundary is the caller's) → thaw → post. For
 * the main thread, one set at a time. Each step returns when it is over and has its own deadline; a
 * step that was skipped, or a set that is given up, is undone by set_end. While something is frozen
 * nothing is logged and nothing is written to files.
 */
#ifndef VSS_SHIM_SET_H
#define VSS_SHIM_SET_H

#include "vss-shim/discover.h"
#include "vss-shim/freezer.h"
#include "vss-shim/pump.h"
#include "vss-shim/watchdog.h"

struct set {
	const struct settings *s;
	const struct fs_ops *ops;
	char id[UUID_TEXT_BYTES];
	struct order order;
	uint64_t window_ns;
	struct writer writer[WRITERS_MAX];
	size_t count;
	struct pump pump;
	struct ledger *ledger;
	struct watchdog watchdog;
	struct freezer freezer;
	bool ready; /* what set_end has to undo exists */
	bool frozen, thawed;
	uint64_t began_ns, until_ns; /* the window */
	uint64_t window_us; /* how long it was */
	char reason[512]; /* why it is not application-consistent; "" as long as it is */
};

/* ledger: path, NULL for a set without a daemon. lines: what the requester said. */
int set_begin(struct set *set, const struct settings *s, const struct fs_ops *ops,
	      const char *ledger, const struct order *o, struct err *e);
/* Whom to heed besides; any may be -1. */
void set_attend(struct set *set, int requester, struct lines *from, int signals);
/* 0, or a negative errno: the set must be given up. What merely fails goes into reason. */
int set_identify(struct set *set, struct err *e);
int set_prepare(struct set *set, struct err *e);
int set_freeze(struct set *set, struct err *e);
void set_thaw(struct set *set);
void set_post(struct set *set);
/* In any state: let go of everything, and wait for its end. */
void set_end(struct set *set);

/* The first reason stays. */
void set_reason(struct set *set, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool set_given_up(const struct set *set);

#endif
