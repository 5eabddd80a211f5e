/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as kmod/bitmap.c and kmod/epoch.c need, for userspace. Every
 * access that the kernel makes atomic is an atomic builtin here, so that TSan sees it.
 */
#ifndef KSHIM_H
#define KSHIM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t u64;
typedef int64_t s64;
typedef uint32_t u32;
typedef uint8_t u8;

#define PAGE_SIZE		4096UL
#define BITS_PER_LONG		64
#define BIT_WORD(nr)		((nr) / BITS_PER_LONG)
#define BIT_MASK(nr)		(1UL << ((nr) % BITS_PER_LONG))
#define BITS_TO_LONGS(nr)	(((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define GENMASK(h, l)		((~0UL << (l)) & (~0UL >> (BITS_PER_LONG - 1 - (h))))
#define ALIGN(x, a)		(((x) + (a) - 1) / (a) * (a))
#define DIV_ROUND_UP_ULL(n, d)	(((n) + (d) - 1) / (d))
#define min(a, b)		((a) < (b) ? (a) : (b))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define ____cacheline_aligned	__attribute__((aligned(64)))

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* TSan does not know fences, but a read-modify-write of one variable orders as well. */
static inline void smp_mb(void)
{
	static int fence;

	__atomic_fetch_add(&fence, 1, __ATOMIC_SEQ_CST);
}
#define smp_mb__before_atomic()	smp_mb()
#define smp_mb__after_atomic()	smp_mb()

#define cmpxchg(p, old, new) ({							\
	__typeof__(*(p)) _old = (old);						\
	__atomic_compare_exchange_n((p), &_old, (new), false, __ATOMIC_SEQ_CST,	\
				    __ATOMIC_SEQ_CST);				\
	_old; })
#define cmpxchg64(p, old, new)	cmpxchg(p, old, new)

typedef struct { int counter; } atomic_t;
typedef struct { s64 counter; } atomic64_t;

#define atomic_set(v, i)		__atomic_store_n(&(v)->counter, (i), __ATOMIC_RELAXED)
#define atomic_read(v)			__atomic_load_n(&(v)->counter, __ATOMIC_RELAXED)
#define atomic_read_acquire(v)		__atomic_load_n(&(v)->counter, __ATOMIC_ACQUIRE)
#define atomic_inc(v)			((void)__atomic_fetch_add(&(v)->counter, 1, __ATOMIC_SEQ_CST))
#define atomic_dec(v)			((void)__atomic_fetch_sub(&(v)->counter, 1, __ATOMIC_SEQ_CST))
#define atomic64_set(v, i)		atomic_set(v, i)
#define atomic64_read(v)		atomic_read(v)
#define atomic64_inc(v)			atomic_inc(v)

static inline bool test_bit(unsigned long nr, const unsigned long *addr)
{
	return READ_ONCE(addr[BIT_WORD(nr)]) & BIT_MASK(nr);
}

static inline void set_bit(unsigned long nr, unsigned long *addr)
{
	__atomic_fetch_or(&addr[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline bool test_and_set_bit(unsigned long nr, unsigned long *addr)
{
	return __atomic_fetch_or(&addr[BIT_WORD(nr)], BIT_MASK(nr), __ATOMIC_SEQ_CST) &
	       BIT_MASK(nr);
}

static inline unsigned long __ffs(unsigned long word)
{
	return __builtin_ctzl(word);
}

static inline unsigned int hweight_long(unsigned long word)
{
	return __builtin_popcountl(word);
}

static inline unsigned long find_next_bit(const unsigned long *addr, unsigned long size,
					  unsigned long nr)
{
	while (nr < size && !test_bit(nr, addr))
		nr++;
	return min(nr, size);
}

static inline unsigned long find_first_bit(const unsigned long *addr, unsigned long size)
{
	return find_next_bit(addr, size, 0);
}

/* A test sets this to make the allocation of that number fail; 0: none. */
extern unsigned int kshim_fail_alloc;

static inline void *kshim_alloc(size_t bytes)
{
	return kshim_fail_alloc && !--kshim_fail_alloc ? NULL : calloc(1, bytes);
}
#define vmalloc_user(bytes)	kshim_alloc(bytes)
#define vzalloc(bytes)		kshim_alloc(bytes)
#define vfree(p)		free(p)

static inline void cond_resched(void)
{
}

#endif
