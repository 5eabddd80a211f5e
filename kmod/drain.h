/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Drain descriptors: the dirty bitmap and the content of one disk at the boundary
 * that sealed an epoch. Process context.
 */
#ifndef MOB_DRAIN_H
#define MOB_DRAIN_H

#include <linux/types.h>

struct file;
struct mob_disk;

/* A new drain file, or ERR_PTR. It takes its own reference on the disk. */
struct file *mob_drain_open(struct mob_disk *disk, u64 epoch);

#endif
