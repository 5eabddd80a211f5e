// SPDX-License-Identifier: GPL-2.0
/* 6.3: block_device_operations lost rw_page; present before */
#include <linux/blkdev.h>

bool probe(struct gendisk *gd);

bool probe(struct gendisk *gd)
{
	return gd->fops->rw_page;
}
