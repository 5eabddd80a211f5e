// SPDX-License-Identifier: GPL-2.0
/* 5.15: a polled bio may come from a CPU's cache, BIO_PERCPU_CACHE (6.2: REQ_ALLOC_CACHE) */
#include <linux/blk_types.h>

unsigned int probe(void);

unsigned int probe(void)
{
	return BIO_PERCPU_CACHE;
}
