/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 text. Control characters in it: those of ASCII, and U+0080 to U+009F, which terminals obey as well. Pure functions for any thread.
 */
#ifndef MOBILITY_TEXT_H
#define MOBILITY_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* The length in bytes of the control character at s, of which len > 0 bytes are left; 0 if there is none. */
size_t text_control(const char *s, size_t len);
/* UTF-8 throughout, as JSON wants it: no longer form than a character needs, no half of a pair. */
bool text_utf8(const char *s);
/* s for a message, whatever is in it: what is not printable ASCII as \xHH. Cut where out is too small. */
void text_escape(char *out, size_t size, const char *s);
/* No control character: it can do nothing to a terminal or a log. */
bool text_printable(const char *s, size_t len);
/*
 * A text in a buffer that was too small for it may end in half a character, and JSON takes none: what
 * there is of that is cut off.
 */
void text_whole(char *s);
/* snprintf() and vsnprintf(), whose text ends with a whole character where it is cut. */
void text_format(char *out, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void text_vformat(char *out, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

#endif
