/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bitmaps of granules, with a summary that makes scans and clears of a mostly
 * clean disk cheap: one summary bit for each MOB_BITMAP_CHUNK bits.
 *
 *	function			concurrently with	sleeps
 *	mob_bitmap_set			itself, every reader	no, any context
 *	mob_bitmap_any, _any_unsafe	itself, _set		no, any context
 *	mob_bitmap_next_unsafe		itself, _set		no
 *	mob_bitmap_count, _intersects	itself			may reschedule
 *	mob_bitmap_merge		_set on either		may reschedule
 *	mob_bitmap_clear		nothing on this bitmap	may reschedule
 *	mob_bitmap_exchange		_set on @live		no
 *	mob_bitmap_summary_fill		nothing on this bitmap	no
 *	mob_bitmap_init, _free		nothing on this bitmap	yes
 *
 * A reader that must see every bit set before some instant has to synchronise
 * with the setters by its own means (mob_sections_sync()).
 *
 * The words are userspace's dirty bitmap too, whose bit order is little-endian
 * within bytes; on the little-endian machines that we support these are the same.
 */
#ifndef MOB_BITMAP_H
#define MOB_BITMAP_H

#include <linux/bitops.h>
#include <linux/compiler.h>
#include <linux/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the dirty bitmap is shared with userspace in little-endian bit order"
#endif

/* The bits of one page of bitmap. */
#define MOB_BITMAP_CHUNK	32768

struct mob_bitmap {
	unsigned long *bits;	/* vmalloc_user(), whole pages */
	unsigned long *summary;	/* both may change under a setter: mob_bitmap_exchange() */
	u64 granules;
	size_t bytes;		/* of bits, a multiple of PAGE_SIZE */
	size_t summary_bytes;
};

/* The memory that one of so many granules takes. */
u64 mob_bitmap_cost(u64 granules);

/* All clear. 0 or -ENOMEM. */
int mob_bitmap_init(struct mob_bitmap *bm, u64 granules);
void mob_bitmap_free(struct mob_bitmap *bm);

/* The part of mob_bitmap_set() that need not be fast. */
u64 mob_bitmap_set_range(struct mob_bitmap *bm, u64 first, u64 count);

/*
 * A summary bit follows its bits. Whoever finds a bit set and leaves the summary
 * to the one that set it relies on scans beginning only when both are done
 * (mob_sections_sync()).
 */
static inline void mob_summary_set(struct mob_bitmap *bm, u64 bit)
{
	unsigned long *summary = READ_ONCE(bm->summary);
	unsigned long chunk = bit / MOB_BITMAP_CHUNK;

	if (!test_bit(chunk, summary))
		set_bit(chunk, summary);
}

/*
 * Sets @count > 0 bits from @first on; the range must lie within the bitmap.
 * Returns how many were clear before; each bit is counted by one caller only,
 * except that concurrent setters of a whole word may both count it.
 */
static inline u64 mob_bitmap_set(struct mob_bitmap *bm, u64 first, u64 count)
{
	unsigned long *bits = READ_ONCE(bm->bits);

	if (unlikely(count != 1))
		return mob_bitmap_set_range(bm, first, count);
	/* Most writes find their granule dirty already and need no atomic operation. */
	if (test_bit(first, bits) || test_and_set_bit(first, bits))
		return 0;
	mob_summary_set(bm, first);
	return 1;
}

/* Is any bit of the range set? @count > 0. */
bool mob_bitmap_any(const struct mob_bitmap *bm, u64 first, u64 count);

/* The part of mob_bitmap_any_unsafe() that need not be fast. */
bool mob_bitmap_any_unsafe_range(const struct mob_bitmap *dirty, const struct mob_bitmap *safe,
				 u64 first, u64 count);

/* Is any bit of the range set in @dirty and clear in @safe? */
static inline bool mob_bitmap_any_unsafe(const struct mob_bitmap *dirty,
					 const struct mob_bitmap *safe, u64 first, u64 count)
{
	if (unlikely(count != 1))
		return mob_bitmap_any_unsafe_range(dirty, safe, first, count);
	return test_bit(first, dirty->bits) && !test_bit(first, safe->bits);
}

/*
 * Finds the first run of such bits in [*first, end); with NULL for @dirty, of bits that are
 * clear in @safe. Returns its length, at most @max > 0, and its start in *first; 0 if there is
 * none. A bit that becomes safe meanwhile may count or not; those behind it do not go with it.
 */
u64 mob_bitmap_next_unsafe(const struct mob_bitmap *dirty, const struct mob_bitmap *safe,
			   u64 *first, u64 end, u64 max);

u64 mob_bitmap_count(const struct mob_bitmap *bm);
bool mob_bitmap_intersects(const struct mob_bitmap *a, const struct mob_bitmap *b);

/* dst |= src. Returns how many bits of dst were clear before. */
u64 mob_bitmap_merge(struct mob_bitmap *dst, const struct mob_bitmap *src);
void mob_bitmap_clear(struct mob_bitmap *bm);

/*
 * Exchanges @live, which has setters, and @other, which has none: a setter sees the
 * content of either, and may see the bits of one and the summary of the other. @other
 * is at least as large, and what it holds is visible to who sees it.
 */
void mob_bitmap_exchange(struct mob_bitmap *live, struct mob_bitmap *other);
/* Every chunk may hold something: for a bitmap whose summary cannot be relied on. */
void mob_bitmap_summary_fill(struct mob_bitmap *bm);

#endif
