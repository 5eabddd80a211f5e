// SPDX-License-Identifier: GPL-2.0
/* 5.18: bio_clear_polled() is for drivers, too */
#include <linux/bio.h>

void probe(struct bio *bio);

void probe(struct bio *bio)
{
	bio_clear_polled(bio);
}
