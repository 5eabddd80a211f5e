/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Attached disks. A disk is keyed on its gendisk, which the attachment keeps alive
 * through the open file that it was attached with: a pointer that stays valid and is
 * never reused, unlike a dev_t.
 *
 * Life: attached (in the hash, writes are tracked) -> unhooked (detached, or gone) ->
 * freed, when its last write in flight has completed and nobody holds a reference.
 *
 *	function			context
 *	mob_disk_maybe			any
 *	mob_disk_find, _find_in, _head_of	interrupts off; the result is valid while they are
 *	mob_disk_find_get, _by_id	process; takes a reference
 *	mob_disk_get, _raise		any
 *	mob_disk_put			process, may sleep
 *	mob_disk_attach, _detach	process, without mob_mutex
 *	mob_disk_for_each		mob_mutex held
 *	mob_disk_in_flight and the sums	process; they lag behind the other CPUs
 */
#ifndef MOB_DISK_H
#define MOB_DISK_H

#include <linux/atomic.h>
#include <linux/blkdev.h>
#include <linux/hash.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <mobility/uapi.h>

#include "bitmap.h"
#include "granule.h"
#include "issue.h"
#include "stats.h"

#define MOB_DISKS_MAX		64
#define MOB_HASH_BITS		7
#define MOB_DISK_MAPS		3
/* Writes wait for what is queued, those that free memory as well. */
#define MOB_WQ_FLAGS		(WQ_MEM_RECLAIM | WQ_UNBOUND | WQ_HIGHPRI)

/* As many held writes read at a time: behind so many stands one when the point was given up. */
#define MOB_HELD_WORKERS	256

/*
 * As many granules of a write-back are preserved at a time at most; a disk has hardly a use for
 * more, and half of the requests that it takes are left to others.
 */
#define MOB_BACK_WORKERS	32

/* What the write path counts, on the CPU that it runs on, interrupts off. */
struct mob_disk_cpu {
	long in_flight[2];	/* by parity of the epoch; only the sum means something */
	long dirty[2];		/* bits set, by parity */
	u64 writes;
	u64 bytes;
};

struct mob_disk {
	/* Read by every write. */
	struct gendisk *gd;
	struct hlist_node hash;
	struct mob_disk_cpu __percpu *cpu;
	sector_t sectors;		/* capacity that is tracked; grow.c changes it */
	unsigned int shift;		/* sectors of a granule, as a power of two */
	bool bio_based;			/* its driver takes bios, not requests */
	bool multipath;			/* an NVMe namespace with paths, each a disk of its own */
	unsigned int id;
	struct mob_bitmap map[2];	/* dirty bits, by parity of the epoch */
	/* Granules of the ended epoch that need no preserving: a copy is visible, or drained. */
	struct mob_bitmap safe;
	struct mob_room room;		/* for these MOB_DISK_MAPS bitmaps */

	/*
	 * Runs the held writes of this disk alone: one that does not answer, or one on top of
	 * another, must not use up what the others need.
	 */
	struct workqueue_struct *held_wq;
	struct workqueue_struct *back_wq;	/* those that nobody waits for */
	struct workqueue_struct *issue_wq;	/* runs the lanes */
	struct mob_lane lane[MOB_LANES];
	struct xarray copies;		/* struct mob_copy by granule */
	atomic_t readers;		/* of the ended epoch's bits, of copies, of the device */
	atomic_long_t pool_pages;
	unsigned long pool_limit;	/* pages */

	struct block_device *bdev;
	struct file *file;		/* keeps gd and bdev */
	struct kref ref;
	struct list_head list;		/* until freed, under mob_mutex */
	bool hooked;			/* in the hash; under mob_mutex */
	u64 first_epoch;		/* active when the disk was attached */
	u64 threshold;			/* bytes, 0: off */
	unsigned long events;		/* MOB_EVENT_* */
	wait_queue_head_t wait;
	struct mob_held_stats held;
	atomic64_t preserved;
	atomic64_t failed_writes;
	char name[32];
	u8 attach_id[MOB_ID_BYTES];
	struct dentry *debugfs;
};

