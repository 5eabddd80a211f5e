/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the shim share: a scratch folder, writers in it, and filesystems that are frozen
 * in a table alone. No test ever freezes a filesystem of the machine.
 */
#ifndef VSS_SHIM_TEST_SUPPORT_H
#define VSS_SHIM_TEST_SUPPORT_H

#include <stdatomic.h>

#include "tests/unit/lib/support.h"
#include "vss-shim/set.h"

/* Empties the folder and the table, for each test. */
void shim_setup(void);

/* A file below temp_dir() with this content and mode. */
void put(const char *name, mode_t mode, const char *content);
/* Settings whose folders are all below it: writers.d, local.d, hooks.d; filesystems off. */
void test_settings(struct settings *s);
void test_settings_clear(struct settings *s);
/* The lines that writers appended to its log, as one string. */
const char *read_log(void);
/* A writer that logs its phases and answers as the shell commands say, by phase: "freeze) sleep 9 ;;" */
void put_writer(const char *name, const char *cases);

/* The table, shared with forked processes. */
struct fake {
	_Atomic int syncs, freezes, thaws, held;
	_Atomic int answer; /* of freeze: 0 or a negative errno */
	_Atomic int thaw_answer, thaw_tries; /* the same of thaw, while something is held */
	_Atomic int freeze_ms; /* how long a freeze takes */
};
extern struct fake *fake;
extern const struct fs_ops fake_ops;

#endif
