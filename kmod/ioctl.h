/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One dispatcher for the ioctls of all our descriptors: it checks the caller, the
 * version, the flags and the reserved fields, copies the argument in and out, and
 * installs a new descriptor only when nothing can fail any more. Process context.
 */
#ifndef MOB_IOCTL_H
#define MOB_IOCTL_H

#include <linux/fs.h>
#include <linux/stddef.h>
#include <linux/types.h>

/* A descriptor that a handler makes. */
struct mob_newfd {
	int fd;			/* -1: none */
	struct file *file;
};

struct mob_ioctl {
	unsigned int cmd;
	u32 flags;		/* those known */
	u16 reserved;		/* offset of the reserved tail */
	u16 reserved0;		/* offset of a reserved __u32 within, 0: none */
	/* 0 or negative errno. @owner is the descriptor's own object. */
	int (*fn)(void *owner, void *arg, struct mob_newfd *newfd);
};

#define MOB_IOCTL(_cmd, _type, _fn, ...)					\
	{ .cmd = (_cmd), .reserved = offsetof(_type, reserved), .fn = (_fn), __VA_ARGS__ }

/* Puts @file into newfd; on an error it is released. @file may be an ERR_PTR. */
int mob_newfd_set(struct mob_newfd *newfd, struct file *file, s32 *out);

long mob_ioctl_dispatch(const struct mob_ioctl *table, unsigned int count, void *owner,
			unsigned int cmd, void __user *arg);

#endif
