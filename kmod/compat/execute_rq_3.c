// SPDX-License-Identifier: GPL-2.0
/* 5.12: blk_execute_rq() lost the queue, kept the disk */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

void probe(struct gendisk *gd, struct request *rq);

void probe(struct gendisk *gd, struct request *rq)
{
	blk_execute_rq(gd, rq, 0);
}
