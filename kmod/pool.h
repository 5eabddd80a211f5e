/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The bounded pool of preserved copies: accounting, and allocation that neither
 * reclaims memory nor dips into reserves. Process context.
 */
#ifndef MOB_POOL_H
#define MOB_POOL_H

#include <linux/gfp.h>
#include <linux/types.h>

/*
 * How memory is asked for while a write is held. Not from direct reclaim: that has no bound in
 * time, and the page that it writes back may wait for the very write. The kernel reclaims behind
 * our back; where there is nothing at once, the point is given up.
 */
#define MOB_GFP_HELD	(GFP_NOWAIT | __GFP_NOWARN)

struct mob_disk;
struct page;

/* The content of a granule at the boundary. */
struct mob_copy {
	unsigned int count;
	struct page *pages[];
};

void mob_pool_init(void);
u64 mob_pool_limit_bytes(void);
u64 mob_pool_used_bytes(void);
/* What the disk may use of it. */
u64 mob_disk_pool_limit(const struct mob_disk *disk);

/*
 * A copy for one granule of the disk, its content undefined. NULL with the reason
 * in *reason if a bound or memory does not allow it.
 */
struct mob_copy *mob_copy_alloc(struct mob_disk *disk, const char **reason);
void mob_copy_free(struct mob_disk *disk, struct mob_copy *copy);

#endif
