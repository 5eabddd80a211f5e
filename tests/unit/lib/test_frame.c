/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/frame.h"
#include "tests/unit/lib/support.h"

#define DISK_SIZE (1ull << 20)
#define HEADER(member) offsetof(struct wire_header, member)
#define EXTENT(i, member)                                                                          \
	(WIRE_HEADER_BYTES + (i)*WIRE_EXTENT_BYTES + offsetof(struct wire_extent, member))

static const uint8_t disk[UUID_BYTES] = "a disk's 16 byte";
static uint8_t seg[WIRE_SEGMENT_MAX + 1];
static size_t seg_len;
static uint8_t data[WIRE_EXTENT_DATA_MAX], out[WIRE_EXTENT_DATA_MAX];

/*
 * Four extents: 0 plain data at 0, 1 zeros at 4096, 2 zstd at 8192, 3 zlib that ends with the disk.
 * A copy on the heap of exactly its length lets the sanitizers see every read beyond it.
 */
static uint16_t version = WIRE_VERSION;

static void make_segment(void)
{
	_cleanup_(frame_builder_freep) struct frame_builder *b = frame_builder_new(1u << 20);
	_cleanup_(codec_freep) struct codec *c = codec_new();
	const uint8_t *made;

	frame_builder_version(b, version);
	frame_begin(b, disk, 9, 3);
	fill_noise(data, 512, 1);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, 0, data, 512), 0);
	ck_assert_int_eq(frame_add_zero(b, 4096, 4096), 0);
	fill_text(data, 1024, 2);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_ZSTD, 1, 8192, data, 1024), 0);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_ZLIB, 1, DISK_SIZE - 1024, data, 1024), 0);
	frame_finish(b, &made, &seg_len);
	memcpy(seg, made, seg_len);
}

static void fix_trailer(void)
{
	digest_sha256(seg, EXTENT(4, offset), seg + seg_len - WIRE_TRAILER_BYTES);
}

static int parse_exact(const void *bytes, size_t len, uint64_t disk_size, bool trailer,
		       struct err *e)
{
	_cleanup_free_ uint8_t *copy = malloc(len + !len);
	struct frame f;

	memcpy(copy, bytes, len);
	return frame_parse(&f, copy, len, disk_size, trailer, e);
}

static void set_le(size_t at, size_t width, uint64_t value)
{
	uint64_t le = htole64(value);

	memcpy(seg + at, &le, width);
}

static uint64_t get_le(size_t at, size_t width)
{
	uint64_t le = 0;

	memcpy(&le, seg + at, width);
	return le64toh(le);
}

START_TEST(the_good_segment_is_accepted)
{
	struct err e = {0};

	make_segment();
	assert_ok(parse_exact(seg, seg_len, DISK_SIZE, true, &e), &e);
	assert_ok(parse_exact(seg, seg_len, UINT64_MAX, false, &e), &e);
	ck_assert_uint_eq(frame_total(seg, &e), seg_len);
}
END_TEST

