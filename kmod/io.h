/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The context of a tracked write, and where it comes from: each CPU keeps some at hand,
 * behind them is a slab, and behind that a reserve that memory pressure cannot take.
 *
 *	mob_io_pop, mob_io_push		interrupts off
 *	mob_io_refill, mob_io_free	any context but that (PREEMPT_RT); do not sleep
 *	mob_io_init, mob_io_exit	process context; no context is in use
 */
#ifndef MOB_IO_H
#define MOB_IO_H

#include <linux/bio.h>
#include <linux/compiler.h>
#include <linux/ktime.h>
#include <linux/llist.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>

struct mob_disk;

struct mob_io {
	struct mob_disk *disk;
	bio_end_io_t *end_io;		/* the submitter's */
	void *private;
	sector_t sector;		/* of the whole write, for the case that it fails */
	unsigned int sectors;
	bool late;			/* part of it was on its way before the attachment */
	u8 lane;			/* held: its place, see issue.h */
	u64 epoch;			/* the tag */
	union {
		struct mob_io *next;	/* in a cache */
		struct bio *bio;	/* held, or its completion is */
	};
	ktime_t held_since;
	union {
		struct work_struct work;
		struct llist_node queued;	/* in its lane */
	};
};

/* What a CPU keeps at most. */
#define MOB_IO_CACHE_MAX	64

struct mob_io_cache {
	struct mob_io *free;
	unsigned int count;
};

DECLARE_PER_CPU(struct mob_io_cache, mob_io_cache);

int mob_io_init(void);
void mob_io_exit(void);

/* Puts one into this CPU's cache. False: there is no memory. */
bool mob_io_refill(void);
void mob_io_free(struct mob_io *io);

/* NULL: the cache is empty. */
static __always_inline struct mob_io *mob_io_pop(void)
{
	struct mob_io_cache *cache = this_cpu_ptr(&mob_io_cache);
	struct mob_io *io = cache->free;

	if (likely(io)) {
		cache->free = io->next;
		cache->count--;
	}
	return io;
}

/* False: the cache is full, and the context to be freed. */
static __always_inline bool mob_io_push(struct mob_io *io)
{
	struct mob_io_cache *cache = this_cpu_ptr(&mob_io_cache);

	if (unlikely(cache->count >= MOB_IO_CACHE_MAX))
		return false;
	io->next = cache->free;
	cache->free = io;
	cache->count++;
	return true;
}

#endif
