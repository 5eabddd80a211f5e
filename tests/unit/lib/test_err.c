/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "tests/unit/lib/support.h"

START_TEST(fills_code_and_sentence)
{
	struct err e = {0};

	ck_assert_int_eq(err_set(&e, -EINVAL, "disk %s has %d errors", "vda", 3), -EINVAL);
	ck_assert_int_eq(e.code, -EINVAL);
	ck_assert_str_eq(e.text, "disk vda has 3 errors");
}
END_TEST

START_TEST(appends_the_errno)
{
	struct err e = {0};

	ck_assert_int_eq(err_errno(&e, -ENOENT, "cannot open %s", "/x"), -ENOENT);
	ck_assert_str_eq(e.text, "cannot open /x: No such file or directory");
}
END_TEST

START_TEST(prefixes_its_own_text)
{
	struct err e = {0};

	err_set(&e, -EIO, "read failed");
	ck_assert_int_eq(err_prefix(&e, "disk %s", "vda"), -EIO);
	ck_assert_str_eq(e.text, "disk vda: read failed");
	err_set(&e, -EBUSY, "again (%s)", e.text);
	ck_assert_str_eq(e.text, "again (disk vda: read failed)");
}
END_TEST

START_TEST(nobody_reads)
{
	ck_assert_int_eq(err_set(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(err_errno(NULL, -EIO, "x"), -EIO);
	ck_assert_int_eq(err_prefix(NULL, "x"), 0);
}
END_TEST

START_TEST(long_text_is_cut)
{
	struct err e = {0};
	char text[2000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	err_set(&e, -EIO, "%s", text);
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
	err_prefix(&e, "%s", text);
	ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 1);
}
END_TEST

/* A sentence goes into JSON, which takes no half of a character, and with it the whole answer. */
START_TEST(no_character_is_cut_in_two)
{
	char text[2 * sizeof(((struct err *)0)->text) + 1] = "";
	struct err e = {0};

	for (size_t i = 0; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	for (int skip = 0; skip < 2; skip++) {
		size_t want = sizeof(e.text) - 1 - !skip;

		err_set(&e, -EIO, "%.*s%s", skip, "x", text);
		ck_assert_uint_eq(strlen(e.text), want);
		err_prefix(&e, "%s", text);
		ck_assert_uint_eq(strlen(e.text), sizeof(e.text) - 2);
		err_errno(&e, -EIO, "%.*s%s", skip, "x", text);
		ck_assert_uint_eq(strlen(e.text), want);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("err");

	tcase_add_test(tc, fills_code_and_sentence);
	tcase_add_test(tc, appends_the_errno);
	tcase_add_test(tc, prefixes_its_own_text);
	tcase_add_test(tc, nobody_reads);
	tcase_add_test(tc, long_text_is_cut);
	tcase_add_test(tc, no_character_is_cut_in_two);
	return run_tcase("err", tc);
}
