// SPDX-License-Identifier: GPL-2.0
#include <linux/cpumask.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "io.h"

DEFINE_PER_CPU(struct mob_io_cache, mob_io_cache);

static struct kmem_cache *mob_io_slab;
static mempool_t *mob_io_pool;

bool mob_io_refill(void)
{
	struct mob_io *io = mempool_alloc(mob_io_pool, GFP_NOWAIT | __GFP_NOWARN);
	unsigned long flags;
	bool kept;

	if (!io)
		return false;
	local_irq_save(flags);
	kept = mob_io_push(io);
	local_irq_restore(flags);
	if (!kept)	/* an interrupt filled the cache */
		mob_io_free(io);
	return true;
}

void mob_io_free(struct mob_io *io)
{
	mempool_free(io, mob_io_pool);
}

/*
 * Contexts that memory pressure cannot take. A machine that swaps to a tracked disk has hundreds of
 * writes in flight, of a page each, at the moment that it has no page left. What CPUs keep
 * at hand may come out of the reserve.
 */
static unsigned int mob_io_reserve(void)
{
	return clamp(totalram_pages() / 32, 1024UL, 4096UL) + num_online_cpus() * MOB_IO_CACHE_MAX;
}

int mob_io_init(void)
{
	mob_io_slab = KMEM_CACHE(mob_io, SLAB_HWCACHE_ALIGN);
	if (!mob_io_slab)
		return -ENOMEM;
	mob_io_pool = mempool_create_slab_pool(mob_io_reserve(), mob_io_slab);
	if (mob_io_pool)
		return 0;
	kmem_cache_destroy(mob_io_slab);
	return -ENOMEM;
}

void mob_io_exit(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct mob_io_cache *cache = per_cpu_ptr(&mob_io_cache, cpu);

		while (cache->free) {
			struct mob_io *io = cache->free;

			cache->free = io->next;
			mob_io_free(io);
		}
		cache->count = 0;
	}
	mempool_destroy(mob_io_pool);
	kmem_cache_destroy(mob_io_slab);
}
