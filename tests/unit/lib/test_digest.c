/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/digest.h"
#include "tests/unit/lib/support.h"

/* FIPS 180-2, appendix B */
static const struct {
	const char *text, *hex;
} vectors[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

START_TEST(sha256_of_known_texts)
{
	uint8_t d[DIGEST_BYTES];
	char hex[DIGEST_HEX_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		digest_sha256(vectors[i].text, strlen(vectors[i].text), d);
		hex_encode(d, sizeof(d), hex);
		ck_assert_str_eq(hex, vectors[i].hex);
	}
}
END_TEST

START_TEST(in_pieces_and_again)
{
	_cleanup_(digest_freep) struct digest *d = digest_new();
	uint8_t got[DIGEST_BYTES];
	char hex[DIGEST_HEX_BYTES];

	for (int round = 0; round < 2; round++) {
		digest_update(d, "a", 1);
		digest_update(d, "", 0);
		digest_update(d, "bc", 2);
		digest_final(d, got);
		hex_encode(got, sizeof(got), hex);
		ck_assert_str_eq(hex, vectors[1].hex);
	}
	digest_free(NULL);
}
END_TEST

START_TEST(hex_is_strict)
{
	static const char *const bad[] = {"",	  "0",	   "001",    "00f", "00F0",
					  "00g0", "00ff0", "00ff00", " 0ff"};
	uint8_t out[2];

	ck_assert_int_eq(hex_decode("00ff", out, 2), 0);
	ck_assert_uint_eq(out[0], 0);
	ck_assert_uint_eq(out[1], 0xff);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(hex_decode(bad[i], out, 2) == -EINVAL, "accepted %s", bad[i]);
}
END_TEST

START_TEST(uuid_text_and_back)
{
	static const char text[] = "01234567-89ab-4def-8012-3456789abcde";
	uint8_t id[UUID_BYTES];
	char out[UUID_TEXT_BYTES];

	ck_assert_int_eq(uuid_parse_text(text, id), 0);
	ck_assert_uint_eq(id[0], 0x01);
	ck_assert_uint_eq(id[15], 0xde);
	uuid_format(id, out);
	ck_assert_str_eq(out, text);
}
END_TEST

/* Each of the 36 characters broken, and each shorter text. */
START_TEST(uuid_is_strict)
{
	static const char text[] = "01234567-89ab-4def-8012-3456789abcde";
	uint8_t id[UUID_BYTES];

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char bad[sizeof(text)];

		memcpy(bad, text, sizeof(bad));
		bad[i] = 'G';
		ck_assert_int_eq(uuid_parse_text(bad, id), -EINVAL);
		bad[i] = bad[i] == '-' ? '0' : '-';
		if (text[i] != '-')
			ck_assert_int_eq(uuid_parse_text(bad, id), -EINVAL);
		bad[i] = 0;
		ck_assert_int_eq(uuid_parse_text(bad, id), -EINVAL);
	}
	ck_assert_int_eq(uuid_parse_text("01234567-89AB-4def-8012-3456789abcde", id), -EINVAL);
	ck_assert_int_eq(uuid_parse_text("01234567-89ab-4def-8012-3456789abcde0", id), -EINVAL);
}
END_TEST

START_TEST(uuids_are_random_version_4)
{
	uint8_t a[UUID_BYTES], b[UUID_BYTES];

	uuid_random(a);
	uuid_random(b);
	ck_assert_int_ne(memcmp(a, b, UUID_BYTES), 0);
	ck_assert_uint_eq(a[6] >> 4, 4);
	ck_assert_uint_eq(a[8] >> 6, 2);
}
END_TEST

/* One set byte at every position of every short length, and in a big buffer. */
START_TEST(zero_means_every_byte)
{
	static uint8_t buf[1 << 20];
	static const size_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 512};

	ck_assert(mem_is_zero(buf, 0));
	for (size_t l = 0; l < ARRAY_SIZE(lengths); l++) {
		ck_assert(mem_is_zero(buf, lengths[l]));
		for (size_t i = 0; i < lengths[l]; i++) {
			buf[i] = 0x80;
			ck_assert(!mem_is_zero(buf, lengths[l]));
			buf[i] = 0;
		}
	}
	ck_assert(mem_is_zero(buf, sizeof(buf)));
	buf[sizeof(buf) - 1] = 1;
	ck_assert(!mem_is_zero(buf, sizeof(buf)));
	ck_assert(mem_is_zero(buf, sizeof(buf) - 1));
	memset(buf, 7, sizeof(buf));
	ck_assert(!mem_is_zero(buf, sizeof(buf)));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("digest");

	tcase_add_test(tc, sha256_of_known_texts);
	tcase_add_test(tc, in_pieces_and_again);
	tcase_add_test(tc, hex_is_strict);
	tcase_add_test(tc, uuid_text_and_back);
	tcase_add_test(tc, uuid_is_strict);
	tcase_add_test(tc, uuids_are_random_version_4);
	tcase_add_test(tc, zero_means_every_byte);
	return run_tcase("digest", tc);
}
