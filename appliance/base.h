/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The base of a disk: its image as of an epoch, in blocks of 64 KiB, and the SHA-256 of each block (docs/store.md). A block whose digest is all zero
 * bytes is a block of zeros, whatever the image object holds; one whose digest is all 0xff is known to be damaged. What is past the end of
 * either object is zero. A struct base belongs to one thread; others (and other processes) may read while one writes, but must not use the
 * blocks that are being written (fold.h).
 */
#ifndef APPLIANCE_BASE_H
#define APPLIANCE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/store/store.h"
#include "lib/digest.h"

#define BASE_BLOCK 65536u

struct base {
	struct store_object *image, *digests; /* NULL: there is none yet, all is zero */
	uint64_t image_size, digests_size; /* at opening */
};

/* write: create what is missing. */
int base_open(struct store *s, const char *machine, const char *disk, bool write, struct base *b,
	      struct err *e);
void base_close(struct base *b);

/* The digest as stored. */
int base_digest(struct base *b, uint64_t block, uint8_t out[DIGEST_BYTES], struct err *e);
/* Read and check a whole block: -EILSEQ damaged. */
int base_read(struct base *b, uint64_t block, uint8_t out[BASE_BLOCK], struct err *e);
/* The bytes of a block without looking at its digest. */
int base_read_raw(struct base *b, uint64_t block, uint8_t out[BASE_BLOCK], struct err *e);
/* The stored form of a block's digest: all zero for a block of zeros. */
void base_digest_of(const uint8_t block[BASE_BLOCK], uint8_t out[DIGEST_BYTES]);
bool base_digest_is_zero(const uint8_t digest[DIGEST_BYTES]);
bool base_digest_is_damaged(const uint8_t digest[DIGEST_BYTES]);
extern const uint8_t base_damaged[DIGEST_BYTES];

#endif
