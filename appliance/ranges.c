/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "appliance/ranges.h"

void ranges_clear(struct ranges *s)
{
	for (size_t i = 0; i < s->levels; i++)
		free(s->level[i].range);
	*s = (struct ranges){0};
}

/* Behind what out has; a neighbour is joined. */
static size_t put(struct range *out, size_t n, struct range r)
{
	if (n && out[n - 1].end == r.begin)
		out[n - 1].end = r.end;
	else
		out[n++] = r;
	return n;
}

/* Both together in memory of their own; NULL: out of memory. */
static struct range *merge(const struct range *a, size_t a_count, const struct range *b,
			   size_t b_count, size_t *count)
{
	struct range *out = reallocarray(NULL, a_count + b_count + 1, sizeof(*out)), *less;
	size_t i = 0, j = 0, n = 0;

	if (!out)
		return NULL;
	while (i < a_count || j < b_count) {
		if (j == b_count || (i < a_count && a[i].begin < b[j].begin))
			n = put(out, n, a[i++]);
		else
			n = put(out, n, b[j++]);
	}
	*count = n;
	/* Shrinking; where it fails the larger array serves as well. */
	less = reallocarray(out, n + 1, sizeof(*out));
	return less ? less : out;
}

static bool merge_last(struct ranges *s)
{
	size_t top = s->levels - 1, count;
	struct range *both = merge(s->level[top - 1].range, s->level[top - 1].count,
				   s->level[top].range, s->level[top].count, &count);

	if (!both)
		return false;
	free(s->level[top - 1].range);
	free(s->level[top].range);
	s->level[top - 1].range = both;
	s->level[top - 1].count = count;
	s->levels--;
	return true;
}

int ranges_add(struct ranges *s, const struct range *r, size_t count)
{
	struct range *mine;

	/* Only while memory is short do levels of like size pile up. */
	if (s->levels == RANGES_LEVELS && !merge_last(s))
		return -ENOMEM;
	mine = merge(r, count, NULL, 0, &count);
	if (!mine)
		return -ENOMEM;
	s->level[s->levels].range = mine;
	s->level[s->levels].count = count;
	s->levels++;
	while (s->levels > 1 &&
	       s->level[s->levels - 2].count <= 2 * s->level[s->levels - 1].count && merge_last(s))
		;
	return 0;
}

/* Index of the first range that ends after this offset. */
static size_t first_after(const struct range *r, size_t count, uint64_t offset)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r[mid].end <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool ranges_overlap(const struct ranges *s, const struct range *r, size_t count, uint64_t *at)
{
	for (size_t l = 0; l < s->levels; l++) {
		const struct range *mine = s->level[l].range;
		size_t from = 0, left = s->level[l].count;

		for (size_t i = 0; i < count && left; i++) {
			size_t skip = first_after(mine + from, left, r[i].begin);

			from += skip;
			left -= skip;
			if (!left || mine[from].begin >= r[i].end)
				continue;
			*at = mine[from].begin > r[i].begin ? mine[from].begin : r[i].begin;
			return true;
		}
	}
	return false;
}
