// SPDX-License-Identifier: GPL-2.0
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "compat.h"
#include "disk.h"
#include "issue.h"
#include "multipath.h"
#include "pool.h"
#include "preserve.h"
#include "track.h"
#include "watch.h"

/* What is marked in one go with interrupts off. */
#define MOB_MARK_GRANULES	(1U << 20)
/* How long an attachment waits for the writes of the one before it. */
#define MOB_SETTLE_WAIT		(5 * HZ)

/* Serialises attach, detach and boundaries; never taken on the path of a write. */
DEFINE_MUTEX(mob_mutex);
LIST_HEAD(mob_disk_list);
struct hlist_head mob_disk_hash[1 << MOB_HASH_BITS] __read_mostly;
unsigned int mob_multipath_disks __read_mostly;

static unsigned int mob_next_id = 1;

static void mob_disk_free(struct mob_disk *disk)
{
	mob_preserve_forget(disk);
	mob_bitmap_free(&disk->map[0]);
	mob_bitmap_free(&disk->map[1]);
	mob_bitmap_free(&disk->safe);
	mob_room_release(&disk->room);
	free_percpu(disk->cpu);
	/* Those that preserve have the lanes run, so they go first. */
	if (disk->held_wq)
		destroy_workqueue(disk->held_wq);
	if (disk->back_wq)
		destroy_workqueue(disk->back_wq);
	if (disk->issue_wq)
		destroy_workqueue(disk->issue_wq);
	if (disk->file)
		fput(disk->file);
	kfree(disk);
}

static void mob_disk_release(struct kref *ref)
{
	mob_disk_free(container_of(ref, struct mob_disk, ref));
}

void mob_disk_put(struct mob_disk *disk)
{
	kref_put(&disk->ref, mob_disk_release);
}

static int mob_disk_check(struct file *file, struct block_device **bdev)
{
	if (!S_ISBLK(file_inode(file)->i_mode))
		return -ENOTBLK;
	*bdev = I_BDEV(file->f_mapping->host);
	if (bdev_is_partition(*bdev))
		return -ENXIO;
	if (bdev_is_zoned(*bdev) || mob_disk_bypasses_bios((*bdev)->bd_disk))
		return -EOPNOTSUPP;
	if (!get_capacity((*bdev)->bd_disk))
		return -ENOMEDIUM;
	return 0;
}

static int mob_disk_alloc_maps(struct mob_disk *disk)
{
	u64 granules = mob_granules_of(disk->sectors, disk->shift);

	disk->cpu = alloc_percpu(struct mob_disk_cpu);
	if (!disk->cpu || mob_bitmap_init(&disk->map[0], granules) ||
	    mob_bitmap_init(&disk->map[1], granules) || mob_bitmap_init(&disk->safe, granules))
		return -ENOMEM;
	return 0;
}

static int mob_disk_alloc(struct mob_disk *disk)
{
	unsigned int back = clamp_t(unsigned int, disk->gd->queue->nr_requests / 2, 1,
				    MOB_BACK_WORKERS);

	disk->held_wq = alloc_workqueue("mob_%.19s", MOB_WQ_FLAGS, MOB_HELD_WORKERS, disk->name);
	disk->back_wq = alloc_workqueue("mobb_%.18s", MOB_WQ_FLAGS, back, disk->name);
	disk->issue_wq = alloc_workqueue("mobi_%.18s", MOB_WQ_FLAGS, MOB_LANES, disk->name);
	if (!disk->held_wq || !disk->back_wq || !disk->issue_wq)
		return -ENOMEM;
	return mob_disk_alloc_maps(disk);
}

static struct mob_disk *mob_disk_new(struct block_device *bdev, const struct mob_attach *args)
{
	struct mob_disk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);
	int ret;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	kref_init(&disk->ref);
	INIT_LIST_HEAD(&disk->list);
	init_waitqueue_head(&disk->wait);
	xa_init(&disk->copies);
	mob_issue_init(disk);
	disk->bdev = bdev;
	disk->gd = bdev->bd_disk;
	disk->sectors = get_capacity(disk->gd);
	disk->bio_based = disk->gd->fops->submit_bio;
	disk->multipath = disk->bio_based && mob_is_namespace(disk->gd);
	ret = mob_room_reserve(&disk->room, mob_disk_bytes(disk), bdev_logical_block_size(bdev),
			       args->granule_shift);
	if (ret) {
		kfree(disk);
		return ERR_PTR(ret);
	}
	disk->shift = disk->room.shift - SECTOR_SHIFT;
	disk->pool_limit = args->pool_limit ? args->pool_limit >> PAGE_SHIFT :
					       ULONG_MAX >> PAGE_SHIFT;
	strscpy(disk->name, disk->gd->disk_name, sizeof(disk->name));
	get_random_bytes(disk->attach_id, sizeof(disk->attach_id));
	if (mob_disk_alloc(disk)) {
		mob_disk_free(disk);
		return ERR_PTR(-ENOMEM);
	}
	return disk;
}

