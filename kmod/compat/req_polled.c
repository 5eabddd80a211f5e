// SPDX-License-Identifier: GPL-2.0
/* 5.16: REQ_HIPRI became REQ_POLLED */
#include <linux/blk_types.h>

unsigned int probe(void);

unsigned int probe(void)
{
	return (unsigned int)REQ_POLLED;
}
