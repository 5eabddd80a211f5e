/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests of the agent share. Each test runs in a process of its own. */
#ifndef MOBILITY_TEST_AGENT_SUPPORT_H
#define MOBILITY_TEST_AGENT_SUPPORT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/run_tcase.h"

/* A folder of its own for the test, removed at the end of the process. Static storage. */
const char *test_dir(void);
/* dir/name, static storage (four at a time) */
const char *test_path(const char *name);
void test_write(const char *path, const char *text);

struct agent;
/* Its state directory is in test_dir(), the rest of its configuration as set before; this thread is registered with RCU. */
void agent_make(struct agent *a);
void agent_remove(struct agent *a);

#endif
