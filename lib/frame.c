/* SPDX-License-Identifier: Apache-2.0 */
/* Checking segments; building them is in frame_build.c. */
#include "lib/frame.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int header_check(const struct wire_header *h, struct err *e)
{
	if (memcmp(h->magic, WIRE_MAGIC, sizeof(h->magic)) != 0)
		return err_set(e, -EBADMSG,
			       "not a segment: it does not begin with the magic bytes");
	if (le16toh(h->version) != WIRE_VERSION && le16toh(h->version) != WIRE_VERSION_OLD)
		return err_set(e, -EPROTONOSUPPORT,
			       "segment format version %u is not supported, only %u and %u are",
			       le16toh(h->version), WIRE_VERSION_OLD, WIRE_VERSION);
	if (le16toh(h->header_bytes) != WIRE_HEADER_BYTES)
		return err_set(e, -EBADMSG, "segment header says it has %u bytes, not %u",
			       le16toh(h->header_bytes), WIRE_HEADER_BYTES);
	if (h->flags || h->reserved)
		return err_set(e, -EBADMSG, "segment header has a reserved field that is not zero");
	return 0;
}

/* The whole length that the header adds up to. */
static int header_total(const struct wire_header *h, size_t *total, struct err *e)
{
	uint32_t extents = le32toh(h->extent_count);
	uint64_t payload = le64toh(h->payload_bytes);
	int r = header_check(h, e);

	if (r)
		return r;
	if (extents == 0 || extents > WIRE_EXTENTS_MAX)
		return err_set(e, -EBADMSG, "segment has %" PRIu32 " extents, not 1 to %u", extents,
			       WIRE_EXTENTS_MAX);

	size_t fixed = WIRE_HEADER_BYTES + (size_t)extents * WIRE_EXTENT_BYTES + WIRE_TRAILER_BYTES;

	if (payload > WIRE_SEGMENT_MAX - fixed)
		return err_set(e, -EMSGSIZE, "segment is longer than the %u bytes that are allowed",
			       WIRE_SEGMENT_MAX);
	*total = fixed + (size_t)payload;
	return 0;
}

size_t frame_total(const void *header, struct err *e)
{
	struct wire_header h;
	size_t total = 0;

	memcpy(&h, header, sizeof(h));
	return header_total(&h, &total, e) ? 0 : total;
}

static struct wire_extent extent_at(const struct frame *f, uint32_t i)
{
	struct wire_extent x;

	memcpy(&x, f->extents + (size_t)i * WIRE_EXTENT_BYTES, sizeof(x));
	return x;
}

static int bad_extent(struct err *e, uint32_t i, const char *what)
{
	return err_set(e, -EBADMSG, "extent %" PRIu32 " of the segment %s", i, what);
}

/* Where on the disk the extent is; *end is the end of the one before, and then of this one. */
static int extent_place(const struct wire_extent *x, uint32_t i, uint64_t disk_size, uint64_t *end,
			struct err *e)
{
	uint64_t offset = le64toh(x->offset), length = le64toh(x->length), this_end;

	if (length == 0)
		return bad_extent(e, i, "has no length");
	if (offset % WIRE_SECTOR || length % WIRE_SECTOR)
		return bad_extent(e, i, "is not a multiple of 512 bytes");
	if (i > 0 && offset < *end)
		return bad_extent(e, i, "begins before the end of the one before");
	if (__builtin_add_overflow(offset, length, &this_end) || this_end > disk_size)
		return bad_extent(e, i, "reaches past the end of the disk");
	*end = this_end;
	return 0;
}

static int zero_check(const struct wire_extent *x, uint32_t i, struct err *e)
{
	if (x->stored_len)
		return bad_extent(e, i, "is of zeros but has stored bytes");
	if (x->codec != WIRE_CODEC_NONE)
		return bad_extent(e, i, "is of zeros but has a codec");
	if (!mem_is_zero(x->digest, sizeof(x->digest)))
		return bad_extent(e, i, "is of zeros but has a digest");
	return 0;
}

static int data_check(const struct wire_extent *x, uint32_t i, struct err *e)
{
	uint64_t length = le64toh(x->length);
	uint32_t stored = le32toh(x->stored_len);

	if (length > WIRE_EXTENT_DATA_MAX)
		return bad_extent(e, i, "has more than 1 MiB of data");
	switch (x->codec) {
	case WIRE_CODEC_NONE:
		if (stored != length)
			return bad_extent(e, i,
					  "is not compressed but stored_len is not its length");
		return 0;
	case WIRE_CODEC_ZLIB:
	case WIRE_CODEC_ZSTD:
		if (stored == 0 || stored >= length)
			return bad_extent(e, i, "is compressed but stored_len is 0 or not smaller");
		return 0;
	}
	return bad_extent(e, i, "has an unknown codec");
}

static int extent_content(const struct wire_extent *x, uint32_t i, uint64_t payload_off,
			  struct err *e)
{
	if (x->reserved)
		return bad_extent(e, i, "has a reserved field that is not zero");
	if (le64toh(x->payload_off) != payload_off)
		return bad_extent(e, i, "has a payload_off that is not where its bytes are");
	switch (x->type) {
	case WIRE_DATA:
		return data_check(x, i, e);
	case WIRE_ZERO:
		return zero_check(x, i, e);
	}
	return bad_extent(e, i, "has an unknown type");
}

