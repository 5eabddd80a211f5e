// SPDX-License-Identifier: Apache-2.0
#include "agent/runs.h"

#include <endian.h>
#include <string.h>

/* 64 bits from bit n * 64 on; bits past the end are clear. */
static uint64_t load_word(const uint8_t *bitmap, uint64_t bits, uint64_t n)
{
	uint64_t bytes = (bits + 7) / 8, at = n * 8, word = 0;

	memcpy(&word, bitmap + at, bytes - at < 8 ? bytes - at : 8);
	word = le64toh(word);
	if (bits - n * 64 < 64)
		word &= (1ull << (bits - n * 64)) - 1;
	return word;
}

/*
 * The first bit at or after pos that is set (invert 0) or clear (invert ~0); bits if there is
 * none.
 */
static uint64_t find_bit(const uint8_t *bitmap, uint64_t bits, uint64_t pos, uint64_t invert)
{
	uint64_t n = pos / 64, word;

	if (pos >= bits)
		return bits;
	word = (load_word(bitmap, bits, n) ^ invert) & (~0ull << (pos % 64));
	while (!word) {
		if (++n * 64 >= bits)
			return bits;
		word = load_word(bitmap, bits, n) ^ invert;
	}
	pos = n * 64 + (uint64_t)__builtin_ctzll(word);
	return pos < bits ? pos : bits;
}

bool runs_next(const uint8_t *bitmap, uint64_t bits, uint64_t *pos, uint64_t *start, uint64_t *end)
{
	*start = find_bit(bitmap, bits, *pos, 0);
	if (*start >= bits)
		return false;
	*end = find_bit(bitmap, bits, *start, ~0ull);
	*pos = *end;
	return true;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The next dirty run of the disk's current span at or after its position, in bytes. */
static bool next_in_span(const struct plan_disk *d, const struct span *s, uint64_t pos,
			 struct run *out)
{
	uint64_t bit, start, end, from = pos > s->from ? pos : s->from,
				  to = min_u64(s->to, d->size);

	if (from >= to)
		return false;
	if (!d->bitmap) {
		*out = (struct run){from, to - from};
		return true;
	}
	bit = from >> d->shift;
	if (!runs_next(d->bitmap, d->granules, &bit, &start, &end))
		return false;
	start = start << d->shift;
	end = min_u64(end << d->shift, to);
	if (start < from)
		start = from;
	if (start >= end)
		return false;
	*out = (struct run){start, end - start};
	return true;
}

/* Take at most `budget` bytes of a run, whole granules where the run is longer. */
static uint64_t clip(const struct plan_disk *d, uint64_t length, uint64_t budget)
{
	uint64_t granule = d->bitmap ? 1ull << d->shift : 512;

	if (length <= budget)
		return length;
	budget &= ~(granule - 1);
	return budget ? budget : min_u64(granule, length);
}

static void take_runs(struct plan_disk *d, struct piece *out)
{
	const struct span *s = &d->spans[d->span];
	uint64_t limit = s->mode == PIECE_SEND ? PIECE_SEND_BYTES : PIECE_COMPARE_BYTES;
	unsigned int most = s->mode == PIECE_SEND ? PIECE_RUNS : 1;
	struct run r;

	while (out->run_count < most && out->bytes < limit && next_in_span(d, s, d->pos, &r)) {
		r.length = clip(d, r.length, limit - out->bytes);
		/*
		 * One granule that is larger than what is left of the budget waits for the next
		 * piece.
		 */
		if (out->run_count && out->bytes + r.length > limit)
			break;
		out->run[out->run_count++] = r;
		out->bytes += r.length;
		d->pos = r.offset + r.length;
	}
}

bool plan_next(struct plan *p, struct piece *out)
{
	while (p->disk < p->disk_count) {
		struct plan_disk *d = &p->disks[p->disk];

		while (d->span < d->span_count) {
			out->owner = d->owner;
			out->mode = d->spans[d->span].mode;
			out->run_count = 0;
			out->bytes = 0;
			take_runs(d, out);
			if (out->run_count)
				return true;
			d->span++;
		}
		p->disk++;
	}
	return false;
}

uint64_t plan_bytes(const struct plan_disk *d)
{
	uint64_t sum = 0, pos;
	struct run r;

	for (unsigned int i = 0; i < d->span_count; i++) {
		pos = d->spans[i].from;
		while (next_in_span(d, &d->spans[i], pos, &r)) {
			sum += r.length;
			pos = r.offset + r.length;
		}
	}
	return sum;
}
