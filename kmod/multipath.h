/* SPDX-License-Identifier: GPL-2.0 */
/*
 * NVMe namespaces with several paths: users have the head (nvme0n2), and each path to it is a
 * hidden disk of its own (nvme0c1n2), which the driver sends the head's bios to. Only the
 * names tell. Any context.
 */
#ifndef MOB_MULTIPATH_H
#define MOB_MULTIPATH_H

#include <linux/types.h>

struct gendisk;

/* @gd has the name of a namespace; those that take bios are heads. */
bool mob_is_namespace(const struct gendisk *gd);
bool mob_is_path_of(const struct gendisk *path, const struct gendisk *head);

#endif
