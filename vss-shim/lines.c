// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int lines_read(struct lines *l, int fd)
{
	ssize_t n;

	if (l->used == sizeof(l->data))
		return memchr(l->data, '\n', l->used) ? -EAGAIN : -EMSGSIZE;
	n = read(fd, l->data + l->used, sizeof(l->data) - l->used);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	l->used += (size_t)n;
	return (int)n;
}

bool lines_take(struct lines *l, char out[LINE_MAX_BYTES], size_t *len)
{
	const char *end = memchr(l->data, '\n', l->used);

	if (!end)
		return false;
	*len = (size_t)(end - l->data);
	memcpy(out, l->data, *len);
	out[*len] = '\0';
	l->used -= *len + 1;
	memmove(l->data, end + 1, l->used);
	return true;
}
