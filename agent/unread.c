// SPDX-License-Identifier: Apache-2.0
#include "agent/unread.h"

#include <stdio.h>
#include <string.h>

static void remove_at(struct unread *u, unsigned int i)
{
	u->count--;
	memmove(&u->range[i], &u->range[i + 1], (u->count - i) * sizeof(u->range[0]));
}

static void insert_at(struct unread *u, unsigned int i, struct run r)
{
	if (u->count == UNREAD_RANGES) {
		u->more = true;
		if (i == UNREAD_RANGES)
			return;
		u->count--;
	}
	memmove(&u->range[i + 1], &u->range[i], (u->count - i) * sizeof(u->range[0]));
	u->range[i] = r;
	u->count++;
}

void unread_add(struct unread *u, uint64_t offset, uint64_t length)
{
	struct run r = {offset, length};
	unsigned int i = 0;

	u->bytes += length;
	while (i < u->count && u->range[i].offset < offset)
		i++;
	if (i < u->count && offset + length == u->range[i].offset) {
		r.length += u->range[i].length;
		remove_at(u, i);
	}
	if (i > 0 && u->range[i - 1].offset + u->range[i - 1].length == offset)
		u->range[i - 1].length += r.length;
	else
		insert_at(u, i, r);
}

bool unread_same(const struct unread *a, const struct unread *b)
{
	return a->bytes == b->bytes && a->count == b->count &&
	       !memcmp(a->range, b->range, a->count * sizeof(a->range[0]));
}

void unread_text(const struct unread *u, const char *path, char *out, size_t size)
{
	size_t at = 0;

	if (u->count == 1 && !u->more) {
		snprintf(out, size, "%llu bytes at offset %llu of %s cannot be read",
			 (unsigned long long)u->bytes, (unsigned long long)u->range[0].offset,
			 path);
		return;
	}
	for (unsigned int i = 0; i < u->count && at < size; i++) {
		const struct run *r = &u->range[i];

		if (!i)
			at = (size_t)snprintf(out, size, "%llu bytes of %s cannot be read:",
					      (unsigned long long)u->bytes, path);
		if (at < size)
			at += (size_t)snprintf(out + at, size - at, "%s %llu at offset %llu",
					       i ? "," : "", (unsigned long long)r->length,
					       (unsigned long long)r->offset);
	}
	if (u->more && at < size)
		snprintf(out + at, size - at, ", and more at higher offsets");
}
