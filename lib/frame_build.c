/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building segments. The buffer has room for the most extents in front of the payload: extents grow
 * from its start, stored bytes are compressed straight to their place, and finishing moves header
 * and extents up to the payload.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/frame.h"

#define PAYLOAD_AT (WIRE_HEADER_BYTES + (size_t)WIRE_EXTENTS_MAX * WIRE_EXTENT_BYTES)
#define BUILDER_PAYLOAD_MAX (8u << 20)

static_assert(PAYLOAD_AT + BUILDER_PAYLOAD_MAX + WIRE_TRAILER_BYTES <= WIRE_SEGMENT_MAX,
	      "a full builder makes a legal segment");

struct frame_builder {
	uint16_t version;
	struct wire_header header;
	uint64_t end; /* of the last extent, bytes on the disk */
	size_t payload_max, payload;
	size_t extents;
	bool last_is_zero;
	uint64_t last_length;
	uint8_t *buf;
};

struct frame_builder *frame_builder_new(size_t payload_max)
{
	if (payload_max == 0 || payload_max > BUILDER_PAYLOAD_MAX)
		return NULL;

	struct frame_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->version = WIRE_VERSION;
	b->payload_max = payload_max;
	/* mostly untouched address space: a usual segment has some hundred extents */
	b->buf = malloc(PAYLOAD_AT + payload_max + WIRE_TRAILER_BYTES);
	if (!b->buf) {
		free(b);
		return NULL;
	}
	return b;
}

void frame_builder_free(struct frame_builder *b)
{
	if (!b)
		return;
	free(b->buf);
	free(b);
}

void frame_builder_freep(struct frame_builder **b)
{
	frame_builder_free(*b);
}

void frame_builder_version(struct frame_builder *b, uint16_t version)
{
	b->version = version;
}

void frame_begin(struct frame_builder *b, const uint8_t disk[UUID_BYTES], uint64_t epoch,
		 uint32_t segment)
{
	b->header = (struct wire_header){
		.version = htole16(b->version),
		.header_bytes = htole16(WIRE_HEADER_BYTES),
		.epoch = htole64(epoch),
		.segment = htole32(segment),
	};
	memcpy(b->header.magic, WIRE_MAGIC, sizeof(b->header.magic));
	memcpy(b->header.disk, disk, UUID_BYTES);
	b->end = 0;
	b->payload = 0;
	b->extents = 0;
	b->last_is_zero = false;
}

size_t frame_extents(const struct frame_builder *b)
{
	return b->extents;
}

static int check_range(const struct frame_builder *b, uint64_t offset, uint64_t len)
{
	uint64_t end;

	if (len == 0 || offset % WIRE_SECTOR || len % WIRE_SECTOR || offset < b->end ||
	    __builtin_add_overflow(offset, len, &end))
		return -EINVAL;
	return 0;
}

static uint8_t *extent_at(struct frame_builder *b, size_t i)
{
	return b->buf + i * WIRE_EXTENT_BYTES;
}

static int append_extent(struct frame_builder *b, const struct wire_extent *x, uint64_t end)
{
	if (b->extents == WIRE_EXTENTS_MAX)
		return -ENOSPC;
	memcpy(extent_at(b, b->extents++), x, sizeof(*x));
	b->last_is_zero = x->type == WIRE_ZERO;
	b->last_length = le64toh(x->length);
	b->end = end;
	return 0;
}

static void lengthen_last(struct frame_builder *b, uint64_t len)
{
	uint8_t *last = extent_at(b, b->extents - 1);

	b->last_length += len;
	b->end += len;

	uint64_t length = htole64(b->last_length);

	memcpy(last + offsetof(struct wire_extent, length), &length, sizeof(length));
}

int frame_add_zero(struct frame_builder *b, uint64_t offset, uint64_t len)
{
	int r = check_range(b, offset, len);

	if (r)
		return r;
	if (b->last_is_zero && offset == b->end) {
		lengthen_last(b, len);
		return 0;
	}

	struct wire_extent x = {
		.offset = htole64(offset),
		.length = htole64(len),
		.payload_off = htole64(b->payload),
		.type = WIRE_ZERO,
		.codec = WIRE_CODEC_NONE,
	};

	return append_extent(b, &x, offset + len);
}

