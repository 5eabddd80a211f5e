// SPDX-License-Identifier: GPL-2.0
/* 5.18: bio_alloc_bioset() takes the device and the operation */
#include <linux/bio.h>
#include <linux/blkdev.h>

struct bio *probe(struct block_device *bdev, struct bio_set *bs);

struct bio *probe(struct block_device *bdev, struct bio_set *bs)
{
	return bio_alloc_bioset(bdev, 1, REQ_OP_READ, GFP_NOIO, bs);
}
