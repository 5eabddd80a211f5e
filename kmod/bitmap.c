// SPDX-License-Identifier: GPL-2.0
#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "bitmap.h"
#include "testdelay.h"

#define MOB_CHUNK_WORDS	(MOB_BITMAP_CHUNK / BITS_PER_LONG)

static void mob_bitmap_measure(struct mob_bitmap *bm, u64 granules)
{
	u64 chunks = DIV_ROUND_UP_ULL(granules, MOB_BITMAP_CHUNK);

	bm->granules = granules;
	/* Whole chunks, so that no scan has to care for a last odd word. */
	bm->bytes = ALIGN(chunks * (MOB_BITMAP_CHUNK / 8), PAGE_SIZE);
	bm->summary_bytes = ALIGN(BITS_TO_LONGS(chunks) * sizeof(long), PAGE_SIZE);
}

u64 mob_bitmap_cost(u64 granules)
{
	struct mob_bitmap bm;

	mob_bitmap_measure(&bm, granules);
	return bm.bytes + bm.summary_bytes;
}

int mob_bitmap_init(struct mob_bitmap *bm, u64 granules)
{
	mob_bitmap_measure(bm, granules);
	bm->bits = vmalloc_user(bm->bytes);
	bm->summary = vzalloc(bm->summary_bytes);
	if (bm->bits && bm->summary)
		return 0;
	mob_bitmap_free(bm);
	return -ENOMEM;
}

void mob_bitmap_free(struct mob_bitmap *bm)
{
	vfree(bm->bits);
	vfree(bm->summary);
	bm->bits = NULL;
	bm->summary = NULL;
}

/* Sets the bits of @mask in a word; returns how many were clear. */
static unsigned int mob_word_set(unsigned long *word, unsigned long mask)
{
	unsigned long old = READ_ONCE(*word);
	unsigned int added = 0;
	unsigned long left;

	if ((old & mask) == mask)
		return 0;
	if (mask == ~0UL) {
		/* Plain store: whatever others set meanwhile is set by it too. */
		WRITE_ONCE(*word, mask);
		return hweight_long(~old);
	}
	for (left = mask & ~old; left; left &= left - 1)
		added += !test_and_set_bit(__ffs(left), word);
	return added;
}

u64 mob_bitmap_set_range(struct mob_bitmap *bm, u64 first, u64 count)
{
	unsigned long *bits = READ_ONCE(bm->bits);
	u64 last = first + count - 1;
	u64 bit = first;
	u64 added = 0;

	while (bit <= last) {
		u64 end = min(last, bit | (BITS_PER_LONG - 1));
		unsigned int n = mob_word_set(&bits[BIT_WORD(bit)],
					      GENMASK(end % BITS_PER_LONG, bit % BITS_PER_LONG));

		if (n) {
			mob_summary_set(bm, bit);
			added += n;
		}
		bit = end + 1;
	}
	return added;
}

static unsigned long mob_unsafe_word(const struct mob_bitmap *dirty,
				     const struct mob_bitmap *safe, u64 word)
{
	return READ_ONCE(dirty->bits[word]) & ~READ_ONCE(safe->bits[word]);
}

bool mob_bitmap_any_unsafe_range(const struct mob_bitmap *dirty, const struct mob_bitmap *safe,
				 u64 first, u64 count)
{
	u64 last = first + count - 1;
	u64 bit = first;

	while (bit <= last) {
		u64 end = min(last, bit | (BITS_PER_LONG - 1));
		unsigned long mask = GENMASK(end % BITS_PER_LONG, bit % BITS_PER_LONG);

		if (mob_unsafe_word(dirty, safe, BIT_WORD(bit)) & mask)
			return true;
		bit = end + 1;
	}
	return false;
}

bool mob_bitmap_any(const struct mob_bitmap *bm, u64 first, u64 count)
{
	u64 last = first + count - 1;
	u64 bit = first;

	while (bit <= last) {
		u64 end = min(last, bit | (BITS_PER_LONG - 1));

		if (READ_ONCE(bm->bits[BIT_WORD(bit)]) &
		    GENMASK(end % BITS_PER_LONG, bit % BITS_PER_LONG))
			return true;
		bit = end + 1;
	}
	return false;
}

