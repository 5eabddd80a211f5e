/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is mounted (/proc/self/mountinfo), and which of it can be frozen. Pure but for
 * mounts_open; any thread.
 */
#ifndef VSS_SHIM_MOUNTS_H
#define VSS_SHIM_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

struct mount_point {
	char *path;
	unsigned int id;
};

/* One filesystem (superblock), however often it is mounted. */
struct mounted {
	dev_t dev; /* of the superblock; major 0 for btrfs, ZFS and what is on no block device */
	char *point; /* first mount point */
	unsigned int id; /* of that mount */
	struct mount_point *again; /* the others; may be NULL */
	size_t again_count;
	char *type, *source;
	bool read_only;
};

struct mounts {
	struct mounted *fs; /* in the order in which they were mounted first */
	size_t count;
};

/* text as in /proc/self/mountinfo; lines that cannot be understood are an error. */
int mounts_parse(const char *text, size_t len, struct mounts *out, struct err *e);
int mounts_read(struct mounts *out, struct err *e);
void mounts_clear(struct mounts *m);
/* The filesystem of this number, borrowed; NULL: none. */
const struct mounted *mounts_find(const struct mounts *m, dev_t dev);

/* Is it on a block device of this machine (neither network, nor memory, nor another filesystem)? */
bool mounted_on_block(const struct mounted *m);
/* A descriptor on a mount point of it that can be reached, or a negative errno. */
int mounted_open(const struct mounted *m);

#endif
