/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "lib/frame.h"
#include "tests/unit/lib/support.h"

#define PAYLOAD (4u << 20)

static const uint8_t disk[UUID_BYTES] = "a disk's 16 byte";
static uint8_t data[WIRE_EXTENT_DATA_MAX], back[WIRE_EXTENT_DATA_MAX];

static struct frame finish(struct frame_builder *b)
{
	struct err e = {0};
	const uint8_t *seg;
	struct frame f;
	size_t len;

	frame_finish(b, &seg, &len);
	assert_ok(frame_parse(&f, seg, len, UINT64_MAX, true, &e), &e);
	ck_assert_uint_eq(frame_total(seg, &e), len);
	return f;
}

START_TEST(every_kind_comes_back)
{
	static const enum wire_codec codecs[] = {WIRE_CODEC_NONE, WIRE_CODEC_ZLIB, WIRE_CODEC_ZSTD};
	_cleanup_(frame_builder_freep) struct frame_builder *b = frame_builder_new(PAYLOAD);
	_cleanup_(codec_freep) struct codec *c = codec_new();
	struct err e = {0};
	struct frame_extent x;

	for (size_t k = 0; k < ARRAY_SIZE(codecs); k++) {
		frame_begin(b, disk, 77 + k, 5);
		fill_text(data, sizeof(data), k);
		ck_assert_int_eq(frame_add_data(b, c, codecs[k], 1, 512, data, sizeof(data)), 0);
		ck_assert_int_eq(frame_add_zero(b, 4u << 20, 1ull << 40), 0);
		ck_assert_int_eq(frame_add_data(b, c, codecs[k], 1, 2ull << 40, data, 512), 0);
		ck_assert_uint_eq(frame_extents(b), 3);

		struct frame f = finish(b);

		ck_assert_uint_eq(f.epoch, 77 + k);
		ck_assert_uint_eq(f.segment, 5);
		ck_assert_mem_eq(f.disk, disk, UUID_BYTES);
		ck_assert_uint_eq(f.extent_count, 3);
		frame_get(&f, 0, &x);
		ck_assert_uint_eq(x.offset, 512);
		ck_assert_int_eq(x.codec, codecs[k]);
		assert_ok(frame_extract(c, &x, back, &e), &e);
		ck_assert_mem_eq(data, back, sizeof(data));
		frame_get(&f, 1, &x);
		ck_assert_int_eq(x.type, WIRE_ZERO);
		ck_assert_uint_eq(x.length, 1ull << 40);
		ck_assert_ptr_null(x.stored);
		assert_code(frame_extract(c, &x, back, &e), -EINVAL, &e);
		frame_get(&f, 2, &x);
		assert_ok(frame_extract(c, &x, back, &e), &e);
		ck_assert_mem_eq(data, back, 512);
	}
}
END_TEST

START_TEST(noise_is_stored_as_it_is)
{
	_cleanup_(frame_builder_freep) struct frame_builder *b = frame_builder_new(PAYLOAD);
	_cleanup_(codec_freep) struct codec *c = codec_new();
	struct frame_extent x;

	fill_noise(data, 65536, 1);
	frame_begin(b, disk, 1, 0);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_ZSTD, 1, 0, data, 65536), 0);

	struct frame f = finish(b);

	frame_get(&f, 0, &x);
	ck_assert_int_eq(x.codec, WIRE_CODEC_NONE);
	ck_assert_uint_eq(x.stored_len, 65536);
	ck_assert_mem_eq(x.stored, data, 65536);
}
END_TEST

START_TEST(a_known_digest_is_used)
{
	_cleanup_(frame_builder_freep) struct frame_builder *b = frame_builder_new(PAYLOAD);
	_cleanup_(codec_freep) struct codec *c = codec_new();
	uint8_t digest[DIGEST_BYTES];
	struct err e = {0};
	struct frame_extent x;

	fill_text(data, 65536, 1);
	digest_sha256(data, 65536, digest);
	frame_begin(b, disk, 1, 0);
	ck_assert_int_eq(frame_add_digested(b, c, WIRE_CODEC_ZSTD, 1, 0, data, 65536, digest), 0);
	memset(digest, 1, sizeof(digest));
	ck_assert_int_eq(frame_add_digested(b, c, WIRE_CODEC_ZSTD, 1, 65536, data, 65536, digest),
			 0);

	struct frame f = finish(b);

	frame_get(&f, 0, &x);
	assert_ok(frame_extract(c, &x, back, &e), &e);
	frame_get(&f, 1, &x);
	assert_code(frame_extract(c, &x, back, &e), -EILSEQ, &e);
}
END_TEST