static int extents_check(const struct frame *f, uint64_t payload_bytes, uint64_t disk_size,
			 struct err *e)
{
	uint64_t end = 0, payload = 0;

	for (uint32_t i = 0; i < f->extent_count; i++) {
		struct wire_extent x = extent_at(f, i);
		int r = extent_place(&x, i, disk_size, &end, e);

		if (!r)
			r = extent_content(&x, i, payload, e);
		if (r)
			return r;
		payload += le32toh(x.stored_len); /* at most 65536 times 1 MiB */
	}
	if (payload != payload_bytes)
		return err_set(
			e, -EBADMSG,
			"the stored bytes of the segment's extents do not add up to its payload");
	return 0;
}

static int trailer_check(const struct wire_header *h, const uint8_t *data, size_t len,
			 struct err *e)
{
	uint8_t digest[DIGEST_BYTES];
	size_t body = len - WIRE_TRAILER_BYTES, covered = body;

	if (le16toh(h->version) != WIRE_VERSION_OLD)
		covered = WIRE_HEADER_BYTES + (size_t)le32toh(h->extent_count) * WIRE_EXTENT_BYTES;
	digest_sha256(data, covered, digest);
	if (memcmp(digest, data + body, DIGEST_BYTES) != 0)
		return err_set(e, -EILSEQ, "the segment's SHA-256 does not match its bytes");
	return 0;
}

static int length_check(const void *data, size_t len, struct wire_header *h, struct err *e)
{
	size_t total;

	if (len > WIRE_SEGMENT_MAX)
		return err_set(e, -EMSGSIZE, "segment is longer than the %u bytes that are allowed",
			       WIRE_SEGMENT_MAX);
	if (len < WIRE_HEADER_BYTES)
		return err_set(e, -EBADMSG, "segment is shorter than its header");
	memcpy(h, data, sizeof(*h));

	int r = header_total(h, &total, e);

	if (r)
		return r;
	if (total != len)
		return err_set(e, -EBADMSG, "segment has %zu bytes, its header adds up to %zu", len,
			       total);
	return 0;
}

/*
 * The trailer is looked at before the extents: bytes that were damaged on the way are then reported
 * as damaged (send again), and malformed is only what was sent so (never send again).
 */
int frame_parse(struct frame *f, const void *data, size_t len, uint64_t disk_size,
		bool check_trailer, struct err *e)
{
	const uint8_t *bytes = data;
	struct wire_header h;
	int r = length_check(data, len, &h, e);

	if (!r && check_trailer)
		r = trailer_check(&h, bytes, len, e);
	if (r)
		return r;
	f->version = le16toh(h.version);
	f->epoch = le64toh(h.epoch);
	f->segment = le32toh(h.segment);
	f->extent_count = le32toh(h.extent_count);
	memcpy(f->disk, h.disk, UUID_BYTES);
	f->total = len;
	f->extents = bytes + WIRE_HEADER_BYTES;
	f->payload = f->extents + (size_t)f->extent_count * WIRE_EXTENT_BYTES;
	return extents_check(f, le64toh(h.payload_bytes), disk_size, e);
}

void frame_get(const struct frame *f, uint32_t i, struct frame_extent *x)
{
	struct wire_extent w = extent_at(f, i);

	x->offset = le64toh(w.offset);
	x->length = le64toh(w.length);
	x->type = (enum wire_type)w.type;
	x->codec = (enum wire_codec)w.codec;
	x->stored_len = le32toh(w.stored_len);
	x->stored = x->type == WIRE_DATA ? f->payload + le64toh(w.payload_off) : NULL;
	memcpy(x->digest, w.digest, DIGEST_BYTES);
}

static int digest_check(const struct frame_extent *x, const void *data, struct err *e)
{
	uint8_t digest[DIGEST_BYTES];

	digest_sha256(data, x->length, digest);
	if (memcmp(digest, x->digest, DIGEST_BYTES) != 0)
		return err_set(e, -EILSEQ, "the data at %" PRIu64 " does not match its SHA-256",
			       x->offset);
	return 0;
}

int frame_extract(struct codec *c, const struct frame_extent *x, void *out, struct err *e)
{
	if (x->type != WIRE_DATA)
		return err_set(e, -EINVAL, "the extent at %" PRIu64 " has no data", x->offset);

	int r = codec_decompress(c, x->codec, x->stored, x->stored_len, out, x->length);

	if (r)
		return err_set(e, r,
			       "the data at %" PRIu64 " does not decompress to %" PRIu64 " bytes",
			       x->offset, x->length);
	return digest_check(x, out, e);
}

int frame_check(struct codec *c, const struct frame *f, void *out, struct err *e)
{
	struct frame_extent x;
	int r = 0;

	for (uint32_t i = 0; !r && i < f->extent_count; i++) {
		frame_get(f, i, &x);
		if (x.type != WIRE_DATA)
			continue;
		/* What is not compressed needs no copy. */
		if (x.codec == WIRE_CODEC_NONE)
			r = digest_check(&x, x.stored, e);
		else
			r = frame_extract(c, &x, out, e);
	}
	/* Only its own digest covers the payload: what cannot be unpacked may be damage. */
	if (r == -EBADMSG && f->version != WIRE_VERSION_OLD) {
		r = -EILSEQ;
		if (e)
			e->code = r;
	}
	return r;
}
