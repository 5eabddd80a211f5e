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

START_TEST(utf8)
{
	static const char *const right[] = {"",
					    "a",
					    "\x7f",
					    "\xc3\xa9",
					    "\xe0\xa0\x80",
					    "\xed\x9f\xbf",
					    "\xef\xbf\xbf",
					    "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf"};
	static const char *const wrong[] = {"b\xe9.img",
					    "\x80",
					    "\xc0\x80",
					    "\xc1\xbf",
					    "\xc3",
					    "\xc3(",
					    "\xe0\x9f\xbf",
					    "\xed\xa0\x80",
					    "\xe2\x82",
					    "\xf0\x8f\xbf\xbf",
					    "\xf4\x90\x80\x80",
					    "\xf5\x80\x80\x80",
					    "\xff"};

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		ck_assert_msg(text_utf8(right[i]), "right %zu", i);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!text_utf8(wrong[i]), "wrong %zu", i);
}
END_TEST

START_TEST(escaped)
{
	char text[12];

	text_escape(text, sizeof(text), "a b\xe9\n");
	ck_assert_str_eq(text, "a b\\xe9\\x0a");
	text_escape(text, sizeof(text), "abcdefghijklmn");
	ck_assert_uint_lt(strlen(text), sizeof(text));
	ck_assert_int_eq(strncmp(text, "abcdefghijklmn", strlen(text)), 0);
	text_escape(text, sizeof(text), "\x01\x02\x03\x04\x05");
	ck_assert_str_eq(text, "\\x01\\x02");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("text");

	tcase_add_loop_test(t, printable, 0, (int)(sizeof(texts) / sizeof(texts[0])));
	tcase_add_test(t, within_the_length);
	tcase_add_test(t, a_character_is_whole_or_not_there);
	tcase_add_test(t, formatted_whole);
	tcase_add_test(t, utf8);
	tcase_add_test(t, escaped);
	return run_tcase("text", t);
}