START_TEST(zeros_are_found_and_merged)
{
	_cleanup_(frame_builder_freep) struct frame_builder *b = frame_builder_new(PAYLOAD);
	_cleanup_(codec_freep) struct codec *c = codec_new();
	uint8_t digest[DIGEST_BYTES] = {0};
	struct frame_extent x;

	memset(data, 0, sizeof(data));
	frame_begin(b, disk, 1, 0);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_ZSTD, 1, 0, data, 65536), 0);
	ck_assert_int_eq(frame_add_digested(b, c, WIRE_CODEC_ZSTD, 1, 65536, data, 4096, digest),
			 0);
	ck_assert_int_eq(frame_add_zero(b, 69632, 512), 0);
	ck_assert_uint_eq(frame_extents(b), 1);
	ck_assert_int_eq(frame_add_zero(b, 69632 + 1024, 512), 0); /* a gap before it */
	data[0] = 1;
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, 131072, data, 512), 0);
	ck_assert_int_eq(frame_add_zero(b, 131584, 512), 0); /* not after a zero extent */

	struct frame f = finish(b);

	ck_assert_uint_eq(f.extent_count, 4);
	frame_get(&f, 0, &x);
	ck_assert_uint_eq(x.offset, 0);
	ck_assert_uint_eq(x.length, 69632 + 512);
	frame_get(&f, 3, &x);
	ck_assert_int_eq(x.type, WIRE_ZERO);
	ck_assert_uint_eq(x.length, 512);
}
END_TEST

START_TEST(wrong_ranges_are_refused)
{
	_cleanup_(frame_builder_freep) struct frame_builder *b = frame_builder_new(65536);
	_cleanup_(codec_freep) struct codec *c = codec_new();

	fill_noise(data, sizeof(data), 1);
	frame_begin(b, disk, 1, 0);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, 4096, data, 4096), 0);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, 4096, data, 512), -EINVAL);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, 7680, data, 512), -EINVAL);
	ck_assert_int_eq(frame_add_zero(b, 0, 512), -EINVAL);
	ck_assert_int_eq(frame_add_zero(b, 8192, 0), -EINVAL);
	ck_assert_int_eq(frame_add_zero(b, 8192, 100), -EINVAL);
	ck_assert_int_eq(frame_add_zero(b, 8200, 512), -EINVAL);
	ck_assert_int_eq(frame_add_zero(b, UINT64_MAX - 511, 1024), -EINVAL);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, 8192, data, 0), -EINVAL);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, 8192, data, 65536 + 512),
			 -EINVAL);
	ck_assert_uint_eq(frame_extents(b), 1);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, 8192, data, 512), 0);
	finish(b);
	ck_assert_ptr_null(frame_builder_new(0));
	ck_assert_ptr_null(frame_builder_new((8u << 20) + 1));
	frame_builder_free(NULL);
}
END_TEST

/* -ENOSPC adds nothing; the segment so far is good, and the next begins with the same extent. */
START_TEST(full_of_payload)
{
	_cleanup_(frame_builder_freep) struct frame_builder *b = frame_builder_new(8u << 20);
	_cleanup_(codec_freep) struct codec *c = codec_new();
	uint64_t offset = 0;

	fill_noise(data, sizeof(data), 1);
	frame_begin(b, disk, 1, 0);
	while (frame_add_data(b, c, WIRE_CODEC_NONE, 1, offset, data, sizeof(data)) == 0)
		offset += sizeof(data);
	ck_assert_uint_eq(offset, 8u << 20);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, offset, data, 512), -ENOSPC);
	ck_assert_uint_eq(finish(b).extent_count, 8);
	frame_begin(b, disk, 1, 1);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, offset, data, 512), 0);
	ck_assert_uint_eq(finish(b).extent_count, 1);
}
END_TEST

START_TEST(full_of_extents)
{
	_cleanup_(frame_builder_freep) struct frame_builder *b = frame_builder_new(8u << 20);
	_cleanup_(codec_freep) struct codec *c = codec_new();
	uint64_t offset = 0;

	frame_begin(b, disk, 1, 0);
	for (uint32_t i = 0; i < WIRE_EXTENTS_MAX; i++, offset += 1024)
		ck_assert_int_eq(frame_add_zero(b, offset, 512), 0);
	ck_assert_int_eq(frame_add_zero(b, offset, 512), -ENOSPC);
	fill_noise(data, 512, 1);
	ck_assert_int_eq(frame_add_data(b, c, WIRE_CODEC_NONE, 1, offset, data, 512), -ENOSPC);
	ck_assert_int_eq(frame_add_zero(b, offset - 512, 512), 0); /* lengthens the last */

	struct frame f = finish(b);

	ck_assert_uint_eq(f.extent_count, WIRE_EXTENTS_MAX);
	ck_assert_uint_le(f.total, WIRE_SEGMENT_MAX);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("frame_build");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, every_kind_comes_back);
	tcase_add_test(tc, noise_is_stored_as_it_is);
	tcase_add_test(tc, a_known_digest_is_used);
	tcase_add_test(tc, zeros_are_found_and_merged);
	tcase_add_test(tc, wrong_ranges_are_refused);
	tcase_add_test(tc, full_of_payload);
	tcase_add_test(tc, full_of_extents);
	return run_tcase("frame_build", tc);
}
