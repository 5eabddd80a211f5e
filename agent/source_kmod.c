// SPDX-License-Identifier: Apache-2.0
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/source.h"
#include "agent/source_kmod.h"
#include "include/mobility/uapi.h"
#include "lib/cleanup.h"
#include "lib/digest.h"

static_assert(MOB_EVENT_SUSPECT == SOURCE_SUSPECT && MOB_EVENT_RESIZED == SOURCE_RESIZED &&
		      MOB_EVENT_GONE == SOURCE_GONE,
	      "the events of a source are those of the module");

struct kmod_disk {
	struct source source;
	int fd; /* the disk fd */
	uint32_t disk_id;
	char path[PATH_MAX];
	/* of the epoch that is drained */
	int drain_fd;
	void *bitmap;
	size_t bitmap_bytes;
};

static int disk_status(struct source *s, struct source_status *out, struct err *e)
{
	struct kmod_disk *d = (struct kmod_disk *)s;
	struct mob_disk_status st = {.version = MOB_UAPI_VERSION};

	memset(out, 0, sizeof(*out));
	if (ioctl(d->fd, MOB_DISK_IOC_STATUS, &st))
		return err_errno(e, -errno, "the kernel module does not tell the status of %s",
				 d->path);
	out->size_now = st.size_now;
	out->dirty_bytes = st.dirty_granules << st.granule_shift;
	if (out->dirty_bytes > st.size)
		out->dirty_bytes = st.size;
	out->written_bytes = st.written_bytes;
	out->events = st.events;
	/* Detached, by us or somebody else: there is no event of that. */
	if (!st.size_now)
		out->events |= SOURCE_GONE;
	return 0;
}

static int disk_mark(struct source *s, uint64_t offset, uint64_t length, struct err *e)
{
	struct kmod_disk *d = (struct kmod_disk *)s;
	struct mob_range range = {.version = MOB_UAPI_VERSION, .offset = offset, .length = length};

	if (!length)
		return 0;
	if (ioctl(d->fd, MOB_DISK_IOC_MARK, &range))
		return err_errno(e, -errno, "the kernel module cannot mark a range of %s", d->path);
	return 0;
}

static int disk_ack(struct source *s, unsigned int events, struct err *e)
{
	struct kmod_disk *d = (struct kmod_disk *)s;
	struct mob_ack ack = {.version = MOB_UAPI_VERSION, .events = events};

	if (ioctl(d->fd, MOB_DISK_IOC_ACK, &ack))
		return err_errno(e, -errno, "cannot acknowledge an event of %s", d->path);
	return 0;
}

static int disk_grow(struct source *s, struct err *e)
{
	struct kmod_disk *d = (struct kmod_disk *)s;
	struct mob_grow grow = {.version = MOB_UAPI_VERSION};

	if (!ioctl(d->fd, MOB_DISK_IOC_GROW, &grow)) {
		s->size = grow.size;
		return 0;
	}
	if (errno == EBUSY)
		return err_set(e, -EAGAIN, "the last epoch is still being given back");
	if (errno == ERANGE)
		return err_set(e, -ERANGE, "%s has become smaller", d->path);
	return err_errno(e, -errno, "the kernel module cannot take the new size of %s", d->path);
}

static void disk_drain_close(struct source *s)
{
	struct kmod_disk *d = (struct kmod_disk *)s;

	if (d->bitmap)
		munmap(d->bitmap, d->bitmap_bytes);
	if (d->drain_fd >= 0)
		close(d->drain_fd);
	d->bitmap = NULL;
	d->drain_fd = -1;
}

static int disk_drain_open(struct source *s, struct boundary *b, struct source_map *out,
			   struct err *e)
{
	struct kmod_disk *d = (struct kmod_disk *)s;
	struct mob_drain drain = {.version = MOB_UAPI_VERSION, .disk_id = d->disk_id};
	void *map;

	*out = (struct source_map){.shift = s->shift};
	if (ioctl(boundary_fd(b), MOB_EPOCH_IOC_DRAIN, &drain)) {
		if (errno == ENODEV)
			return 0; /* attached after the boundary, or gone since */
		return err_errno(e, -errno, "cannot drain the epoch of %s", d->path);
	}
	d->drain_fd = drain.drain_fd;
	out->present = true;
	out->granules = drain.granules;
	out->dirty_granules = drain.dirty_granules;
	out->shift = drain.granule_shift;
	if (drain.bitmap_bytes * 8 < drain.granules) {
		disk_drain_close(s);
		return err_set(e, -EPROTO, "the module's bitmap of %s is too short", d->path);
	}
	map = mmap(NULL, drain.bitmap_bytes, PROT_READ, MAP_SHARED, d->drain_fd, 0);
	if (map == MAP_FAILED) {
		int code = -errno;

		disk_drain_close(s);
		return err_errno(e, code, "cannot map the dirty bitmap of %s", d->path);
	}
	d->bitmap = map;
	d->bitmap_bytes = drain.bitmap_bytes;
	out->bitmap = map;
	return 0;
}

