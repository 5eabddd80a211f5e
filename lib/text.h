/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control characters in UTF-8 text: those of ASCII, and U+0080 to U+009F, which terminals obey as well. Pure functions for any thread.
 */
#ifndef MOBILITY_TEXT_H
#define MOBILITY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* The length in bytes of the control character at s, of which len > 0 bytes are left; 0 if there is none. */
size_t text_control(const char *s, size_t len);
/* No control character: it can do nothing to a terminal or a log. */
bool text_printable(const char *s, size_t len);

#endif
