/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The digests of a disk as the protocol gives them, of blocks and of nodes, as of the last committed epoch. From what is stored wherever that is possible:
 * the digest of an extent that is exactly the block, the base's, the cache's (digest_cache.h). Only what is in none of these is computed
 * from bytes, and then remembered. For one thread, with the disk's lock held, shared (live.h); sleeps.
 */
#ifndef APPLIANCE_DIGESTS_H
#define APPLIANCE_DIGESTS_H

#include "appliance/digest_cache.h"
#include "appliance/live.h"

struct digests {
	const struct image *image;
	struct reader *reader;
	struct digest_cache *cache;
	uint64_t size, epoch, base_epoch; /* of the disk; the last; of the base */
	struct damage_row *damage; /* what verify found: computed from bytes, whatever is stored */
	int damages;
	uint64_t read_bytes; /* of content, so far */
};

int digests_open(struct home *h, struct live_disk *live, const struct disk_row *d,
		 struct digests *out, struct err *e);
void digests_close(struct digests *d);

/* The digest of the node at offset (a multiple of level) of the level (lib/digest_tree.h). */
int digests_node(struct digests *d, uint64_t offset, uint64_t level, uint8_t out[DIGEST_BYTES],
		 struct err *e);

/* What computing a block's digest costs, where finding out that it is known costs 1. */
#define DIGESTS_COMPUTED 16
/*
 * Compute in advance what a query from *offset on would have to read, until that has cost the budget; *offset is where to go on, the disk's size at
 * the end.
 */
int digests_fill(struct digests *d, uint64_t *offset, unsigned int budget, struct err *e);

#endif
