/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tracked disk takes the larger capacity that its device has now, while writes go on.
 * Process context; sleeps.
 */
#ifndef MOB_GROW_H
#define MOB_GROW_H

#include <linux/types.h>

struct mob_disk;

/* The errors of MOB_DISK_IOC_GROW in uapi.h. *size: what is tracked now, in bytes. */
int mob_disk_grow(struct mob_disk *disk, u64 *size);

#endif
