/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: accepts connections of mobilityctl, a thread for each, at most CONTROL_MAX.
 * control_open, _accept and _close are for the main thread.
 */
#ifndef MOBILITY_AGENT_CONTROL_H
#define MOBILITY_AGENT_CONTROL_H

#include "agent/agent.h"

#define CONTROL_MAX 32

struct control;
/* Creates the folder and the socket (0600), in place of what an earlier agent left. */
int control_open(struct agent *a, struct control **out, struct err *e);
int control_fd(const struct control *c); /* POLLIN: call control_accept */
void control_accept(struct control *c);
/* Waits until the last connection has ended; agent_stop was called before. */
void control_close(struct control *c);

#endif
