// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "lib/text.h"
#include "tests/unit/lib/support.h"

static const struct {
	const char *text;
	bool printable;
} texts[] = {
	{"", true},
	{"plain text", true},
	{"\xc3\xa9t\xc3\xa9 \xc2\xa0 \xe2\x82\xac",
	 true}, /* bytes from 80 to 9f, but no such character */
	{"\xc2", true},
	{"a\x1b[2J", false},
	{"\x7f", false},
	{"\xc2\x80", false},
	{"a\xc2\x9f", false},
	{"\xc2\x9b"
	 "31m",
	 false},
};

START_TEST(printable)
{
	ck_assert(text_printable(texts[_i].text, strlen(texts[_i].text)) == texts[_i].printable);
}
END_TEST

START_TEST(within_the_length)
{
	ck_assert(text_printable("a\n", 1));
	ck_assert(text_printable("a\xc2\x9b", 2));
	ck_assert_uint_eq(text_control("\xc2\x9b", 2), 2);
	ck_assert_uint_eq(text_control("\n", 1), 1);
	ck_assert_uint_eq(text_control("n", 1), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("text");

	tcase_add_loop_test(t, printable, 0, (int)(sizeof(texts) / sizeof(texts[0])));
	tcase_add_test(t, within_the_length);
	return run_tcase("text", t);
}
