// SPDX-License-Identifier: GPL-2.0
/* 6.11: blk_queue_dax() became a feature bit of the limits; present before */
#include <linux/blkdev.h>

bool probe(struct gendisk *gd);

bool probe(struct gendisk *gd)
{
	return blk_queue_dax(gd->queue);
}
