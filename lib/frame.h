/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building and checking segments (include/mobility/wire.h has the format and its bounds). A builder
 * or a parsed segment belongs to one thread at a time.
 */
#ifndef MOBILITY_FRAME_H
#define MOBILITY_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/mobility/wire.h"
#include "lib/codec.h"
#include "lib/digest.h"
#include "lib/err.h"

/* --- building ----------------------------------------------------------------------- */

struct frame_builder;

/* A builder whose segments hold at most payload_max payload bytes (<= 8 MiB). */
struct frame_builder *frame_builder_new(size_t payload_max);
void frame_builder_free(struct frame_builder *b);
void frame_builder_freep(struct frame_builder **b);

/* WIRE_VERSION (the default) or WIRE_VERSION_OLD, from the next frame_begin on. */
void frame_builder_version(struct frame_builder *b, uint16_t version);
/* Begin a segment; forgets the one before. */
void frame_begin(struct frame_builder *b, const uint8_t disk[UUID_BYTES], uint64_t epoch,
		 uint32_t segment);

/*
 * Add the extent at offset: digest, zero detection (whole extent) and compression happen here. len
 * <= WIRE_EXTENT_DATA_MAX. -ENOSPC: full, nothing was added: finish and begin another. Offsets must
 * ascend (-EINVAL). A zero extent that follows on a zero extent is merged with it.
 */
int frame_add_data(struct frame_builder *b, struct codec *c, enum wire_codec codec, int level,
		   uint64_t offset, const void *data, size_t len);
/* The same for data whose SHA-256 is known already. */
int frame_add_digested(struct frame_builder *b, struct codec *c, enum wire_codec codec, int level,
		       uint64_t offset, const void *data, size_t len,
		       const uint8_t digest[DIGEST_BYTES]);
int frame_add_zero(struct frame_builder *b, uint64_t offset, uint64_t len);
struct frame_extent;
/* Add an extent as another segment has it stored. */
int frame_add_stored(struct frame_builder *b, const struct frame_extent *x);

size_t frame_extents(const struct frame_builder *b); /* extents so far */
/* Complete the segment; *out and *len are borrowed from b until the next frame_begin. */
void frame_finish(struct frame_builder *b, const uint8_t **out, size_t *len);

/* --- checking ----------------------------------------------------------------------- */

struct frame_extent {
	uint64_t offset, length;
	const uint8_t *stored; /* borrowed from the segment's buffer; NULL for zeros */
	uint32_t stored_len;
	enum wire_type type;
	enum wire_codec codec;
	uint8_t digest[DIGEST_BYTES];
};

struct frame {
	uint16_t version;
	uint64_t epoch;
	uint32_t segment;
	uint32_t extent_count;
	uint8_t disk[UUID_BYTES];
	size_t total; /* bytes of the whole segment */
	const uint8_t *extents, *payload; /* borrowed from the buffer */
};

/*
 * Check structure and bounds of exactly len bytes, and (check_trailer) the trailer's SHA-256; does
 * not decompress, and of version 2 does not look at the payload: frame_check does. disk_size bounds the extents (UINT64_MAX: unknown). -EBADMSG malformed,
 * -EPROTONOSUPPORT version, -EILSEQ digest, -EMSGSIZE too large.
 */
int frame_parse(struct frame *f, const void *data, size_t len, uint64_t disk_size,
		bool check_trailer, struct err *e);
/*
 * The length that a segment must have, from its first 64 bytes; 0 and *e if these are not a valid
 * header.
 */
size_t frame_total(const void *header, struct err *e);
/* Extent i < extent_count of a frame that frame_parse accepted. */
void frame_get(const struct frame *f, uint32_t i, struct frame_extent *x);
/*
 * Decompress the data of a WIRE_DATA extent into out (x->length bytes) and check its digest:
 * -EBADMSG, -EILSEQ.
 */
int frame_extract(struct codec *c, const struct frame_extent *x, void *out, struct err *e);
/*
 * Every data extent of a parsed frame against its digest. out: room for WIRE_EXTENT_DATA_MAX bytes.
 * -EILSEQ; -EBADMSG for what version 1's trailer has proven to have been sent so.
 */
int frame_check(struct codec *c, const struct frame *f, void *out, struct err *e);

#endif
