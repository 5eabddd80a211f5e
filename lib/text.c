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
