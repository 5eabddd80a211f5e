// SPDX-License-Identifier: GPL-2.0
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "boundary.h"
#include "ctl.h"
#include "disk.h"
#include "drain.h"
#include "ioctl.h"
#include "track.h"

struct mob_epoch_file {
	u64 epoch;		/* 0: the boundary was not taken */
	unsigned int disks;
};

static int mob_epoch_status(void *owner, void *arg, struct mob_newfd *newfd)
{
	const struct mob_epoch_file *ef = owner;
	struct mob_epoch_status *st = arg;
	const char *reason;
	int state;

	mutex_lock(&mob_mutex);
	state = mob_boundary_state(ef->epoch);
	if (state > 0) {
		reason = mob_epoch_torn(&mob_epochs, ef->epoch);
		st->state = state;
		st->result = reason ? MOB_EPOCH_TORN : 0;
		st->epoch = ef->epoch;
		st->in_flight = max(mob_disks_in_flight(mob_parity(ef->epoch)), 0L);
		st->disks = ef->disks;
		memset(st->torn_reason, 0, sizeof(st->torn_reason));
		strscpy(st->torn_reason, reason ?: "", sizeof(st->torn_reason));
	}
	mutex_unlock(&mob_mutex);
	return state < 0 ? state : 0;
}

static int mob_epoch_drain_disk(u64 epoch, struct mob_disk *disk, struct mob_drain *drain,
				struct mob_newfd *newfd)
{
	const struct mob_bitmap *map = &disk->map[mob_parity(epoch)];

	drain->granule_shift = disk->shift + SECTOR_SHIFT;
	drain->bitmap_bytes = map->bytes;
	drain->granules = map->granules;
	drain->dirty_granules = mob_bitmap_count(map);
	drain->size = mob_disk_bytes(disk);
	return mob_newfd_set(newfd, mob_drain_open(disk, epoch), &drain->drain_fd);
}

static int mob_epoch_drain(void *owner, void *arg, struct mob_newfd *newfd)
{
	const struct mob_epoch_file *ef = owner;
	struct mob_drain *drain = arg;
	struct mob_disk *disk;
	int ret = mob_boundary_state(ef->epoch);

	if (ret != MOB_EPOCH_SEALED)
		return ret < 0 ? ret : -EAGAIN;
	disk = mob_disk_find_by_id(drain->disk_id);
	if (!disk)
		return -ENODEV;
	ret = -ENODEV;
	if (disk->first_epoch <= ef->epoch) {
		ret = -ESTALE;
		if (mob_epoch_reader_get(&mob_epochs, &disk->readers, ef->epoch)) {
			ret = mob_epoch_drain_disk(ef->epoch, disk, drain, newfd);
			mob_epoch_reader_put(&disk->readers);
		}
	}
	mob_disk_put(disk);
	return ret;
}

static int mob_epoch_commit(void *owner, void *arg, struct mob_newfd *newfd)
{
	const struct mob_epoch_file *ef = owner;

	return mob_boundary_commit(ef->epoch);
}

static const struct mob_ioctl mob_epoch_ioctls[] = {
	MOB_IOCTL(MOB_EPOCH_IOC_STATUS, struct mob_epoch_status, mob_epoch_status,
		  .reserved0 = offsetof(struct mob_epoch_status, reserved0)),
	MOB_IOCTL(MOB_EPOCH_IOC_DRAIN, struct mob_drain, mob_epoch_drain,
		  .reserved0 = offsetof(struct mob_drain, reserved0)),
	MOB_IOCTL(MOB_EPOCH_IOC_COMMIT, struct mob_plain, mob_epoch_commit),
};

static long mob_epochfd_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return mob_ioctl_dispatch(mob_epoch_ioctls, ARRAY_SIZE(mob_epoch_ioctls),
				  file->private_data, cmd, (void __user *)arg);
}

static __poll_t mob_epochfd_poll(struct file *file, struct poll_table_struct *table)
{
	const struct mob_epoch_file *ef = file->private_data;
	int state;

	poll_wait(file, &mob_epoch_wait, table);
	state = mob_boundary_state(ef->epoch);
	if (state == MOB_EPOCH_SEALED)
		return EPOLLIN | EPOLLRDNORM;
	return state < 0 ? EPOLLHUP : 0;
}

static int mob_epochfd_release(struct inode *inode, struct file *file)
{
	struct mob_epoch_file *ef = file->private_data;

	if (ef->epoch)
		mob_boundary_abandon(ef->epoch);
	kfree(ef);
	return 0;
}

static const struct file_operations mob_epochfd_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= mob_epochfd_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.poll		= mob_epochfd_poll,
	.release	= mob_epochfd_release,
};

struct file *mob_epochfd_open(void)
{
	struct mob_epoch_file *ef = kzalloc(sizeof(*ef), GFP_NOIO);
	struct file *file;

	if (!ef)
		return ERR_PTR(-ENOMEM);
	file = anon_inode_getfile("[mobility-epoch]", &mob_epochfd_fops, ef, O_RDWR | O_CLOEXEC);
	if (IS_ERR(file))
		kfree(ef);
	return file;
}

void mob_epochfd_set(struct file *file, u64 epoch, unsigned int disks)
{
	struct mob_epoch_file *ef = file->private_data;

	ef->epoch = epoch;
	ef->disks = disks;
}
