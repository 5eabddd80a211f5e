// SPDX-License-Identifier: GPL-2.0
/* 5.17: blk_execute_rq() takes the request and at_head only */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>

void probe(struct request *rq);

void probe(struct request *rq)
{
	blk_execute_rq(rq, false);
}
