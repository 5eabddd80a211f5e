// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "disk.h"
#include "pool.h"

#define MOB_POOL_DEFAULT_MAX	(256UL << 20)

static unsigned long pool_bytes;
module_param(pool_bytes, ulong, 0644);
MODULE_PARM_DESC(pool_bytes,
		 "bound of all preserved copies, in bytes (default: 1 % of RAM, at most 256 MiB)");

static atomic_long_t mob_pool_pages;

void mob_pool_init(void)
{
	if (!pool_bytes)
		pool_bytes = min(totalram_pages() / 100 * PAGE_SIZE, MOB_POOL_DEFAULT_MAX);
}

u64 mob_pool_limit_bytes(void)
{
	return READ_ONCE(pool_bytes);
}

u64 mob_pool_used_bytes(void)
{
	return (u64)atomic_long_read(&mob_pool_pages) << PAGE_SHIFT;
}

u64 mob_disk_pool_limit(const struct mob_disk *disk)
{
	return min(mob_pool_limit_bytes(), (u64)disk->pool_limit << PAGE_SHIFT);
}

static bool mob_charge(atomic_long_t *pages, unsigned long count, unsigned long limit)
{
	long used = atomic_long_read(pages);

	/* Never above the limit, not even for a moment: others see the count. */
	do {
		if (used + count > limit)
			return false;
	} while (!atomic_long_try_cmpxchg(pages, &used, used + count));
	return true;
}

static void mob_uncharge(struct mob_disk *disk, unsigned long count)
{
	atomic_long_sub(count, &disk->pool_pages);
	atomic_long_sub(count, &mob_pool_pages);
}

static bool mob_pool_charge(struct mob_disk *disk, unsigned long count, const char **reason)
{
	if (!mob_charge(&mob_pool_pages, count, mob_pool_limit_bytes() >> PAGE_SHIFT)) {
		*reason = "the pool of preserved copies is full (pool_bytes)";
		return false;
	}
	if (!mob_charge(&disk->pool_pages, count, disk->pool_limit)) {
		atomic_long_sub(count, &mob_pool_pages);
		*reason = "the disk's share of the pool of preserved copies is full";
		return false;
	}
	return true;
}

static void mob_pages_free(struct mob_copy *copy)
{
	while (copy->count)
		__free_page(copy->pages[--copy->count]);
	kfree(copy);
}

struct mob_copy *mob_copy_alloc(struct mob_disk *disk, const char **reason)
{
	unsigned int count = DIV_ROUND_UP(mob_disk_granule_bytes(disk), PAGE_SIZE);
	struct mob_copy *copy;

	if (!mob_pool_charge(disk, count, reason))
		return NULL;
	copy = kmalloc(struct_size(copy, pages, count), MOB_GFP_HELD);
	if (!copy)
		goto uncharge;
	for (copy->count = 0; copy->count < count; copy->count++) {
		copy->pages[copy->count] = alloc_page(MOB_GFP_HELD);
		if (!copy->pages[copy->count])
			goto free_copy;
	}
	return copy;

free_copy:
	mob_pages_free(copy);
uncharge:
	mob_uncharge(disk, count);
	*reason = "no memory at once for a preserved copy";
	return NULL;
}

void mob_copy_free(struct mob_disk *disk, struct mob_copy *copy)
{
	unsigned int count = copy->count;

	mob_pages_free(copy);
	mob_uncharge(disk, count);
}