static int check_data(const struct frame_builder *b, uint64_t offset, size_t len)
{
	if (len > WIRE_EXTENT_DATA_MAX || len > b->payload_max)
		return -EINVAL;
	return check_range(b, offset, len);
}

/* What is stored is in its place already. */
static int append_stored(struct frame_builder *b, uint64_t offset, size_t len, size_t stored,
			 enum wire_codec codec, const uint8_t digest[DIGEST_BYTES])
{
	struct wire_extent x = {
		.offset = htole64(offset),
		.length = htole64(len),
		.payload_off = htole64(b->payload),
		.stored_len = htole32((uint32_t)stored),
		.type = WIRE_DATA,
		.codec = (uint8_t)codec,
	};

	memcpy(x.digest, digest, DIGEST_BYTES);
	b->payload += stored;
	return append_extent(b, &x, offset + len);
}

/*
 * Room is asked for the uncompressed length: what would only perhaps fit begins the next segment,
 * and no compression is done in vain.
 */
static int append_data(struct frame_builder *b, struct codec *c, enum wire_codec codec, int level,
		       uint64_t offset, const void *data, size_t len,
		       const uint8_t digest[DIGEST_BYTES])
{
	uint8_t *out = b->buf + PAYLOAD_AT + b->payload;
	size_t stored = 0;

	if (codec != WIRE_CODEC_NONE)
		stored = codec_compress(c, codec, level, data, len, out, len);
	if (stored == 0) {
		codec = WIRE_CODEC_NONE;
		stored = len;
		memcpy(out, data, len);
	}

	return append_stored(b, offset, len, stored, codec, digest);
}

static bool has_room(const struct frame_builder *b, size_t len)
{
	return b->extents < WIRE_EXTENTS_MAX && len <= b->payload_max - b->payload;
}

int frame_add_stored(struct frame_builder *b, const struct frame_extent *x)
{
	int r;

	if (x->type == WIRE_ZERO)
		return frame_add_zero(b, x->offset, x->length);
	r = check_data(b, x->offset, x->length);
	if (r)
		return r;
	if (!has_room(b, x->stored_len))
		return -ENOSPC;
	memcpy(b->buf + PAYLOAD_AT + b->payload, x->stored, x->stored_len);
	return append_stored(b, x->offset, x->length, x->stored_len, x->codec, x->digest);
}

/* Without a digest it is computed, when it is known that it is wanted. */
static int add_data(struct frame_builder *b, struct codec *c, enum wire_codec codec, int level,
		    uint64_t offset, const void *data, size_t len, const uint8_t *digest)
{
	uint8_t own[DIGEST_BYTES];
	int r = check_data(b, offset, len);

	if (r)
		return r;
	if (mem_is_zero(data, len))
		return frame_add_zero(b, offset, len);
	if (!has_room(b, len))
		return -ENOSPC;
	if (!digest)
		digest_sha256(data, len, own);
	return append_data(b, c, codec, level, offset, data, len, digest ? digest : own);
}

int frame_add_digested(struct frame_builder *b, struct codec *c, enum wire_codec codec, int level,
		       uint64_t offset, const void *data, size_t len,
		       const uint8_t digest[DIGEST_BYTES])
{
	return add_data(b, c, codec, level, offset, data, len, digest);
}

int frame_add_data(struct frame_builder *b, struct codec *c, enum wire_codec codec, int level,
		   uint64_t offset, const void *data, size_t len)
{
	return add_data(b, c, codec, level, offset, data, len, NULL);
}

void frame_finish(struct frame_builder *b, const uint8_t **out, size_t *len)
{
	size_t table = b->extents * WIRE_EXTENT_BYTES;
	uint8_t *extents = b->buf + PAYLOAD_AT - table;
	uint8_t *start = extents - WIRE_HEADER_BYTES;
	size_t body = WIRE_HEADER_BYTES + table + b->payload, covered = body;

	if (le16toh(b->header.version) != WIRE_VERSION_OLD)
		covered = WIRE_HEADER_BYTES + table;
	b->header.extent_count = htole32((uint32_t)b->extents);
	b->header.payload_bytes = htole64(b->payload);
	memmove(extents, b->buf, table);
	memcpy(start, &b->header, sizeof(b->header));
	digest_sha256(start, covered, start + body);
	*out = start;
	*len = body + WIRE_TRAILER_BYTES;
}