/* Guards the list of disks and every change of the epoch machine's stage. */
extern struct mutex mob_mutex;
extern struct list_head mob_disk_list;
extern struct hlist_head mob_disk_hash[1 << MOB_HASH_BITS];
/* How many of the hooked disks are multipath. */
extern unsigned int mob_multipath_disks;

#define mob_disk_for_each(disk)	list_for_each_entry(disk, &mob_disk_list, list)

static __always_inline struct hlist_head *mob_disk_head(const struct gendisk *gd)
{
	return &mob_disk_hash[hash_ptr(gd, MOB_HASH_BITS)];
}

/* False if the disk is certainly not attached: the whole cost of most other disks. */
static __always_inline bool mob_disk_maybe(const struct gendisk *gd)
{
	return !hlist_empty(mob_disk_head(gd));
}

static __always_inline struct mob_disk *mob_disk_find_in(struct hlist_head *head,
							 const struct gendisk *gd)
{
	struct mob_disk *disk;

	hlist_for_each_entry_rcu(disk, head, hash, irqs_disabled())
		if (disk->gd == gd)
			return disk;
	return NULL;
}

static __always_inline struct mob_disk *mob_disk_find(const struct gendisk *gd)
{
	return mob_disk_find_in(mob_disk_head(gd), gd);
}

/* The hooked disk that @gd is a path of, or NULL. */
struct mob_disk *mob_disk_head_of(const struct gendisk *gd);

struct mob_disk *mob_disk_find_get(const struct gendisk *gd);
struct mob_disk *mob_disk_find_by_id(unsigned int id);

static inline struct mob_disk *mob_disk_get(struct mob_disk *disk)
{
	kref_get(&disk->ref);
	return disk;
}

void mob_disk_put(struct mob_disk *disk);

/* 0 and a reference in *out, or the errors of MOB_IOC_ATTACH in uapi.h. */
int mob_disk_attach(struct mob_attach *args, struct mob_disk **out);

/* Ends tracking; what is in flight completes in its own time. -ENODEV: it has ended. */
int mob_disk_detach(struct mob_disk *disk);
/* The same under mob_mutex. */
void mob_disk_unhook(struct mob_disk *disk);
/* Detaches every disk and waits until the last is free of writes; for unload. */
void mob_disk_detach_all(void);
/* Frees the unhooked disks that have no write in flight any more. mob_mutex held. */
bool mob_disk_reap(void);

static inline bool mob_disk_is_hooked(const struct mob_disk *disk)
{
	return READ_ONCE(disk->hooked);
}

/* Raises MOB_EVENT_* bits; who polls learns of them from the watch. */
static inline void mob_disk_raise(struct mob_disk *disk, unsigned long events)
{
	unsigned long new = events & ~READ_ONCE(disk->events);

	for (; new; new &= new - 1)
		set_bit(__ffs(new), &disk->events);
}

static inline u64 mob_disk_granules(const struct mob_disk *disk)
{
	return disk->map[0].granules;
}

static inline unsigned int mob_disk_granule_bytes(const struct mob_disk *disk)
{
	return 1U << (disk->shift + SECTOR_SHIFT);
}

static inline u64 mob_disk_bytes(const struct mob_disk *disk)
{
	return (u64)READ_ONCE(disk->sectors) << SECTOR_SHIFT;
}

static inline u64 mob_disk_bitmap_bytes(const struct mob_disk *disk)
{
	return READ_ONCE(disk->room.bytes);
}

/* Writes in flight of a parity, over all hooked disks; never less than there are. mob_mutex. */
long mob_disks_in_flight(unsigned int parity);
long mob_disk_in_flight(const struct mob_disk *disk);
u64 mob_disk_dirty(const struct mob_disk *disk, unsigned int parity);
void mob_disk_dirty_reset(struct mob_disk *disk, unsigned int parity);
void mob_disk_counts(const struct mob_disk *disk, u64 *writes, u64 *bytes);
unsigned int mob_disks_hooked(void);

#endif
