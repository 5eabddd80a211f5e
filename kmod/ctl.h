/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The control device and the descriptors made from it. Process context.
 */
#ifndef MOB_CTL_H
#define MOB_CTL_H

#include <linux/types.h>

struct file;
struct mob_disk;

int mob_ctl_init(void);
void mob_ctl_exit(void);

/* A new disk file or ERR_PTR; takes its own reference. */
struct file *mob_diskfd_open(struct mob_disk *disk);

/* A new epoch file or ERR_PTR. Closing it abandons the epoch that was put in it. */
struct file *mob_epochfd_open(void);
void mob_epochfd_set(struct file *file, u64 epoch, unsigned int disks);

#endif
