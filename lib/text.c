// SPDX-License-Identifier: Apache-2.0
#include "lib/text.h"

#include <stdio.h>
#include <string.h>

size_t text_control(const char *s, size_t len)
{
	unsigned char c = (unsigned char)s[0];

	if (c < ' ' || c == 0x7f)
		return 1;
	/* U+0080 to U+009F */
	return len > 1 && c == 0xc2 && (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] < 0xa0
		       ? 2
		       : 0;
}

/* The length of the character at s, which ends with a zero; 0 if it is none. */
static size_t character(const unsigned char *s)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Longer than it need be, half of a pair of UTF-16, or past U+10FFFF. */
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) || s[0] > 0xf4)
		return 0;
	return len;
}

bool text_utf8(const char *s)
{
	size_t len;

	for (; *s; s += len) {
		len = character((const unsigned char *)s);
		if (!len)
			return false;
	}
	return true;
}

void text_escape(char *out, size_t size, const char *s)
{
	size_t used = 0;

	for (; *s && used + 5 <= size; s++) {
		if (*s >= ' ' && *s <= '~')
			out[used++] = *s;
		else
			used += (size_t)snprintf(out + used, size - used, "\\x%02x",
						 (unsigned int)(unsigned char)*s);
	}
	out[used] = '\0';
}

bool text_printable(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text_control(s + i, len - i))
			return false;
	}
	return true;
}

void text_whole(char *s)
{
	size_t len = strlen(s), more = 0;

	while (more < 3 && more < len && ((unsigned char)s[len - 1 - more] & 0xc0) == 0x80)
		more++;
	if (more == len)
		return;

	unsigned char first = (unsigned char)s[len - 1 - more];
	size_t want = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;

	if (more < want)
		s[len - 1 - more] = 0;
}

void text_vformat(char *out, size_t size, const char *fmt, va_list args)
{
	if (vsnprintf(out, size, fmt, args) >= (int)size)
		text_whole(out);
}

void text_format(char *out, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_vformat(out, size, fmt, args);
	va_end(args);
}