/* Each bound of wire.h broken alone, with a trailer that is right. */
static const struct broken {
	const char *what;
	size_t at, width;
	uint64_t value;
	int code;
	const char *says;
} broken[] = {
	{"magic", HEADER(magic), 1, 'm', -EBADMSG, "magic"},
	{"version 0", HEADER(version), 2, 0, -EPROTONOSUPPORT, "version 0"},
	{"version 3", HEADER(version), 2, 3, -EPROTONOSUPPORT, "version 3"},
	{"header size", HEADER(header_bytes), 2, 65, -EBADMSG, "65 bytes"},
	{"flags", HEADER(flags), 4, 1, -EBADMSG, "reserved"},
	{"reserved", HEADER(reserved), 8, 1ull << 63, -EBADMSG, "reserved"},
	{"no extents", HEADER(extent_count), 4, 0, -EBADMSG, "0 extents"},
	{"extent missing", HEADER(extent_count), 4, 3, -EBADMSG, "adds up"},
	{"extent too many", HEADER(extent_count), 4, 5, -EBADMSG, "adds up"},
	{"65537 extents", HEADER(extent_count), 4, 65537, -EBADMSG, "65537 extents"},
	{"all extents", HEADER(extent_count), 4, UINT32_MAX, -EBADMSG, "extents"},
	{"payload of 0", HEADER(payload_bytes), 8, 0, -EBADMSG, "adds up"},
	{"payload of 16 MiB", HEADER(payload_bytes), 8, 16 << 20, -EMSGSIZE, "longer"},
	{"payload wraps", HEADER(payload_bytes), 8, UINT64_MAX, -EMSGSIZE, "longer"},
	{"odd offset", EXTENT(1, offset), 8, 4097, -EBADMSG, "multiple"},
	{"odd length", EXTENT(1, length), 8, 4095, -EBADMSG, "multiple"},
	{"length 0", EXTENT(1, length), 8, 0, -EBADMSG, "no length"},
	{"overlap", EXTENT(1, length), 8, 4608, -EBADMSG, "begins before"},
	{"descending", EXTENT(2, offset), 8, 3584, -EBADMSG, "begins before"},
	{"same offset", EXTENT(1, offset), 8, 0, -EBADMSG, "begins before"},
	{"past the disk", EXTENT(3, offset), 8, DISK_SIZE - 512, -EBADMSG, "end of the disk"},
	{"beyond the disk", EXTENT(3, offset), 8, DISK_SIZE + 512, -EBADMSG, "end of the disk"},
	{"offset wraps", EXTENT(3, offset), 8, UINT64_MAX - 511, -EBADMSG, "end of the disk"},
	{"length wraps", EXTENT(1, length), 8, UINT64_MAX - 511, -EBADMSG, "end of the disk"},
	{"payload_off 1", EXTENT(0, payload_off), 8, 1, -EBADMSG, "payload_off"},
	{"payload_off of zeros", EXTENT(1, payload_off), 8, 0, -EBADMSG, "payload_off"},
	{"payload_off huge", EXTENT(2, payload_off), 8, UINT64_MAX, -EBADMSG, "payload_off"},
	{"type 2", EXTENT(1, type), 1, 2, -EBADMSG, "unknown type"},
	{"codec 3", EXTENT(2, codec), 1, 3, -EBADMSG, "unknown codec"},
	{"reserved extent", EXTENT(0, reserved), 2, 0x100, -EBADMSG, "reserved"},
	{"stored short", EXTENT(0, stored_len), 4, 511, -EBADMSG, "stored_len"},
	{"stored long", EXTENT(0, stored_len), 4, 513, -EBADMSG, "stored_len"},
	{"compressed to 0", EXTENT(2, stored_len), 4, 0, -EBADMSG, "stored_len is 0"},
	{"not smaller", EXTENT(2, stored_len), 4, 1024, -EBADMSG, "not smaller"},
	{"more than 1 MiB", EXTENT(0, length), 8, (1 << 20) + 512, -EBADMSG, "more than 1 MiB"},
	{"sum too large", EXTENT(3, stored_len), 4, 1023, -EBADMSG, "add up"},
	{"sum too small", EXTENT(3, stored_len), 4, 1, -EBADMSG, "add up"},
	{"zeros stored", EXTENT(1, stored_len), 4, 1, -EBADMSG, "stored bytes"},
	{"zeros with codec", EXTENT(1, codec), 1, 2, -EBADMSG, "has a codec"},
	{"zeros with digest", EXTENT(1, digest) + 31, 1, 1, -EBADMSG, "has a digest"},
	{"data called zeros", EXTENT(0, type), 1, 1, -EBADMSG, "stored bytes"},
	{"zeros called data", EXTENT(1, type), 1, 0, -EBADMSG, "stored_len"},
};

START_TEST(each_broken_bound_is_refused)
{
	const struct broken *b = &broken[_i];
	/* "more than 1 MiB" needs a disk on which the extents could lie */
	uint64_t size = strstr(b->what, "1 MiB") ? UINT64_MAX : DISK_SIZE;
	struct err e = {0};

	make_segment();
	if (size == UINT64_MAX) {
		for (size_t i = 1; i < 4; i++)
			set_le(EXTENT(i, offset), 8, get_le(EXTENT(i, offset), 8) + (1 << 30));
	}
	ck_assert_msg(get_le(b->at, b->width) != b->value, "%s changes nothing", b->what);
	set_le(b->at, b->width, b->value);
	fix_trailer();
	assert_code(parse_exact(seg, seg_len, size, true, &e), b->code, &e);
	assert_says(&e, b->says);
	assert_code(parse_exact(seg, seg_len, size, false, &e), b->code, &e);
	ck_assert_int_eq(parse_exact(seg, seg_len, size, true, NULL), b->code);
}
END_TEST

START_TEST(the_header_alone_tells_the_length)
{
	struct err e = {0};

	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		if (broken[i].at >= WIRE_HEADER_BYTES)
			continue;
		make_segment();
		set_le(broken[i].at, broken[i].width, broken[i].value);
		if (strcmp(broken[i].says, "adds up") == 0)
			ck_assert_uint_ne(frame_total(seg, &e), seg_len);
		else
			ck_assert_uint_eq(frame_total(seg, &e), 0);
	}
	make_segment();
	set_le(HEADER(version), 2, 9);
	ck_assert_uint_eq(frame_total(seg, &e), 0);
	ck_assert_int_eq(e.code, -EPROTONOSUPPORT);
}
END_TEST

