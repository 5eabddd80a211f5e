// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* One round as it is meant, with descriptors of its own. */
struct round {
	struct fuzz *f;
	bool alone; /* nobody else uses the module or writes to the disk */
	int control, bdev, disk, epoch, drain;
	uint32_t disk_id;
	uint32_t granule; /* bytes */
	unsigned char *block; /* of a granule, aligned */
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Anything but these means that the module is wrong. */
static int refused(const struct round *r, const char *what, const int *allowed)
{
	int error = errno;

	for (; !r->alone && *allowed; allowed++)
		if (error == *allowed)
			return -1;
	/* the process is short of descriptors on purpose */
	if (!r->alone && error == EMFILE)
		return -1;
	broken("%s: %s", what, strerror(error));
}

static int round_attach(struct round *r)
{
	struct mob_attach attach = {.version = MOB_UAPI_VERSION, .bdev_fd = r->bdev};
	struct mob_open reopen = {.version = MOB_UAPI_VERSION, .bdev_fd = r->bdev};

	if (!ioctl(r->control, MOB_IOC_ATTACH, &attach)) {
		r->disk = attach.disk_fd;
		r->disk_id = attach.disk_id;
		r->granule = 1U << attach.granule_shift;
		return 0;
	}
	if (errno != EBUSY)
		return refused(r, "attach", (int[]){0});
	if (ioctl(r->control, MOB_IOC_OPEN, &reopen))
		return refused(r, "open of an attached disk", (int[]){ENODEV, 0});
	r->disk = reopen.disk_fd;
	r->disk_id = reopen.disk_id;
	r->granule = 1U << reopen.granule_shift;
	return 0;
}

/* The first granule of the disk becomes VALUE. */
static void round_write(struct round *r, unsigned char value)
{
	memset(r->block, value, r->granule);
	if (pwrite(r->bdev, r->block, r->granule, 0) != (ssize_t)r->granule)
		broken("write to the disk: %s", strerror(errno));
}

static int round_mark(struct round *r)
{
	struct mob_range range = {.version = MOB_UAPI_VERSION, .length = 1};

	if (ioctl(r->disk, MOB_DISK_IOC_MARK, &range))
		return refused(r, "mark", (int[]){ENODEV, 0});
	return 0;
}

static int round_advance(struct round *r)
{
	struct mob_advance advance = {.version = MOB_UAPI_VERSION};
	struct pollfd sealed = {.events = POLLIN};

	for (int tries = 0; ioctl(r->control, MOB_IOC_ADVANCE, &advance); tries++) {
		if (!r->alone || errno != EBUSY || tries == 500)
			return refused(r, "advance", (int[]){EBUSY, ENODEV, 0});
		usleep(10000);
	}
	r->epoch = advance.epoch_fd;
	if (r->alone)
		round_write(r, 0xdd);
	sealed.fd = r->epoch;
	if (poll(&sealed, 1, 20000) != 1 || !(sealed.revents & POLLIN))
		broken("an epoch is not sealed in 20 s (poll: %#x)", (unsigned int)sealed.revents);
	return 0;
}

static int round_read(struct round *r, const unsigned char *bitmap)
{
	ssize_t n;

	/* Another thread's epoch may have come between the mark and our boundary. */
	if (!(bitmap[0] & 1) && !r->alone)
		return -1;
	if (!(bitmap[0] & 1))
		broken("the granule that was marked is not dirty in its epoch");
	n = pread(r->drain, r->block, r->granule, 0);
	if (n < 0)
		return refused(r, "read of a dirty granule", (int[]){ESTALE, 0});
	if (n != (ssize_t)r->granule)
		broken("a granule of %u bytes is read as %zd", r->granule, n);
	if (r->alone && (r->block[0] != 0xcc || memcmp(r->block, r->block + 1, r->granule - 1)))
		broken("the drain does not give what was on the disk at the boundary");
	if (pread(r->drain, r->block, r->granule, 0) != -1 || errno != ESTALE)
		broken("a dirty granule can be read twice");
	return 0;
}

static int round_drain(struct round *r)
{
	struct mob_drain drain = {.version = MOB_UAPI_VERSION, .disk_id = r->disk_id};
	unsigned char *bitmap;
	int ret;

	if (ioctl(r->epoch, MOB_EPOCH_IOC_DRAIN, &drain))
		return refused(r, "drain of a sealed epoch", (int[]){ENODEV, 0});
	r->drain = drain.drain_fd;
	bitmap = mmap(NULL, drain.bitmap_bytes, PROT_READ, MAP_SHARED, r->drain, 0);
	if (bitmap == MAP_FAILED)
		broken("mmap of a dirty bitmap: %s", strerror(errno));
	ret = round_read(r, bitmap);
	munmap(bitmap, drain.bitmap_bytes);
	return ret;
}

static int round_steps(struct round *r)
{
	struct mob_plain commit = {.version = MOB_UAPI_VERSION};
	int drained;

	if (round_attach(r))
		return -1;
	r->block = aligned_alloc(4096, r->granule);
	if (!r->block)
		broken("no memory");
	if (r->alone)
		round_write(r, 0xcc);
	if (round_mark(r) || round_advance(r))
		return -1;
	drained = round_drain(r);
	if (ioctl(r->epoch, MOB_EPOCH_IOC_COMMIT, &commit))
		broken("commit of a sealed epoch: %s", strerror(errno));
	return drained;
}

int walk(struct fuzz *f, bool alone)
{
	struct round r = {.f = f, .alone = alone, .disk = -1, .epoch = -1, .drain = -1};
	int ret = -1;

	r.control = open("/dev/" MOB_DEVICE_NAME, O_RDWR | O_CLOEXEC);
	r.bdev = open(settings.device[alone ? 0 : below(f, settings.devices)],
		      (alone ? O_RDWR | O_DIRECT : O_RDONLY) | O_CLOEXEC);
	if (r.control >= 0 && r.bdev >= 0)
		ret = round_steps(&r);
	else if (alone)
		broken("open: %s", strerror(errno));
	close_fd(&r.drain);
	close_fd(&r.epoch);
	close_fd(&r.disk);
	close_fd(&r.bdev);
	close_fd(&r.control);
	free(r.block);
	return ret;
}
