// SPDX-License-Identifier: GPL-2.0
/* 5.15: GENHD_FL_UP became the state bit GD_DEAD */
#include <linux/blkdev.h>

bool probe(struct gendisk *gd);

bool probe(struct gendisk *gd)
{
	return test_bit(GD_DEAD, &gd->state);
}
