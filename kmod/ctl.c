// SPDX-License-Identifier: GPL-2.0
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/mm.h>

#include "boundary.h"
#include "ctl.h"
#include "disk.h"
#include "hook.h"
#include "ioctl.h"
#include "pool.h"
#include "track.h"

static u8 mob_module_id[MOB_ID_BYTES];

static int mob_ctl_info(void *owner, void *arg, struct mob_newfd *newfd)
{
	struct mob_info *info = arg;

	mutex_lock(&mob_mutex);
	info->disks = mob_disks_hooked();
	mutex_unlock(&mob_mutex);
	info->mode = mob_track_only ? MOB_MODE_TRACK_ONLY : MOB_MODE_HOOK;
	info->epoch = mob_epoch_active(&mob_epochs);
	info->committed_epoch = READ_ONCE(mob_epochs.committed);
	info->pool_limit = mob_pool_limit_bytes();
	info->pool_used = mob_pool_used_bytes();
	info->boundaries = atomic64_read(&mob_stats.boundaries);
	info->torn_epochs = atomic64_read(&mob_epochs.torn_epochs);
	info->held_writes = atomic64_read(&mob_stats.held.count);
	info->held_max_ns = atomic64_read(&mob_stats.held.max_ns);
	info->held_total_ns = atomic64_read(&mob_stats.held.total_ns);
	memcpy(info->module_id, mob_module_id, sizeof(info->module_id));
	memset(info->mode_reason, 0, sizeof(info->mode_reason));
	strscpy(info->mode_reason, mob_hook_reason(), sizeof(info->mode_reason));
	return 0;
}

static int mob_ctl_attach(void *owner, void *arg, struct mob_newfd *newfd)
{
	struct mob_attach *attach = arg;
	struct mob_disk *disk;
	int ret;

	ret = mob_disk_attach(attach, &disk);
	if (ret)
		return ret;
	attach->granule_shift = disk->shift + SECTOR_SHIFT;
	attach->disk_id = disk->id;
	attach->size = mob_disk_bytes(disk);
	memcpy(attach->attach_id, disk->attach_id, sizeof(attach->attach_id));
	ret = mob_newfd_set(newfd, mob_diskfd_open(disk), &attach->disk_fd);
	if (ret)
		mob_disk_detach(disk);
	mob_disk_put(disk);
	return ret;
}

static int mob_ctl_open_disk(void *owner, void *arg, struct mob_newfd *newfd)
{
	struct mob_open *open = arg;
	struct file *file = fget(open->bdev_fd);
	struct mob_disk *disk = NULL;
	int ret;

	if (!file)
		return -EBADF;
	if (S_ISBLK(file_inode(file)->i_mode))
		disk = mob_disk_find_get(I_BDEV(file->f_mapping->host)->bd_disk);
	fput(file);
	if (!disk)
		return -ENODEV;
	open->disk_id = disk->id;
	open->granule_shift = disk->shift + SECTOR_SHIFT;
	open->size = mob_disk_bytes(disk);
	memcpy(open->attach_id, disk->attach_id, sizeof(open->attach_id));
	ret = mob_newfd_set(newfd, mob_diskfd_open(disk), &open->disk_fd);
	mob_disk_put(disk);
	return ret;
}

static int mob_ctl_advance(void *owner, void *arg, struct mob_newfd *newfd)
{
	struct mob_advance *advance = arg;
	unsigned int noio;
	int ret;

	/* Filesystems may be frozen around it: reclaim from none. */
	noio = memalloc_noio_save();
	/* All that can fail comes first: a boundary cannot be taken back. */
	ret = mob_newfd_set(newfd, mob_epochfd_open(), &advance->epoch_fd);
	if (!ret) {
		ret = mob_boundary_take(advance);
		if (!ret)
			mob_epochfd_set(newfd->file, advance->epoch, advance->disks);
	}
	memalloc_noio_restore(noio);
	return ret;
}

static const struct mob_ioctl mob_ctl_ioctls[] = {
	MOB_IOCTL(MOB_IOC_INFO, struct mob_info, mob_ctl_info),
	MOB_IOCTL(MOB_IOC_ATTACH, struct mob_attach, mob_ctl_attach, .flags = MOB_ATTACH_DIRTY),
	MOB_IOCTL(MOB_IOC_OPEN, struct mob_open, mob_ctl_open_disk),
	MOB_IOCTL(MOB_IOC_ADVANCE, struct mob_advance, mob_ctl_advance),
};

static long mob_ctl_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mob_ioctl_dispatch(mob_ctl_ioctls, ARRAY_SIZE(mob_ctl_ioctls), NULL, cmd,
				  (void __user *)arg);
}

static int mob_ctl_open(struct inode *inode, struct file *file)
{
	return capable(CAP_SYS_ADMIN) ? nonseekable_open(inode, file) : -EPERM;
}

static const struct file_operations mob_ctl_fops = {
	.owner		= THIS_MODULE,
	.open		= mob_ctl_open,
	.unlocked_ioctl	= mob_ctl_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice mob_ctl_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= MOB_DEVICE_NAME,
	.fops	= &mob_ctl_fops,
	.mode	= 0600,
};

int mob_ctl_init(void)
{
	get_random_bytes(mob_module_id, sizeof(mob_module_id));
	return misc_register(&mob_ctl_device);
}

void mob_ctl_exit(void)
{
	misc_deregister(&mob_ctl_device);
}
