// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/source.h"
#include "include/mobility/wire.h"
#include "lib/io.h"

#define SCAN_SHIFT 16 /* 1 << 16 == WIRE_BLOCK */
#define DIRECT_ALIGN 4096u

static_assert(1u << SCAN_SHIFT == WIRE_BLOCK, "a scan's granule is a digest's block");

struct scan {
	struct source source;
	int fd;
	bool cached; /* read through the page cache */
	char path[PATH_MAX];
};

/* A plain file that was removed or replaced: what is open is not what its name means any more. */
static bool file_gone(const struct scan *scan)
{
	struct stat open, named;

	if (fstat(scan->fd, &open) || !S_ISREG(open.st_mode))
		return false;
	return stat(scan->path, &named) || named.st_ino != open.st_ino ||
	       named.st_dev != open.st_dev;
}

static int scan_status(struct source *s, struct source_status *out, struct err *e)
{
	struct scan *scan = (struct scan *)s;
	int r;

	memset(out, 0, sizeof(*out));
	if (file_gone(scan)) {
		out->events = SOURCE_GONE;
		return 0;
	}
	r = io_size(scan->fd, &out->size_now);
	if (r)
		return err_errno(e, r, "cannot tell the size of %s", scan->path);
	if (out->size_now != s->size)
		out->events = SOURCE_RESIZED;
	return 0;
}

static int scan_ack(struct source *s, unsigned int events, struct err *e)
{
	(void)s, (void)events, (void)e;
	return 0;
}

/* A scan has no bitmap: there is nothing to mark, every cycle reads it all. */
static int scan_mark(struct source *s, uint64_t offset, uint64_t length, struct err *e)
{
	(void)s, (void)offset, (void)length, (void)e;
	return 0;
}

static int scan_drain_open(struct source *s, struct boundary *b, struct source_map *out,
			   struct err *e)
{
	(void)b, (void)e;
	*out = (struct source_map){.present = true, .shift = s->shift};
	out->granules = (s->size + (1ull << s->shift) - 1) >> s->shift;
	out->dirty_granules = out->granules;
	return 0;
}

static void scan_drain_close(struct source *s)
{
	struct scan *scan = (struct scan *)s;

	/* What only we have read is not kept. Else the cache is what others made of it. */
	if (scan->cached)
		posix_fadvise(scan->fd, 0, 0, POSIX_FADV_DONTNEED);
}

/*
 * Whatever the error is called (past the page cache the block layer has many names: a medium error is
 * ENODATA, a device that is offline ENODEV), the device did not give its content. Nothing: it is
 * shorter than it was, and its size is looked at again.
 */
static int scan_read(struct source *s, struct reader *via, void *buf, size_t len, uint64_t offset)
{
	struct scan *scan = (struct scan *)s;
	/* O_DIRECT wants whole blocks; the last one of a file may be cut short by its end. */
	size_t want = (len + DIRECT_ALIGN - 1) & ~(size_t)(DIRECT_ALIGN - 1), done = 0;
	ssize_t n;

	while (done < len) {
		n = reader_pread(via, scan->fd, (char *)buf + done, want - done, offset + done);
		if (n <= 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

struct part {
	uint64_t offset, size; /* size: of the disk */
	size_t len;
};

static bool file_shorter(int fd, uint64_t size)
{
	struct stat st;

	return fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < size;
}

static int64_t is_hole(int fd, const void *arg)
{
	const struct part *p = arg;
	off_t data = lseek(fd, (off_t)p->offset, SEEK_DATA);

	/* ENXIO: nothing up to the end of the file, which must still be where it was. */
	if (data < 0 && errno == ENXIO)
		return p->offset + p->len <= p->size && !file_shorter(fd, p->size);
	return data >= 0 && (uint64_t)data >= p->offset + p->len;
}

/* A part of a plain file that was never written; false where the filesystem cannot tell. */
static bool scan_hole(struct source *s, struct reader *via, uint64_t offset, size_t len)
{
	const struct part part = {.offset = offset, .size = s->size, .len = len};

	return reader_call(via, ((struct scan *)s)->fd, is_hole, &part) > 0;
}

static int scan_detach(struct source *s, struct err *e)
{
	(void)s, (void)e;
	return 0;
}

static void scan_close(struct source *s)
{
	struct scan *scan = (struct scan *)s;

	close(scan->fd);
	free(scan);
}

static const struct source_ops scan_ops = {
	.name = "scan",
	.tracks = false,
	.status = scan_status,
	.mark = scan_mark,
	.ack = scan_ack,
	.drain_open = scan_drain_open,
	.drain_close = scan_drain_close,
	.read = scan_read,
	.hole = scan_hole,
	.detach = scan_detach,
	.close = scan_close,
};

static int open_with(const char *path, int flags)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	/* cppcheck-suppress resourceLeak */
	return fd < 0 ? -errno : fd;
}

/* Past the page cache where the filesystem can: its copy of a mounted disk may be old. */
static int open_for_reading(const char *path, bool *cached)
{
	int fd = open_with(path, O_DIRECT);

	*cached = fd == -EINVAL;
	return *cached ? open_with(path, 0) : fd;
}

int source_scan_open(const char *path, struct source **out, struct err *e)
{
	struct scan *scan = calloc(1, sizeof(*scan));
	int r;

	if (!scan)
		return err_set(e, -ENOMEM, "out of memory");
	scan->fd = open_for_reading(path, &scan->cached);
	if (scan->fd < 0) {
		r = err_errno(e, scan->fd, "cannot read %s", path);
		free(scan);
		return r;
	}
	snprintf(scan->path, sizeof(scan->path), "%s", path);
	scan->source.ops = &scan_ops;
	scan->source.shift = SCAN_SHIFT;
	scan->source.poll_fd = -1;
	r = io_size(scan->fd, &scan->source.size);
	if (r) {
		err_errno(e, r, "cannot tell the size of %s", path);
		scan_close(&scan->source);
		return r;
	}
	*out = &scan->source;
	return 0;
}
