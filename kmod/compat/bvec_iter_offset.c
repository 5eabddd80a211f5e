// SPDX-License-Identifier: GPL-2.0
/* 7.3: bi_bvec_done of struct bvec_iter became bi_offset */
#include <linux/bvec.h>

unsigned int probe(const struct bvec_iter *iter);

unsigned int probe(const struct bvec_iter *iter)
{
	return iter->bi_offset;
}
