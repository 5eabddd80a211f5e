/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The problems that status shows, in the order in which they are told: of problems.c (disks and recovery points) and
 * problems_machine.c (all else) alone. Pure.
 */
#ifndef MOBILITY_AGENT_PROBLEMS_H
#define MOBILITY_AGENT_PROBLEMS_H

#include <jansson.h>

#include "agent/status.h"

void problem_add(json_t *list, const char *severity, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* The state file, the link to the appliance, the certificate, and the kernel module. */
void problems_of_machine(const struct status_view *v, json_t *list);
/* What the session waits for. True: that explains missing points. */
bool problems_of_session(const struct status_view *v, json_t *list);

#endif
