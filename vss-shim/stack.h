/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which disks a filesystem is on, through partitions, device mapper, md, loop and btrfs (sysfs). Any
 * thread.
 */
#ifndef VSS_SHIM_STACK_H
#define VSS_SHIM_STACK_H

#include <stdbool.h>
#include <stddef.h>

#include "vss-shim/mounts.h"

/* Is part of it on one of these disks? What cannot be told counts as yes. */
bool stack_on(const struct mounted *m, const dev_t *disk, size_t count);

#endif
