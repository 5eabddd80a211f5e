// SPDX-License-Identifier: Apache-2.0
#include "lib/digest_tree.h"

#include <string.h>

bool digest_tree_level(uint64_t bytes)
{
	return bytes == TREE_LEAF || bytes == TREE_NODE || bytes == TREE_TOP;
}

uint64_t digest_tree_below(uint64_t level)
{
	return level == TREE_TOP ? TREE_NODE : TREE_LEAF;
}

bool digest_is_damaged(const uint8_t digest[DIGEST_BYTES])
{
	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		if (digest[i] != 0xff)
			return false;
	}
	return true;
}

void digest_tree_node(const uint8_t *children, size_t count, uint8_t out[DIGEST_BYTES])
{
	for (size_t i = 0; i < count; i++) {
		if (digest_is_damaged(children + i * DIGEST_BYTES)) {
			memset(out, 0xff, DIGEST_BYTES);
			return;
		}
	}
	if (mem_is_zero(children, count * DIGEST_BYTES))
		memset(out, 0, DIGEST_BYTES);
	else
		digest_sha256(children, count * DIGEST_BYTES, out);
}
