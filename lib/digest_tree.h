/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of digests over a disk that agent and appliance compare (docs/protocol.md, Digests). Leaves are the blocks of 64 KiB; a node
 * of 1 MiB has 16 of them, a node of 64 MiB has 64 nodes of 1 MiB; the last node of a disk has those that there are. Pure functions for any thread.
 */
#ifndef MOBILITY_DIGEST_TREE_H
#define MOBILITY_DIGEST_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/mobility/wire.h"
#include "lib/digest.h"

#define TREE_LEAF ((uint64_t)WIRE_BLOCK)
#define TREE_NODE (1ull << 20)
#define TREE_TOP (64ull << 20)

/* Is there a level of nodes of so many bytes? */
bool digest_tree_level(uint64_t bytes);
/* The level below; TREE_LEAF has none. */
uint64_t digest_tree_below(uint64_t level);

/*
 * The digest of a node from those of its count children, in order: SHA-256 of all of them; all zero bytes when every child's is, all 0xff (damaged) when
 * any child's is.
 */
void digest_tree_node(const uint8_t *children, size_t count, uint8_t out[DIGEST_BYTES]);
bool digest_is_damaged(const uint8_t digest[DIGEST_BYTES]);

#endif
