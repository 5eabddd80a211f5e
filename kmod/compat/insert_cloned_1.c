// SPDX-License-Identifier: GPL-2.0
/* 5.18: blk_insert_cloned_request() lost the queue */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

void probe(struct request *rq);

void probe(struct request *rq)
{
	blk_insert_cloned_request(rq);
}
