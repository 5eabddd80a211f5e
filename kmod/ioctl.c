// SPDX-License-Identifier: GPL-2.0
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <mobility/uapi.h>

#include "ioctl.h"

/* Room for the largest argument. */
#define MOB_ARG_BYTES	sizeof(struct mob_info)

static_assert(sizeof(struct mob_disk_status) <= MOB_ARG_BYTES);
static_assert(sizeof(struct mob_epoch_status) <= MOB_ARG_BYTES);
static_assert(sizeof(struct mob_attach) <= MOB_ARG_BYTES);
static_assert(sizeof(struct mob_drain) <= MOB_ARG_BYTES);

int mob_newfd_set(struct mob_newfd *newfd, struct file *file, s32 *out)
{
	int fd;

	if (IS_ERR(file))
		return PTR_ERR(file);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	newfd->fd = fd;
	newfd->file = file;
	*out = fd;
	return 0;
}

static void mob_newfd_drop(struct mob_newfd *newfd)
{
	if (newfd->fd < 0)
		return;
	put_unused_fd(newfd->fd);
	fput(newfd->file);
}

/* Every argument begins with version and flags. */
static int mob_ioctl_check(const struct mob_ioctl *ioctl, const void *arg)
{
	const u32 *head = arg;

	if (head[0] != MOB_UAPI_VERSION)
		return -EPROTONOSUPPORT;
	if (head[1] & ~ioctl->flags)
		return -EINVAL;
	if (memchr_inv(arg + ioctl->reserved, 0, _IOC_SIZE(ioctl->cmd) - ioctl->reserved))
		return -EINVAL;
	if (ioctl->reserved0 && *(const u32 *)(arg + ioctl->reserved0))
		return -EINVAL;
	return 0;
}

static long mob_ioctl_call(const struct mob_ioctl *ioctl, void *owner, void __user *uarg)
{
	struct mob_newfd newfd = { .fd = -1 };
	size_t size = _IOC_SIZE(ioctl->cmd);
	u64 arg[MOB_ARG_BYTES / sizeof(u64)];
	int ret;

	if (copy_from_user(arg, uarg, size))
		return -EFAULT;
	ret = mob_ioctl_check(ioctl, arg);
	if (ret)
		return ret;
	ret = ioctl->fn(owner, arg, &newfd);
	if (!ret && copy_to_user(uarg, arg, size))
		ret = -EFAULT;
	if (ret)
		mob_newfd_drop(&newfd);
	else if (newfd.fd >= 0)
		fd_install(newfd.fd, newfd.file);
	return ret;
}

long mob_ioctl_dispatch(const struct mob_ioctl *table, unsigned int count, void *owner,
			unsigned int cmd, void __user *arg)
{
	unsigned int i;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	for (i = 0; i < count; i++)
		if (table[i].cmd == cmd)
			return mob_ioctl_call(&table[i], owner, arg);
	return -ENOTTY;
}
