/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vss-shim run: freeze, run a command, thaw, without the daemon. Main thread.
 */
#ifndef VSS_SHIM_COMMAND_H
#define VSS_SHIM_COMMAND_H

#include <stdbool.h>

#include "vss-shim/settings.h"

enum { /* exit statuses of our own; any other is the command's */
       EXIT_BAD_USAGE = 122,
       EXIT_NOT_CONSISTENT = 123,
       EXIT_WINDOW_OVER = 124,
       EXIT_FAILED = 125,
       EXIT_CANNOT_RUN = 127,
};

struct command {
	char **argv; /* ends with NULL */
	uint64_t window_ns; /* 0: as configured */
	bool anyway; /* run it also when something could not be frozen */
	bool json; /* print the report */
};

int command_run(const struct settings *s, const struct command *c, int signals);

#endif
