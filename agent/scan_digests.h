/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a scan remembers of a disk: for each block the digest that the appliance has (as far as
 * SCAN_KNOWN_MAX allows; else, and after anything went wrong, the appliance is asked), and for
 * each chunk what the first reading of this cycle saw, for the second reading to compare with.
 *
 * Several workers may use one object at once on different chunks. scan_digests_forget and
 * scan_digests_begin: only while no worker does.
 */
#ifndef MOBILITY_AGENT_SCAN_DIGESTS_H
#define MOBILITY_AGENT_SCAN_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/mobility/wire.h"
#include "lib/digest.h"

#define SCAN_CHUNK (4u << 20)
/* Bytes of a disk whose blocks are remembered: 8 MiB of memory. */
#define SCAN_KNOWN_MAX (16ull << 30)
/*
 * Of a disk with more chunks than this, 512 GiB, several count as one group: 5 MiB of memory
 * whatever the size.
 */
#define SCAN_GROUPS_MAX 131072u

struct scan_digests;
struct scan_digests *scan_digests_new(
	uint64_t size); /* NULL: out of memory (nothing is remembered then) */
void scan_digests_free(struct scan_digests *s);

/* The digests of the blocks of [offset, offset + length) are all known: copy them to out. */
bool scan_digests_known(const struct scan_digests *s, uint64_t offset, uint64_t length,
			uint8_t *out);
/* The appliance has, or after this epoch's commit will have, this block (zeros: all zero bytes). */
void scan_digests_learn(struct scan_digests *s, uint64_t offset,
			const uint8_t digest[DIGEST_BYTES]);
/* What the appliance has is no longer known. */
void scan_digests_forget(struct scan_digests *s);

/* A cycle begins: no chunk has been read. */
void scan_digests_begin(struct scan_digests *s);
/*
 * The digests (block after block) of the chunk at offset as this reading saw it, `bytes` of
 * digests.
 */
void scan_digests_saw(struct scan_digests *s, uint64_t offset, const uint8_t *digests,
		      size_t bytes);
/*
 * Did this reading, which reads each chunk once, see the same? False also if the first reading did
 * not reach the chunk. Of a group its last chunk tells, the others say true.
 */
bool scan_digests_same(struct scan_digests *s, uint64_t offset, const uint8_t *digests,
		       size_t bytes);

/* The digest of a block as the protocol has it: all zero bytes when the block is wholly zero. */
void scan_block_digest(const void *data, size_t len, uint8_t out[DIGEST_BYTES], bool *zero);

#endif
