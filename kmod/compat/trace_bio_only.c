// SPDX-License-Identifier: GPL-2.0
/* 5.11: the tracepoints block_bio_queue and block_bio_remap lost the queue */
#include <linux/blkdev.h>
#include <trace/events/block.h>

void probe_register(void);

static void probe(void *data, struct bio *bio)
{
}

void probe_register(void)
{
	check_trace_callback_type_block_bio_queue(probe);
}
