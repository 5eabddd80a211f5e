/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/map.h"

struct list {
	struct piece *pieces;
	size_t count;
};

void map_clear(struct map *m)
{
	for (size_t i = 0; i < m->levels; i++)
		free(m->level[i].pieces);
	*m = (struct map){0};
}

static uint64_t end_of(const struct piece *p)
{
	return p->offset + p->length;
}

static void put(struct list *out, struct piece p, uint64_t begin, uint64_t end)
{
	if (begin >= end)
		return;
	p.offset = begin;
	p.length = end - begin;
	out->pieces[out->count++] = p;
}

/* All of newer, and of older what newer leaves uncovered. out has room for older + 2 * newer pieces. */
static void merge(const struct list *older, const struct list *newer, struct list *out)
{
	size_t j = 0;

	for (size_t i = 0; i < older->count; i++) {
		const struct piece *p = &older->pieces[i];
		uint64_t at = p->offset;

		/* A newer piece that was put before this older one may reach into it. */
		if (j > 0 && end_of(&newer->pieces[j - 1]) > at)
			at = end_of(&newer->pieces[j - 1]);
		for (; j < newer->count && newer->pieces[j].offset < end_of(p); j++) {
			const struct piece *n = &newer->pieces[j];

			put(out, *p, at, n->offset);
			out->pieces[out->count++] = *n;
			if (end_of(n) > at)
				at = end_of(n);
		}
		put(out, *p, at, end_of(p));
	}
	for (; j < newer->count; j++)
		out->pieces[out->count++] = newer->pieces[j];
}

/* Room for these and one more; where shrinking fails the larger array serves as well. */
static struct piece *shrink(struct piece *pieces, size_t count)
{
	struct piece *less = reallocarray(pieces, count + 1, sizeof(*pieces));

	if (less)
		pieces = less;
	return pieces;
}

static int merge_top(struct map *m)
{
	size_t top = m->levels - 1;
	struct list older = {m->level[top - 1].pieces, m->level[top - 1].count};
	struct list newer = {m->level[top].pieces, m->level[top].count};
	struct list out = {0};

	out.pieces = reallocarray(NULL, older.count + 2 * newer.count + 1, sizeof(*out.pieces));
	if (!out.pieces)
		return -ENOMEM;
	merge(&older, &newer, &out);
	free(older.pieces);
	free(newer.pieces);
	m->level[top - 1].pieces = shrink(out.pieces, out.count);
	m->level[top - 1].count = out.count;
	m->level[top - 1].rank++;
	m->levels--;
	return 0;
}

/* They become a level of their own on top. */
int map_add_pieces(struct map *m, struct piece *pieces, size_t count)
{
	if (count > UINT32_MAX || m->levels == MAP_LEVELS) {
		free(pieces);
		return -E2BIG;
	}
	m->level[m->levels].pieces = pieces;
	m->level[m->levels].count = count;
	m->level[m->levels].rank = 0;
	m->levels++;
	/* When memory is short the levels stay apart: slower, and just as right. */
	while (m->levels > 1 && m->level[m->levels - 1].rank >= m->level[m->levels - 2].rank &&
	       merge_top(m) == 0)
		;
	return 0;
}

struct piece map_piece(uint64_t epoch, const struct index_entry *n, size_t number)
{
	return (struct piece){
		.offset = n->offset,
		.length = n->length,
		.epoch = epoch,
		.entry = (uint32_t)number,
		.kind = n->type == WIRE_ZERO ? PIECE_ZERO : PIECE_DATA,
	};
}

int map_add_unknown(struct map *m, uint64_t epoch, uint64_t size, enum piece_kind kind)
{
	struct piece *p = malloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	*p = (struct piece){.length = size, .epoch = epoch, .kind = kind};
	return map_add_pieces(m, p, 1);
}

int map_collapse(struct map *m)
{
	int rc = 0;

	while (rc == 0 && m->levels > 1)
		rc = merge_top(m);
	return rc;
}

void map_drop(struct map *m, uint64_t epoch)
{
	for (size_t i = 0; i < m->levels; i++) {
		size_t n = 0;

		for (size_t k = 0; k < m->level[i].count; k++) {
			if (m->level[i].pieces[k].epoch > epoch)
				m->level[i].pieces[n++] = m->level[i].pieces[k];
		}
		m->level[i].count = n;
		m->level[i].pieces = shrink(m->level[i].pieces, n);
	}
}

uint64_t map_bytes(const struct map *m)
{
	uint64_t pieces = 0;

	for (size_t i = 0; i < m->levels; i++)
		pieces += m->level[i].count + 1;
	return pieces * sizeof(struct piece);
}

/* Index of the first piece that ends after offset. */
static size_t first_after(const struct piece *pieces, size_t count, uint64_t offset)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (end_of(&pieces[mid]) <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool map_find(const struct map *m, uint64_t offset, uint64_t limit, struct piece *p,
	      uint64_t *length)
{
	*length = limit;
	for (size_t l = m->levels; l > 0; l--) {
		const struct piece *pieces = m->level[l - 1].pieces;
		size_t count = m->level[l - 1].count;
		size_t i = first_after(pieces, count, offset);

		if (i == count)
			continue;
		if (pieces[i].offset <= offset) {
			uint64_t left = end_of(&pieces[i]) - offset;

			*p = pieces[i];
			p->offset = offset;
			if (left < *length)
				*length = left;
			p->length = *length;
			return true;
		}
		if (pieces[i].offset - offset < *length)
			*length = pieces[i].offset - offset;
	}
	return false;
}

uint64_t map_next(const struct map *m, uint64_t offset)
{
	uint64_t next = UINT64_MAX;

	for (size_t l = 0; l < m->levels; l++) {
		size_t i = first_after(m->level[l].pieces, m->level[l].count, offset);
		uint64_t at;

		if (i == m->level[l].count)
			continue;
		at = m->level[l].pieces[i].offset;
		if (at < offset)
			at = offset;
		if (at < next)
			next = at;
	}
	return next;
}