START_TEST(every_other_length_is_refused)
{
	struct err e = {0};

	make_segment();
	for (size_t len = 0; len < seg_len; len++)
		assert_code(parse_exact(seg, len, DISK_SIZE, true, &e), -EBADMSG, &e);
	assert_code(parse_exact(seg, seg_len + 1, DISK_SIZE, true, &e), -EBADMSG, &e);
	assert_code(parse_exact(seg, WIRE_SEGMENT_MAX, DISK_SIZE, true, &e), -EBADMSG, &e);
	assert_code(parse_exact(seg, WIRE_SEGMENT_MAX + 1, DISK_SIZE, true, &e), -EMSGSIZE, &e);
}
END_TEST

static int parse_and_check(struct codec *c, struct err *e)
{
	struct frame f;
	int r = frame_parse(&f, seg, seg_len, DISK_SIZE, true, e);

	return r ? r : frame_check(c, &f, out, e);
}

/*
 * Every bit of every byte, in both versions: the trailer sees it or the digest of its extent, and
 * what is in the header may be seen before. It is damage, never a malformed segment.
 */
START_TEST(every_flipped_bit_is_refused)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();
	struct err e = {0};
	size_t zstd_at;
	unsigned int harmless = 0;

	version = _i ? WIRE_VERSION : WIRE_VERSION_OLD;
	make_segment();
	zstd_at = EXTENT(4, offset) + get_le(EXTENT(2, payload_off), 8);
	for (size_t i = 0; i < seg_len; i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			seg[i] ^= (uint8_t)(1u << bit);

			int r = parse_and_check(c, &e);

			/*
			 * Some bits of a compressed stream mean nothing: the digest has just proven that the
			 * content is the same all the same.
			 */
			if (!r && version == WIRE_VERSION && i >= zstd_at &&
			    i < seg_len - WIRE_TRAILER_BYTES) {
				ck_assert_uint_lt(harmless++, 64);
				r = -EILSEQ;
			}
			ck_assert_msg(r == -EILSEQ || (i < WIRE_HEADER_BYTES && r < 0),
				      "byte %zu, bit %u: %d", i, bit, r);
			seg[i] ^= (uint8_t)(1u << bit);
		}
	}
	assert_ok(parse_and_check(c, &e), &e);
}
END_TEST

static int extract_all(const uint8_t *bytes, size_t len, struct codec *c)
{
	struct frame_extent x;
	struct frame f;
	int r = frame_parse(&f, bytes, len, DISK_SIZE, false, NULL);

	for (uint32_t i = 0; !r && i < f.extent_count; i++) {
		frame_get(&f, i, &x);
		if (x.type == WIRE_DATA)
			r = frame_extract(c, &x, out, NULL);
	}
	return r;
}

/* Without the trailer, the extents' own digests see every flipped byte of the payload. */
START_TEST(every_flipped_payload_byte_is_noticed)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();

	make_segment();
	ck_assert_int_eq(extract_all(seg, seg_len, c), 0);
	for (size_t i = EXTENT(4, offset); i < seg_len - WIRE_TRAILER_BYTES; i++) {
		seg[i] ^= 0xff;

		int r = extract_all(seg, seg_len, c);

		ck_assert_msg(r == -EILSEQ || r == -EBADMSG, "byte %zu: %d", i, r);
		seg[i] ^= 0xff;
	}
}
END_TEST

START_TEST(wrong_digest_and_wrong_data_differ)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();

	make_segment();
	seg[EXTENT(0, digest)] ^= 1;
	ck_assert_int_eq(extract_all(seg, seg_len, c), -EILSEQ);
	make_segment();
	set_le(EXTENT(2, codec), 1, WIRE_CODEC_ZLIB);
	ck_assert_int_eq(extract_all(seg, seg_len, c), -EBADMSG);
	make_segment();
	set_le(EXTENT(2, length), 8, 1536);
	ck_assert_int_eq(extract_all(seg, seg_len, c), -EBADMSG);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("frame");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, the_good_segment_is_accepted);
	tcase_add_loop_test(tc, each_broken_bound_is_refused, 0, (int)ARRAY_SIZE(broken));
	tcase_add_test(tc, the_header_alone_tells_the_length);
	tcase_add_test(tc, every_other_length_is_refused);
	tcase_add_loop_test(tc, every_flipped_bit_is_refused, 0, 2);
	tcase_add_test(tc, every_flipped_payload_byte_is_noticed);
	tcase_add_test(tc, wrong_digest_and_wrong_data_differ);
	return run_tcase("frame", tc);
}
