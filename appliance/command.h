/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of mobility-appliance. Each runs in the main thread with the arguments after its name and returns the exit status: 0 done, 1 failed (said on
 * stderr) or damage found, 2 wrong usage.
 */
#ifndef APPLIANCE_COMMAND_H
#define APPLIANCE_COMMAND_H

#include <stdbool.h>

#include "appliance/home.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int command_init(const char *dir, int argc, char **argv);
int command_serve(const char *dir, int argc, char **argv);
int command_token(const char *dir, int argc, char **argv);
int command_machines(const char *dir, int argc, char **argv);
int command_disks(const char *dir, int argc, char **argv);
int command_points(const char *dir, int argc, char **argv);
int command_export(const char *dir, int argc, char **argv);
int command_verify(const char *dir, int argc, char **argv);
int command_remove(const char *dir, int argc, char **argv);

/* Say "mobility-appliance: text" on stderr; returns status. */
int command_error(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int command_failed(const struct err *e); /* the same for e, EXIT_FAILED */

/* Is --json among the arguments? It is taken out of them. */
bool command_json(int *argc, char **argv);

/* The machine with this id or host name; -ENOENT, -EEXIST several have the name. */
int command_find_machine(struct home *h, const char *name, struct machine_row *m, struct err *e);
/* The machine's point: "latest", its id, or a bookmark's name (the newest with it), the first of these that there is. */
int command_find_point(struct home *h, const struct machine_row *m, const char *name,
		       struct point_row *p, struct err *e);
/* Say on stdout which point was found: "WHAT recovery point ID of HOST, TIME, named NAME". */
void command_say_point(const char *what, const struct machine_row *m, const struct point_row *p);

#endif
