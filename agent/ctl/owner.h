/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MOBILITY_CTL_OWNER_H
#define MOBILITY_CTL_OWNER_H

#include <stdbool.h>

struct ctl;
struct watched;

/*
 * Is the disk protected by the agent, which then needs the attachment? Unknown counts as yes, and an agent
 * that does not run comes back.
 */
bool owner_is_agent(const struct ctl *c, const struct watched *w);

#endif
