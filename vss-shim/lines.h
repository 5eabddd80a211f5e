/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that arrive on a descriptor that does not block. One thread; the bytes are not trusted.
 */
#ifndef VSS_SHIM_LINES_H
#define VSS_SHIM_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_MAX_BYTES 4096 /* with the newline */

struct lines {
	char data[LINE_MAX_BYTES];
	size_t used;
};

/* Bytes read, 0 at the end, -EAGAIN, -EMSGSIZE (full and no newline), or another negative errno. */
int lines_read(struct lines *l, int fd);
/* The first whole line, without its newline and with a 0 behind it; false: there is none. */
bool lines_take(struct lines *l, char out[LINE_MAX_BYTES], size_t *len);

#endif