/* mob_mutex held. */
static struct mob_disk *mob_disk_lookup(const struct gendisk *gd)
{
	struct mob_disk *disk;

	mob_disk_for_each(disk)
		if (disk->hooked && disk->gd == gd)
			return disk;
	return NULL;
}

/* mob_mutex held. */
static int mob_disk_hook(struct mob_disk *disk)
{
	if (mob_disk_lookup(disk->gd))
		return -EBUSY;
	if (mob_disks_hooked() >= MOB_DISKS_MAX)
		return -ENOSPC;
	disk->id = mob_next_id++;
	disk->first_epoch = mob_epoch_active(&mob_epochs);
	list_add_tail(&disk->list, &mob_disk_list);
	WRITE_ONCE(disk->hooked, true);
	WRITE_ONCE(mob_multipath_disks, mob_multipath_disks + disk->multipath);
	hlist_add_head_rcu(&disk->hash, &mob_disk_hash[hash_ptr(disk->gd, MOB_HASH_BITS)]);
	return 0;
}

static void mob_disk_mark_all(struct mob_disk *disk)
{
	u64 step = (u64)MOB_MARK_GRANULES << disk->shift;
	u64 sector;

	for (sector = 0; sector < disk->sectors; sector += step) {
		mob_track_mark(disk, sector, min_t(u64, step, disk->sectors - sector));
		cond_resched();
	}
}

/* mob_mutex held. */
static bool mob_disk_lingers(const struct gendisk *gd)
{
	struct mob_disk *disk;

	mob_disk_for_each(disk)
		if (!disk->hooked && disk->gd == gd)
			return true;
	return false;
}

/*
 * Takes mob_mutex as soon as no write of an earlier attachment is in flight: it carries
 * that one's context, and its completion would mark nothing for the new one. Whoever attaches has
 * other disks, and is not kept by one that does not answer.
 */
static int mob_disk_lock_settled(const struct gendisk *gd)
{
	unsigned long until = jiffies + MOB_SETTLE_WAIT;

	mutex_lock(&mob_mutex);
	while (mob_disk_lingers(gd)) {
		if (mob_disk_reap())
			break;
		mutex_unlock(&mob_mutex);
		if (time_after(jiffies, until))
			return -EAGAIN;
		if (msleep_interruptible(10))
			return -EINTR;
		mutex_lock(&mob_mutex);
	}
	return 0;
}

int mob_disk_attach(struct mob_attach *args, struct mob_disk **out)
{
	struct file *file = fget(args->bdev_fd);
	struct block_device *bdev;
	struct mob_disk *disk;
	unsigned int noio;
	int ret;

	if (!file)
		return -EBADF;
	ret = mob_disk_check(file, &bdev);
	if (ret)
		goto put_file;
	disk = mob_disk_new(bdev, args);
	if (IS_ERR(disk)) {
		ret = PTR_ERR(disk);
		goto put_file;
	}
	disk->file = file;
	ret = mob_disk_lock_settled(disk->gd);
	if (ret) {
		mob_disk_put(disk);
		return ret;
	}
	/* A boundary waits for the mutex, perhaps with filesystems frozen: reclaim from none. */
	noio = memalloc_noio_save();
	ret = mob_disk_hook(disk);
	if (!ret) {
		if (args->flags & MOB_ATTACH_DIRTY)
			mob_disk_mark_all(disk);
		/* One reference is the list's, one the caller's. */
		mob_disk_get(disk);
		mob_stats_add_disk(disk);
	}
	memalloc_noio_restore(noio);
	mutex_unlock(&mob_mutex);
	if (ret) {
		mob_disk_put(disk);
		return ret;
	}
	mob_watch_start();
	*out = disk;
	return 0;

put_file:
	fput(file);
	return ret;
}

