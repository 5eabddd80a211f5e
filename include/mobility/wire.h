/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only binary format between agent and appliance: the segment. It is the body
 * of PUT /v1/disks/{d}/epochs/{e}/segments/{n}, and the appliance stores it in its
 * journal as received. docs/protocol.md tells the same for other implementations.
 *
 *	segment = header  extent*  payload  trailer
 *	header  = struct wire_header			(64 bytes)
 *	extent  = struct wire_extent			(64 bytes, extent_count times)
 *	payload = the stored bytes of the extents, in order, without gaps
 *	trailer = SHA-256 of header and extents; in version 1, of all bytes before it
 *								(32 bytes)
 *
 * The digests of the extents stand for the payload, so version 2 hashes nothing twice: who has
 * checked trailer and extents has checked all content. Version 1 is read, and written to an
 * appliance that does not announce version 2.
 *
 * All integers are little-endian. All reserved fields are zero; a receiver refuses
 * a segment in which they are not. Bounds, checked before anything is allocated:
 *
 *	segment size		<= WIRE_SEGMENT_MAX, and exactly what the header adds up to
 *	extent_count		1 .. WIRE_EXTENTS_MAX
 *	offset			multiple of 512, strictly ascending, extents do not overlap,
 *				offset + length <= size of the disk
 *	length			multiple of 512, > 0; WIRE_DATA: <= WIRE_EXTENT_DATA_MAX
 *	payload_off		where the extent's bytes begin in payload: the sum of the
 *				stored_len of the extents before it
 *	WIRE_ZERO		stored_len 0, codec WIRE_CODEC_NONE, digest all zero
 *	WIRE_DATA		codec NONE: stored_len == length; else 0 < stored_len < length
 *	digest			SHA-256 of the extent's length bytes before compression
 *	extents of a disk	<= WIRE_EPOCH_EXTENTS_MAX in an epoch, of all its segments
 *
 * Pure definitions: usable from any thread and from the agent, the appliance and tests.
 */
#ifndef MOBILITY_WIRE_H
#define MOBILITY_WIRE_H

#include <assert.h>
#include <stdint.h>

#define WIRE_MAGIC "MOBSEG\r\n" /* 8 bytes, no terminator */
#define WIRE_VERSION 2
#define WIRE_VERSION_OLD 1
#define WIRE_HEADER_BYTES 64
#define WIRE_EXTENT_BYTES 64
#define WIRE_DIGEST_BYTES 32
#define WIRE_TRAILER_BYTES 32
#define WIRE_SECTOR 512
#define WIRE_SEGMENT_MAX (16u << 20)
#define WIRE_EXTENTS_MAX 65536u
#define WIRE_EXTENT_DATA_MAX (1u << 20)
#define WIRE_EPOCH_EXTENTS_MAX (1u << 22) /* of a disk in an epoch, all its segments together */
#define WIRE_BLOCK 65536u /* granularity of digest queries, bytes */

enum wire_type {
	WIRE_DATA = 0,
	WIRE_ZERO = 1,
};

enum wire_codec {
	WIRE_CODEC_NONE = 0,
	WIRE_CODEC_ZLIB = 1,
	WIRE_CODEC_ZSTD = 2,
};

struct wire_header {
	uint8_t magic[8];
	uint16_t version;
	uint16_t header_bytes; /* WIRE_HEADER_BYTES */
	uint32_t flags; /* 0 */
	uint64_t epoch; /* the appliance's number of the epoch */
	uint32_t segment; /* number of the segment within its epoch and disk, from 0 */
	uint32_t extent_count;
	uint64_t payload_bytes;
	uint8_t disk[16]; /* the disk's id (a UUID), its 16 bytes as written in hex */
	uint64_t reserved;
};

struct wire_extent {
	uint64_t offset; /* bytes from the start of the disk */
	uint64_t length; /* bytes on the disk */
	uint64_t payload_off;
	uint32_t stored_len;
	uint8_t type; /* enum wire_type */
	uint8_t codec; /* enum wire_codec */
	uint16_t reserved;
	uint8_t digest[WIRE_DIGEST_BYTES];
};

static_assert(sizeof(struct wire_header) == WIRE_HEADER_BYTES, "wire_header");
static_assert(sizeof(struct wire_extent) == WIRE_EXTENT_BYTES, "wire_extent");

#endif
