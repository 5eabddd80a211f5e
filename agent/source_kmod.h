/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between source_kmod.c (disks) and source_kmod_epoch.c (the module and its epochs) alone; the
 * rules of source.h hold.
 */
#ifndef MOBILITY_AGENT_SOURCE_KMOD_H
#define MOBILITY_AGENT_SOURCE_KMOD_H

#include "agent/source.h"

int kmod_fd(const struct kmod *k); /* the control fd, borrowed */

#endif
