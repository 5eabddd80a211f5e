// SPDX-License-Identifier: Apache-2.0
#include "agent/skip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void skip_clear(struct skip_set *s)
{
	free(s->range);
	memset(s, 0, sizeof(*s));
}

int skip_add(struct skip_set *s, uint64_t from, uint64_t to, enum skip_kind kind)
{
	if (from >= to || s->count == SKIP_RANGES_MAX)
		return 0;
	if (s->count == s->capacity) {
		size_t capacity = s->capacity ? 2 * s->capacity : 64;
		struct skip_range *range = realloc(s->range, capacity * sizeof(*range));

		if (!range)
			return -ENOMEM;
		s->range = range;
		s->capacity = capacity;
	}
	s->range[s->count++] = (struct skip_range){from, to, kind};
	return 0;
}

static int by_offset(const void *a, const void *b)
{
	const struct skip_range *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

void skip_settle(struct skip_set *s, uint64_t from, uint64_t to, uint64_t granule)
{
	uint64_t end = from, least = granule > SKIP_BYTES_MIN ? granule : SKIP_BYTES_MIN;
	size_t kept = 0;

	if (s->count)
		qsort(s->range, s->count, sizeof(*s->range), by_offset);
	for (size_t i = 0; i < s->count; i++) {
		struct skip_range r = s->range[i];

		if (r.from < end)
			r.from = end;
		if (r.to > to)
			r.to = to;
		if (r.from > UINT64_MAX - granule)
			continue;
		r.from = (r.from + granule - 1) & ~(granule - 1);
		r.to &= ~(granule - 1);
		if (r.from >= r.to || r.to - r.from < least)
			continue;
		end = r.to;
		s->range[kept++] = r;
	}
	s->count = kept;
}

int skip_intersect(struct skip_set *a, const struct skip_set *b)
{
	struct skip_set both = {0};
	size_t i = 0, j = 0;
	int r = 0;

	while (!r && i < a->count && j < b->count) {
		const struct skip_range *x = &a->range[i], *y = &b->range[j];

		r = skip_add(&both, x->from > y->from ? x->from : y->from,
			     x->to < y->to ? x->to : y->to, x->kind);
		if (x->to < y->to)
			i++;
		else
			j++;
	}
	skip_clear(a);
	*a = both;
	return r;
}
