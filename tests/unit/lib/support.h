/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library's unit tests share. For the test programs of this folder, main thread only.
 */
#ifndef MOBILITY_TEST_SUPPORT_H
#define MOBILITY_TEST_SUPPORT_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/cleanup.h"
#include "lib/err.h"
#include "tests/unit/run_tcase.h"

/* A new folder under $TMPDIR, removed with everything in it when the process that made it ends. */
const char *temp_dir(void);
/* temp_dir()/name in a static buffer that the sixteenth call after this one reuses. */
const char *temp_path(const char *name);
void write_text(const char *path, const char *text);

/* Repeatable noise: neither zero nor compressible. */
void fill_noise(void *buf, size_t len, uint64_t seed);
/* Like the blocks of a usual disk: compresses to about a third. */
void fill_text(void *buf, size_t len, uint64_t seed);

/* The exit status of a command, -1 when it did not end by itself. */
int run_command(const char *const argv[]);

#define assert_code(got, want, e)                                                                  \
	do {                                                                                       \
		int code_ = (got);                                                                 \
		ck_assert_msg(code_ == (want), "%s is %d, not %d: %s", #got, code_, (int)(want),   \
			      (e)->text);                                                          \
	} while (0)
#define assert_ok(got, e) assert_code(got, 0, e)
#define assert_says(e, part)                                                                       \
	ck_assert_msg(strstr((e)->text, part), "\"%s\" does not say \"%s\"", (e)->text, part)

#endif
