// SPDX-License-Identifier: GPL-2.0
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>

#include "ctl.h"
#include "disk.h"
#include "grow.h"
#include "ioctl.h"
#include "pool.h"
#include "track.h"
#include "watch.h"

#define MOB_EVENTS_ALL	(MOB_EVENT_SUSPECT | MOB_EVENT_RESIZED | MOB_EVENT_GONE)
/* What one section marks, in granules. */
#define MOB_MARK_STEP	(1U << 20)

static void mob_status_device(struct mob_disk *disk, struct mob_disk_status *st)
{
	st->dev_major = 0;
	st->dev_minor = 0;
	st->size_now = 0;
	/* An unhooked disk may have given its device back. */
	mutex_lock(&mob_mutex);
	if (disk->hooked) {
		dev_t dev = disk_devt(disk->gd);

		st->dev_major = MAJOR(dev);
		st->dev_minor = MINOR(dev);
		st->size_now = (u64)get_capacity(disk->gd) << SECTOR_SHIFT;
	}
	mutex_unlock(&mob_mutex);
}

static int mob_disk_status(void *owner, void *arg, struct mob_newfd *newfd)
{
	struct mob_disk_status *st = arg;
	struct mob_disk *disk = owner;

	mob_status_device(disk, st);
	st->disk_id = disk->id;
	st->granule_shift = disk->shift + SECTOR_SHIFT;
	st->events = READ_ONCE(disk->events);
	st->size = mob_disk_bytes(disk);
	st->dirty_granules = mob_disk_dirty(disk, mob_parity(mob_epoch_active(&mob_epochs)));
	mob_disk_counts(disk, &st->writes, &st->written_bytes);
	st->preserved_granules = atomic64_read(&disk->preserved);
	st->held_writes = atomic64_read(&disk->held.count);
	st->held_max_ns = atomic64_read(&disk->held.max_ns);
	st->held_total_ns = atomic64_read(&disk->held.total_ns);
	st->failed_writes = atomic64_read(&disk->failed_writes);
	st->bitmap_bytes = mob_disk_bitmap_bytes(disk);
	st->pool_limit = mob_disk_pool_limit(disk);
	st->pool_used = (u64)atomic_long_read(&disk->pool_pages) << PAGE_SHIFT;
	memcpy(st->attach_id, disk->attach_id, sizeof(st->attach_id));
	return 0;
}

static int mob_disk_mark(void *owner, void *arg, struct mob_newfd *newfd)
{
	const struct mob_range *range = arg;
	struct mob_disk *disk = owner;
	u64 size = mob_disk_bytes(disk);
	u64 end, offset = range->offset;
	u64 step = (u64)MOB_MARK_STEP << (disk->shift + SECTOR_SHIFT);

	if (!range->length || offset + range->length < offset)
		return -EINVAL;
	if (!mob_disk_is_hooked(disk))
		return -ENODEV;
	end = min(offset + range->length, size);
	offset = round_down(offset, mob_disk_granule_bytes(disk));
	while (offset < end) {
		u64 next = min(end, offset + step);

		mob_track_mark(disk, offset >> SECTOR_SHIFT,
			       DIV_ROUND_UP_ULL(next - offset, 1 << SECTOR_SHIFT));
		offset = next;
		cond_resched();
	}
	return 0;
}

static int mob_disk_ack(void *owner, void *arg, struct mob_newfd *newfd)
{
	const struct mob_ack *ack = arg;
	struct mob_disk *disk = owner;
	unsigned int bit;

	if (ack->events & ~MOB_EVENTS_ALL)
		return -EINVAL;
	for (bit = 0; bit < 32; bit++)
		if (ack->events & BIT(bit))
			clear_bit(bit, &disk->events);
	return 0;
}

static int mob_disk_threshold(void *owner, void *arg, struct mob_newfd *newfd)
{
	const struct mob_threshold *threshold = arg;
	struct mob_disk *disk = owner;

	if (!mob_disk_is_hooked(disk))
		return -ENODEV;
	WRITE_ONCE(disk->threshold, threshold->dirty_bytes);
	mob_watch_start();
	return 0;
}

static int mob_disk_grow_ioctl(void *owner, void *arg, struct mob_newfd *newfd)
{
	struct mob_grow *grow = arg;

	return mob_disk_grow(owner, &grow->size);
}

static int mob_disk_detach_ioctl(void *owner, void *arg, struct mob_newfd *newfd)
{
	return mob_disk_detach(owner);
}

static const struct mob_ioctl mob_disk_ioctls[] = {
	MOB_IOCTL(MOB_DISK_IOC_STATUS, struct mob_disk_status, mob_disk_status,
		  .reserved0 = offsetof(struct mob_disk_status, reserved0)),
	MOB_IOCTL(MOB_DISK_IOC_MARK, struct mob_range, mob_disk_mark),
	MOB_IOCTL(MOB_DISK_IOC_ACK, struct mob_ack, mob_disk_ack,
		  .reserved0 = offsetof(struct mob_ack, reserved0)),
	MOB_IOCTL(MOB_DISK_IOC_THRESHOLD, struct mob_threshold, mob_disk_threshold),
	MOB_IOCTL(MOB_DISK_IOC_GROW, struct mob_grow, mob_disk_grow_ioctl),
	MOB_IOCTL(MOB_DISK_IOC_DETACH, struct mob_plain, mob_disk_detach_ioctl),
};

static long mob_diskfd_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mob_ioctl_dispatch(mob_disk_ioctls, ARRAY_SIZE(mob_disk_ioctls),
				  file->private_data, cmd, (void __user *)arg);
}

static __poll_t mob_diskfd_poll(struct file *file, struct poll_table_struct *table)
{
	struct mob_disk *disk = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &disk->wait, table);
	if (READ_ONCE(disk->events))
		mask |= EPOLLPRI;
	if (!mob_disk_is_hooked(disk))
		return mask | EPOLLHUP;
	if (mob_watch_over_threshold(disk))
		mask |= EPOLLIN | EPOLLRDNORM;
	return mask;
}

static int mob_diskfd_release(struct inode *inode, struct file *file)
{
	mob_disk_put(file->private_data);
	return 0;
}

static const struct file_operations mob_diskfd_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= mob_diskfd_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.poll		= mob_diskfd_poll,
	.release	= mob_diskfd_release,
};

struct file *mob_diskfd_open(struct mob_disk *disk)
{
	struct file *file = anon_inode_getfile("[mobility-disk]", &mob_diskfd_fops, disk,
					       O_RDWR | O_CLOEXEC);

	if (!IS_ERR(file))
		mob_disk_get(disk);
	return file;
}
