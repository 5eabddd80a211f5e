// SPDX-License-Identifier: GPL-2.0
/* 5.12: struct bio has bi_bdev instead of bi_disk and bi_partno */
#include <linux/bio.h>
#include <linux/blkdev.h>

struct gendisk *probe(struct bio *bio);

struct gendisk *probe(struct bio *bio)
{
	return bio->bi_bdev->bd_disk;
}