static int disk_read(struct source *s, struct reader *via, void *buf, size_t len, uint64_t offset)
{
	struct kmod_disk *d = (struct kmod_disk *)s;
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = reader_pread(via, d->drain_fd, (char *)buf + done, len - done, offset + done);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int disk_detach(struct source *s, struct err *e)
{
	struct kmod_disk *d = (struct kmod_disk *)s;
	struct mob_plain plain = {.version = MOB_UAPI_VERSION};

	if (ioctl(d->fd, MOB_DISK_IOC_DETACH, &plain) && errno != ENODEV)
		return err_errno(e, -errno, "cannot detach %s from the kernel module", d->path);
	return 0;
}

static void disk_close(struct source *s)
{
	struct kmod_disk *d = (struct kmod_disk *)s;

	disk_drain_close(s);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

static const struct source_ops kmod_ops = {
	.name = "kmod",
	.tracks = true,
	.status = disk_status,
	.mark = disk_mark,
	.ack = disk_ack,
	.grow = disk_grow,
	.drain_open = disk_drain_open,
	.drain_close = disk_drain_close,
	.read = disk_read,
	.detach = disk_detach,
	.close = disk_close,
};

/* Wake poll() at the first dirty granule. */
static int set_threshold(struct kmod_disk *d, struct err *e)
{
	struct mob_threshold t = {.version = MOB_UAPI_VERSION, .dirty_bytes = 1};

	if (ioctl(d->fd, MOB_DISK_IOC_THRESHOLD, &t))
		return err_errno(e, -errno, "cannot set the threshold of %s", d->path);
	d->source.poll_fd = d->fd;
	return 0;
}

static int find(struct kmod_disk *d, int control, int bdev, struct err *e)
{
	struct mob_open o = {.version = MOB_UAPI_VERSION, .bdev_fd = bdev, .disk_fd = -1};

	if (ioctl(control, MOB_IOC_OPEN, &o))
		return err_errno(e, -errno, "the kernel module does not track %s", d->path);
	d->fd = o.disk_fd;
	d->disk_id = o.disk_id;
	d->source.shift = o.granule_shift;
	d->source.size = o.size;
	hex_encode(o.attach_id, MOB_ID_BYTES, d->source.attach_id);
	return 0;
}

static int attach(struct kmod_disk *d, int control, int bdev, struct err *e)
{
	struct mob_attach a = {.version = MOB_UAPI_VERSION, .bdev_fd = bdev, .disk_fd = -1};

	if (ioctl(control, MOB_IOC_ATTACH, &a)) {
		if (errno == EBUSY)
			return find(d, control, bdev, e);
		if (errno == EOPNOTSUPP)
			return err_set(e, -EOPNOTSUPP,
				       "the kernel module cannot track %s: it is zoned, or can be "
				       "written past the block layer (DAX, a RAM disk)",
				       d->path);
		if (errno == ENOSPC)
			return err_set(e, -ENOSPC,
				       "the kernel module cannot track %s: it tracks 64 disks "
				       "already, or all bitmaps together would get too large",
				       d->path);
		if (errno == EAGAIN)
			return err_set(e, -EAGAIN,
				       "the kernel module cannot track %s yet: writes from before "
				       "its protection ended have not completed",
				       d->path);
		return err_errno(e, -errno, "the kernel module cannot track %s", d->path);
	}
	d->fd = a.disk_fd;
	d->disk_id = a.disk_id;
	d->source.shift = a.granule_shift;
	d->source.size = a.size;
	d->source.fresh = true;
	hex_encode(a.attach_id, MOB_ID_BYTES, d->source.attach_id);
	return 0;
}

static int open_disk(struct kmod *k, const char *path, bool may_attach, struct source **out,
		     struct err *e)
{
	struct kmod_disk *d = calloc(1, sizeof(*d));
	_cleanup_close_ int bdev = -1;
	int r;

	if (!d)
		return err_set(e, -ENOMEM, "out of memory");
	d->fd = d->drain_fd = d->source.poll_fd = -1;
	d->source.ops = &kmod_ops;
	snprintf(d->path, sizeof(d->path), "%s", path);
	bdev = open(path, O_RDONLY | O_CLOEXEC);
	if (bdev < 0)
		r = err_errno(e, -errno, "cannot open %s", path);
	else if (may_attach)
		r = attach(d, kmod_fd(k), bdev, e);
	else
		r = find(d, kmod_fd(k), bdev, e);
	if (!r)
		r = set_threshold(d, e);
	if (r)
		disk_close(&d->source);
	else
		*out = &d->source;
	return r;
}

int source_kmod_open(struct kmod *k, const char *path, struct source **out, struct err *e)
{
	return open_disk(k, path, true, out, e);
}

int source_kmod_find(struct kmod *k, const char *path, struct source **out, struct err *e)
{
	return open_disk(k, path, false, out, e);
}
