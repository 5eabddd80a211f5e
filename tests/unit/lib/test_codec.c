/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <zstd.h>

#include "lib/codec.h"
#include "tests/unit/lib/support.h"

#define BIG WIRE_EXTENT_DATA_MAX

static const enum wire_codec real[] = {WIRE_CODEC_ZLIB, WIRE_CODEC_ZSTD};
static uint8_t in[BIG], packed[BIG + 1024], out[BIG];

START_TEST(comes_back_at_every_length_and_level)
{
	static const size_t lengths[] = {512, 1024, 4096, 65536, BIG};
	static const int levels[] = {-99, -2, -1, 1, 3, 9, 99};
	_cleanup_(codec_freep) struct codec *c = codec_new();

	fill_text(in, BIG, 1);
	for (size_t k = 0; k < ARRAY_SIZE(real); k++) {
		for (size_t l = 0; l < ARRAY_SIZE(lengths) * ARRAY_SIZE(levels); l++) {
			size_t len = lengths[l % ARRAY_SIZE(lengths)];
			int level = levels[l / ARRAY_SIZE(lengths)];
			size_t n = codec_compress(c, real[k], level, in, len, packed, len);

			ck_assert_uint_gt(n, 0);
			ck_assert_uint_le(n, len - len / 16);
			memset(out, 0, len);
			ck_assert_int_eq(codec_decompress(c, real[k], packed, n, out, len), 0);
			ck_assert_mem_eq(in, out, len);
		}
	}
}
END_TEST

START_TEST(noise_is_not_compressed)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();

	fill_noise(in, 65536, 2);
	for (size_t k = 0; k < ARRAY_SIZE(real); k++) {
		ck_assert_uint_eq(codec_compress(c, real[k], 1, in, 65536, packed, 65536), 0);
		/* the context is as good as new afterwards */
		fill_text(out, 4096, 3);
		ck_assert_uint_gt(codec_compress(c, real[k], 1, out, 4096, packed, 4096), 0);
	}
	ck_assert_uint_eq(codec_compress(c, WIRE_CODEC_NONE, 1, out, 4096, packed, 4096), 0);
}
END_TEST

/* Never a byte more than cap, whatever cap is. */
START_TEST(cap_is_respected)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();

	fill_text(in, 4096, 4);
	for (size_t k = 0; k < ARRAY_SIZE(real); k++) {
		size_t need = codec_compress(c, real[k], 1, in, 4096, packed, 4096);

		ck_assert_uint_gt(need, 0);
		for (size_t cap = 0; cap < need; cap += 7) {
			memset(packed, 0xee, sizeof(packed));
			ck_assert_uint_eq(codec_compress(c, real[k], 1, in, 4096, packed, cap), 0);
			for (size_t i = cap; i < cap + 64; i++)
				ck_assert_uint_eq(packed[i], 0xee);
		}
	}
}
END_TEST

START_TEST(tiny_inputs)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();

	memset(in, 'a', 64);
	for (size_t k = 0; k < ARRAY_SIZE(real); k++) {
		for (size_t len = 0; len < 64; len++) {
			size_t n = codec_compress(c, real[k], 1, in, len, packed, len);

			ck_assert(n == 0 || n < len);
		}
	}
}
END_TEST

/*
 * Another length of either side, and every byte flipped: never accepted as other data, never beyond
 * the output.
 */
START_TEST(damage_is_noticed)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();

	fill_text(in, 4096, 5);
	for (size_t k = 0; k < ARRAY_SIZE(real); k++) {
		size_t n = codec_compress(c, real[k], 1, in, 4096, packed, 4096);

		ck_assert_int_eq(codec_decompress(c, real[k], packed, n, out, 4095), -EBADMSG);
		ck_assert_int_eq(codec_decompress(c, real[k], packed, n, out, 4097), -EBADMSG);
		ck_assert_int_eq(codec_decompress(c, real[k], packed, n - 1, out, 4096), -EBADMSG);
		ck_assert_int_eq(codec_decompress(c, real[k], packed, n + 1, out, 4096), -EBADMSG);
		ck_assert_int_eq(codec_decompress(c, real[k], packed, 0, out, 4096), -EBADMSG);
		for (size_t i = 0; i < n; i++) {
			packed[i] ^= 0x55;
			out[4096] = 0xee;
			codec_decompress(c, real[k], packed, n, out, 4096);
			ck_assert_uint_eq(out[4096], 0xee);
			packed[i] ^= 0x55;
		}
		ck_assert_int_eq(codec_decompress(c, real[k], packed, n, out, 4096), 0);
		ck_assert_mem_eq(in, out, 4096);
	}
}
END_TEST

/* Two frames, or a frame and a skippable one, are what zstd alone would take. */
START_TEST(one_frame_only)
{
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x'};
	_cleanup_(codec_freep) struct codec *c = codec_new();

	fill_text(in, 4096, 6);

	size_t a = ZSTD_compress(packed, sizeof(packed), in, 2048, 1);
	size_t b = ZSTD_compress(packed + a, sizeof(packed) - a, in + 2048, 2048, 1);

	ck_assert_int_eq(codec_decompress(c, WIRE_CODEC_ZSTD, packed, a + b, out, 4096), -EBADMSG);
	memcpy(packed + a, skippable, sizeof(skippable));
	ck_assert_int_eq(codec_decompress(c, WIRE_CODEC_ZSTD, packed, a + sizeof(skippable), out,
					  2048),
			 -EBADMSG);
	ck_assert_int_eq(codec_decompress(c, WIRE_CODEC_ZSTD, packed, a, out, 2048), 0);
}
END_TEST

START_TEST(none_copies)
{
	_cleanup_(codec_freep) struct codec *c = codec_new();

	fill_noise(in, 512, 7);
	ck_assert_int_eq(codec_decompress(c, WIRE_CODEC_NONE, in, 512, out, 512), 0);
	ck_assert_mem_eq(in, out, 512);
	ck_assert_int_eq(codec_decompress(c, WIRE_CODEC_NONE, in, 512, out, 511), -EBADMSG);
	ck_assert_int_eq(codec_decompress(c, (enum wire_codec)3, in, 512, out, 512),
			 -EPROTONOSUPPORT);
}
END_TEST

START_TEST(names_and_back)
{
	for (int k = WIRE_CODEC_NONE; k <= WIRE_CODEC_ZSTD; k++)
		ck_assert_int_eq(codec_parse(codec_name((enum wire_codec)k)), k);
	ck_assert_int_eq(codec_parse("lz4"), -EINVAL);
	ck_assert_str_eq(codec_name((enum wire_codec)9), "unknown");
	codec_free(NULL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("codec");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, comes_back_at_every_length_and_level);
	tcase_add_test(tc, noise_is_not_compressed);
	tcase_add_test(tc, cap_is_respected);
	tcase_add_test(tc, tiny_inputs);
	tcase_add_test(tc, damage_is_noticed);
	tcase_add_test(tc, one_frame_only);
	tcase_add_test(tc, none_copies);
	tcase_add_test(tc, names_and_back);
	return run_tcase("codec", tc);
}
