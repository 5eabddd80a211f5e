// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "vss-shim/mounts.h"

#define MAGIC 0x31304c444d495353ull

static int kernel_sync(int fd)
{
	return syncfs(fd) ? -errno : 0;
}

static int kernel_freeze(int fd)
{
	return ioctl(fd, FIFREEZE, 0) ? -errno : 0;
}

static int kernel_thaw(int fd)
{
	return ioctl(fd, FITHAW, 0) ? -errno : 0;
}

const struct fs_ops fs_kernel = {kernel_sync, kernel_freeze, kernel_thaw};

bool fs_thawed(int r)
{
	/* EINVAL: it is not frozen. The other two: it is of a kind that cannot be. */
	return !r || r == -EINVAL || r == -EOPNOTSUPP || r == -ENOTTY;
}

static int open_file(const char *path, int flags)
{
	return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
}

static struct ledger *map(int fd)
{
	int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, sizeof(struct ledger), PROT_READ | PROT_WRITE, flags, fd, 0);

	/* cppcheck-suppress memleak */
	return p == MAP_FAILED ? NULL : p;
}

int ledger_open(const char *path, struct ledger **out, struct err *e)
{
	_cleanup_close_ int fd = -1;

	if (path) {
		/* A new file: the watchdog of a shim that died may still go by the old one. */
		unlink(path);
		fd = open_file(path, O_CREAT | O_EXCL);
		if (fd < 0)
			return err_errno(e, -errno, "cannot open %s", path);
		/* All of it now: there is no room that could be missing later. */
		if (posix_fallocate(fd, 0, sizeof(struct ledger)))
			return err_set(e, -ENOSPC, "there is no room for %s", path);
	}
	*out = map(fd);
	if (!*out)
		return err_errno(e, -errno, "cannot map memory");
	memset(*out, 0, sizeof(**out));
	(*out)->magic = MAGIC;
	return 0;
}

void ledger_close(struct ledger *l)
{
	if (l)
		munmap(l, sizeof(*l));
}

/*
 * By its number: the mount point that was noted may be covered, or too long to be noted. 1: it was
 * thawed; 0: it was not frozen, or is out of reach; else a negative errno.
 */
static int recover_one(struct ledger_fs *fs, const struct mounts *m, const struct fs_ops *ops)
{
	const struct mounted *mounted = mounts_find(m, fs->dev);
	_cleanup_close_ int fd = mounted ? mounted_open(mounted) : -1;
	int r;

	fs->point[LEDGER_POINT_BYTES - 1] = '\0';
	if (fd < 0) {
		log_error("%s may still be frozen and cannot be reached: thaw it with "
			  "'fsfreeze --unfreeze'",
			  fs->point);
		return 0;
	}
	r = ops->thaw(fd);
	if (!fs_thawed(r))
		return r;
	atomic_store(&fs->state, FS_THAWED);
	if (!r)
		log_warning("%s was left frozen and is thawed", fs->point);
	return !r;
}

static int recover_all(struct ledger *l, const struct fs_ops *ops, struct err *e)
{
	struct mounts m;
	int n = 0, stuck = 0, r = mounts_read(&m, e);

	if (r)
		return r;
	for (int i = 0; l->magic == MAGIC && i < atomic_load(&l->count) && i < LEDGER_FS_MAX; i++) {
		struct ledger_fs *fs = &l->fs[i];
		int state = atomic_load(&fs->state);

		if (state != FS_FREEZING && state != FS_FROZEN)
			continue;
		r = recover_one(fs, &m, ops);
		if (r >= 0)
			n += r;
		else
			stuck = err_set(e, -EBUSY,
					"%s was left frozen and cannot be thawed (%s): run "
					"'fsfreeze --unfreeze %s'",
					fs->point, strerror(-r), fs->point);
	}
	mounts_clear(&m);
	return stuck ? stuck : n;
}

int ledger_recover(const char *path, const struct fs_ops *ops, struct err *e)
{
	_cleanup_close_ int fd = open_file(path, 0);
	struct ledger *l;
	struct stat st;
	int n;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, -errno, "cannot open %s", path);
	if (fstat(fd, &st) || st.st_size != sizeof(*l))
		return 0; /* it was not used yet */
	l = map(fd);
	if (!l)
		return err_errno(e, -errno, "cannot map %s", path);
	n = recover_all(l, ops, e);
	ledger_close(l);
	return n;
}
