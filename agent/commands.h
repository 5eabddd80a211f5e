/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mobilityd does for each command of request.h. Called on a control connection's thread,
 * which is registered with RCU; may sleep (enroll and bookmark for long).
 */
#ifndef MOBILITY_AGENT_COMMANDS_H
#define MOBILITY_AGENT_COMMANDS_H

#include <jansson.h>

#include "agent/agent.h"
#include "agent/request.h"

/* The answer without "ok"; NULL and *e on failure. The caller owns it. */
json_t *command_run(struct agent *a, const struct request *q, struct err *e);

#endif
