/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/io.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

int io_pread_full(int fd, void *buf, size_t len, uint64_t off)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_pwrite_full(int fd, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_write_full(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int open_retry(const char *path, int flags, mode_t mode)
{
	int fd;

	do
		fd = open(path, flags | O_CLOEXEC, mode);
	while (fd < 0 && errno == EINTR);
	return fd < 0 ? -errno : fd;
}

/*
 * Reads to the end of the file, at most cap bytes; the size that stat tells is 0 in /proc and /sys.
 */
static ssize_t read_up_to(int fd, char *buf, size_t cap)
{
	size_t done = 0;

	while (done < cap) {
		ssize_t n = read(fd, buf + done, cap - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int io_read_file(const char *path, size_t max, char **out, size_t *len, struct err *e)
{
	_cleanup_close_ int fd = open_retry(path, O_RDONLY, 0);

	if (fd < 0)
		return err_errno(e, fd, "cannot open %s", path);

	_cleanup_free_ char *buf = malloc(max + 1);

	if (!buf)
		return err_errno(e, -ENOMEM, "cannot read %s", path);

	ssize_t n = read_up_to(fd, buf, max + 1);

	if (n < 0)
		return err_errno(e, (int)n, "cannot read %s", path);
	if ((size_t)n > max)
		return err_set(e, -EFBIG, "%s has more than the %zu bytes that are allowed", path,
			       max);
	buf[n] = 0;

	char *fitted = realloc(buf, (size_t)n + 1);

	if (fitted)
		buf = fitted;
	*out = cleanup_steal_ptr(&buf);
	if (len)
		*len = (size_t)n;
	return 0;
}

/* The folder that path is in; the caller frees. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

static int fill_durably(int fd, const void *data, size_t len, mode_t mode)
{
	int r = fchmod(fd, mode) < 0 ? -errno : 0;

	if (!r)
		r = io_write_full(fd, data, len);
	if (!r && fsync(fd) < 0)
		r = -errno;
	return r;
}

static int replace_durably(const char *temporary, const char *path)
{
	_cleanup_free_ char *dir = parent_of(path);

	if (!dir)
		return -ENOMEM;
	if (rename(temporary, path) < 0)
		return -errno;
	return io_fsync_dir(dir);
}

int io_write_file_atomic(const char *path, const void *data, size_t len, mode_t mode, struct err *e)
{
	_cleanup_free_ char *temporary = NULL;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return err_errno(e, -ENOMEM, "cannot write %s", path);
	}

	_cleanup_close_ int fd = mkostemp(temporary, O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, -errno, "cannot create %s", temporary);

	int r = fill_durably(fd, data, len, mode);

	if (!r)
		r = replace_durably(temporary, path);
	if (r) {
		unlink(temporary); /* already gone when only the folder's fsync failed */
		return err_errno(e, r, "cannot write %s", path);
	}
	return 0;
}

int io_fsync_dir(const char *dir)
{
	_cleanup_close_ int fd = open_retry(dir, O_RDONLY | O_DIRECTORY, 0);

	if (fd < 0)
		return fd;
	return fsync(fd) < 0 ? -errno : 0;
}

static int make_dir(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0) {
		_cleanup_free_ char *parent = parent_of(path);

		return parent ? io_fsync_dir(parent) : -ENOMEM;
	}
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int io_mkdirs(const char *path, mode_t mode, struct err *e)
{
	_cleanup_free_ char *p = strdup(path);
	int r = 0;

	if (!p)
		return err_errno(e, -ENOMEM, "cannot create the folder %s", path);
	for (char *slash = strchr(p + (*p == '/'), '/'); slash && !r;
	     slash = strchr(slash + 1, '/')) {
		*slash = 0;
		r = make_dir(p, mode);
		*slash = '/';
	}
	if (!r)
		r = make_dir(p, mode);
	return r ? err_errno(e, r, "cannot create the folder %s", path) : 0;
}

int io_size(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
		return 0;
	}
	if (!S_ISBLK(st.st_mode))
		return -ENOTBLK;
	return ioctl(fd, BLKGETSIZE64, size) < 0 ? -errno : 0;
}

int io_remove_socket(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : err_errno(e, -errno, "cannot look at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(
			e, -EEXIST,
			"%s is there and is no socket: move it away, or configure another path",
			path);
	return unlink(path) ? err_errno(e, -errno, "cannot remove %s", path) : 0;
}

int io_lock_file(const char *path, struct err *e)
{
	_cleanup_close_ int fd = open_retry(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return err_errno(e, fd, "cannot open the lock %s", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EWOULDBLOCK)
			return err_set(e, -EBUSY,
				       "another process holds the lock %s; stop it first", path);
		return err_errno(e, -errno, "cannot lock %s", path);
	}
	return cleanup_steal_fd(&fd);
}
