// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
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

/* As snprintf leaves it in a buffer that ends after so many bytes of it. */
START_TEST(a_character_is_whole_or_not_there)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xbe";
	static const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
	char cut[sizeof(text)];

	for (size_t n = 0; n < sizeof(text); n++) {
		snprintf(cut, n + 1, "%s", text);
		text_whole(cut);
		ck_assert_uint_eq(strlen(cut), want[n]);
		ck_assert_int_eq(strncmp(cut, text, want[n]), 0);
	}
	/* What is no UTF-8 anyway is left as it is. */
	strcpy(cut, "\x80\x80\x80\x80");
	text_whole(cut);
	ck_assert_uint_eq(strlen(cut), 4);
}
END_TEST

START_TEST(formatted_whole)
{
	char text[8];

	text_format(text, sizeof(text), "%s", "abcdef\xc3\xa4");
	ck_assert_str_eq(text, "abcdef");
	text_format(text, sizeof(text), "%s", "abcde\xc3\xa4");
	ck_assert_str_eq(text, "abcde\xc3\xa4");
	text_format(text, sizeof(text), "%d", 1234567);
	ck_assert_str_eq(text, "1234567");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("text");

	tcase_add_loop_test(t, printable, 0, (int)(sizeof(texts) / sizeof(texts[0])));
	tcase_add_test(t, within_the_length);
	tcase_add_test(t, a_character_is_whole_or_not_there);
	tcase_add_test(t, formatted_whole);
	return run_tcase("text", t);
}