static unsigned long mob_candidate_word(const struct mob_bitmap *dirty,
					const struct mob_bitmap *safe, u64 word)
{
	return dirty ? mob_unsafe_word(dirty, safe, word) : ~READ_ONCE(safe->bits[word]);
}

u64 mob_bitmap_next_unsafe(const struct mob_bitmap *dirty, const struct mob_bitmap *safe,
			   u64 *first, u64 end, u64 max)
{
	u64 bit = *first;
	u64 n;

	while (bit < end) {
		unsigned long word = mob_candidate_word(dirty, safe, BIT_WORD(bit)) >>
				     (bit % BITS_PER_LONG);

		if (word) {
			bit += __ffs(word);
			break;
		}
		bit = (bit | (BITS_PER_LONG - 1)) + 1;
	}
	*first = bit;
	if (bit >= end)
		return 0;
	mob_test_delay(MOB_DELAY_FOUND);
	/* The first is not looked at again: if it is safe by now, those behind it may not be. */
	for (n = 1; bit + n < end && n < max; n++)
		if (!(mob_candidate_word(dirty, safe, BIT_WORD(bit + n)) & BIT_MASK(bit + n)))
			break;
	return n;
}

static u64 mob_bitmap_chunks(const struct mob_bitmap *bm)
{
	return DIV_ROUND_UP_ULL(bm->granules, MOB_BITMAP_CHUNK);
}

#define for_each_chunk(chunk, bm)						\
	for ((chunk) = find_first_bit((bm)->summary, mob_bitmap_chunks(bm));	\
	     (chunk) < mob_bitmap_chunks(bm);					\
	     (chunk) = find_next_bit((bm)->summary, mob_bitmap_chunks(bm), (chunk) + 1))

u64 mob_bitmap_count(const struct mob_bitmap *bm)
{
	unsigned long chunk;
	u64 count = 0;
	int i;

	for_each_chunk(chunk, bm) {
		const unsigned long *word = bm->bits + chunk * MOB_CHUNK_WORDS;

		for (i = 0; i < MOB_CHUNK_WORDS; i++)
			count += hweight_long(READ_ONCE(word[i]));
		cond_resched();
	}
	return count;
}

bool mob_bitmap_intersects(const struct mob_bitmap *a, const struct mob_bitmap *b)
{
	unsigned long chunk;
	int i;

	for_each_chunk(chunk, a) {
		const unsigned long *wa = a->bits + chunk * MOB_CHUNK_WORDS;
		const unsigned long *wb = b->bits + chunk * MOB_CHUNK_WORDS;

		for (i = 0; i < MOB_CHUNK_WORDS; i++)
			if (READ_ONCE(wa[i]) & READ_ONCE(wb[i]))
				return true;
		cond_resched();
	}
	return false;
}

u64 mob_bitmap_merge(struct mob_bitmap *dst, const struct mob_bitmap *src)
{
	unsigned long chunk;
	u64 added = 0;
	int i;

	for_each_chunk(chunk, src) {
		unsigned long base = chunk * MOB_CHUNK_WORDS;

		set_bit(chunk, dst->summary);
		for (i = 0; i < MOB_CHUNK_WORDS; i++) {
			unsigned long word = READ_ONCE(src->bits[base + i]);

			if (word)
				added += mob_word_set(&dst->bits[base + i], word);
		}
		cond_resched();
	}
	return added;
}

void mob_bitmap_clear(struct mob_bitmap *bm)
{
	unsigned long chunk;

	for_each_chunk(chunk, bm) {
		memset(bm->bits + chunk * MOB_CHUNK_WORDS, 0, MOB_BITMAP_CHUNK / 8);
		cond_resched();
	}
	memset(bm->summary, 0, bm->summary_bytes);
}

void mob_bitmap_exchange(struct mob_bitmap *live, struct mob_bitmap *other)
{
	struct mob_bitmap old = *live;

	live->granules = other->granules;
	live->bytes = other->bytes;
	live->summary_bytes = other->summary_bytes;
	/* Release: whoever sees the new memory sees it as it was cleared. */
	smp_store_release(&live->summary, other->summary);
	/* Release: the same. */
	smp_store_release(&live->bits, other->bits);
	*other = old;
}

void mob_bitmap_summary_fill(struct mob_bitmap *bm)
{
	memset(bm->summary, 0xff, bm->summary_bytes);
}
