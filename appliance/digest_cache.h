/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of blocks that had to be computed from bytes, remembered (docs/store.md, digests.cache): each with the epoch as of which it is right. It
 * vouches for a block only when no newer epoch wrote there, which the caller knows from the map. Entries check themselves: what a
 * crash tore, or what belongs to another block, is a miss. Nothing is lost when the object is.
 *
 * Several threads may get and put at once; what they put for one block and epoch is the same. All but close may sleep.
 */
#ifndef APPLIANCE_DIGEST_CACHE_H
#define APPLIANCE_DIGEST_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/store/store.h"
#include "lib/digest.h"

struct digest_cache;

/* write: make the object if it is not there; else a cache that is not there is an empty one, and nothing is put. */
int digest_cache_open(struct store *s, const char *machine, const char *disk, bool write,
		      struct digest_cache **out, struct err *e);
void digest_cache_close(struct digest_cache *c); /* NULL is fine */

/* len: of the block, which may be the short one at the end of the disk (and longer when the disk has grown). */
struct digest_of {
	uint64_t block;
	size_t len;
};

/* 1 and the digest of the block if it is known as of an epoch from newest (the last that wrote to the block) to now; else 0. */
int digest_cache_get(struct digest_cache *c, struct digest_of of, uint64_t newest, uint64_t now,
		     uint8_t out[DIGEST_BYTES], struct err *e);
int digest_cache_put(struct digest_cache *c, struct digest_of of, uint64_t epoch,
		     const uint8_t digest[DIGEST_BYTES], struct err *e);

#endif