void mob_disk_unhook(struct mob_disk *disk)
{
	WRITE_ONCE(disk->hooked, false);
	/* A drain that has read what a write overwrote unseen finds the disk unhooked. */
	smp_wmb();
	hlist_del_rcu(&disk->hash);
	WRITE_ONCE(mob_multipath_disks, mob_multipath_disks - disk->multipath);
	mob_stats_remove_disk(disk);
	/* From here on no section finds it; its writes in flight become only fewer. */
	mob_sections_sync();
	wake_up_all(&disk->wait);
}

int mob_disk_detach(struct mob_disk *disk)
{
	int ret = -ENODEV;

	mutex_lock(&mob_mutex);
	if (disk->hooked) {
		mob_disk_unhook(disk);
		mob_disk_reap();
		ret = 0;
	}
	mutex_unlock(&mob_mutex);
	return ret;
}

bool mob_disk_reap(void)
{
	struct mob_disk *disk, *next;
	bool left = false;

	list_for_each_entry_safe(disk, next, &mob_disk_list, list) {
		if (disk->hooked)
			continue;
		/*
		 * A drain that came before the unhooking may still use the device; a later one
		 * looks at hooked first.
		 */
		if (mob_disk_in_flight(disk) || mob_epoch_has_readers(&disk->readers)) {
			left = true;
			continue;
		}
		list_del_init(&disk->list);
		fput(disk->file);
		disk->file = NULL;
		mob_disk_put(disk);
	}
	return !left;
}

void mob_disk_detach_all(void)
{
	struct mob_disk *disk;
	bool done;

	for (;;) {
		mutex_lock(&mob_mutex);
		mob_disk_for_each(disk)
			if (disk->hooked)
				mob_disk_unhook(disk);
		done = mob_disk_reap();
		mutex_unlock(&mob_mutex);
		if (done)
			return;
		msleep(20);
	}
}

struct mob_disk *mob_disk_head_of(const struct gendisk *gd)
{
	struct mob_disk *disk;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mob_disk_hash); i++)
		hlist_for_each_entry_rcu(disk, &mob_disk_hash[i], hash, irqs_disabled())
			if (disk->multipath && mob_is_path_of(gd, disk->gd))
				return disk;
	return NULL;
}

struct mob_disk *mob_disk_find_get(const struct gendisk *gd)
{
	struct mob_disk *disk;

	mutex_lock(&mob_mutex);
	disk = mob_disk_lookup(gd);
	if (disk)
		mob_disk_get(disk);
	mutex_unlock(&mob_mutex);
	return disk;
}

struct mob_disk *mob_disk_find_by_id(unsigned int id)
{
	struct mob_disk *disk, *found = NULL;

	mutex_lock(&mob_mutex);
	mob_disk_for_each(disk)
		if (disk->hooked && disk->id == id)
			found = mob_disk_get(disk);
	mutex_unlock(&mob_mutex);
	return found;
}

unsigned int mob_disks_hooked(void)
{
	struct mob_disk *disk;
	unsigned int count = 0;

	mob_disk_for_each(disk)
		count += disk->hooked;
	return count;
}

static long mob_disk_in_flight_of(const struct mob_disk *disk, unsigned int parity)
{
	unsigned int cpu;
	long sum = 0;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(disk->cpu, cpu)->in_flight[parity]);
	return sum;
}

long mob_disk_in_flight(const struct mob_disk *disk)
{
	return mob_disk_in_flight_of(disk, 0) + mob_disk_in_flight_of(disk, 1);
}

long mob_disks_in_flight(unsigned int parity)
{
	struct mob_disk *disk;
	long sum = 0;

	mob_disk_for_each(disk)
		if (disk->hooked)
			sum += mob_disk_in_flight_of(disk, parity);
	/* What the completed writes did comes before what the caller does now. */
	smp_rmb();
	return sum;
}

u64 mob_disk_dirty(const struct mob_disk *disk, unsigned int parity)
{
	unsigned int cpu;
	long sum = 0;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(disk->cpu, cpu)->dirty[parity]);
	return max(sum, 0L);
}

/* Nobody marks for this parity: the other CPUs leave their counts alone. */
void mob_disk_dirty_reset(struct mob_disk *disk, unsigned int parity)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu_ptr(disk->cpu, cpu)->dirty[parity], 0);
}

void mob_disk_counts(const struct mob_disk *disk, u64 *writes, u64 *bytes)
{
	unsigned int cpu;

	*writes = 0;
	*bytes = 0;
	for_each_possible_cpu(cpu) {
		const struct mob_disk_cpu *pc = per_cpu_ptr(disk->cpu, cpu);

		*writes += READ_ONCE(pc->writes);
		*bytes += READ_ONCE(pc->bytes);
	}
}
