// SPDX-License-Identifier: Apache-2.0
#include "drain.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define SEAL_TIMEOUT_MS 60000

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int fail(const char *what, const char *on)
{
	fprintf(stderr, "drain: %s%s%s: %s\n", what, on ? " " : "", on ? on : "", strerror(errno));
	return -1;
}

int mob_open(void)
{
	int fd = open("/dev/" MOB_DEVICE_NAME, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("open", "/dev/" MOB_DEVICE_NAME);
	return fd;
}

int mob_info(int control, struct mob_info *info)
{
	memset(info, 0, sizeof(*info));
	info->version = MOB_UAPI_VERSION;
	return ioctl(control, MOB_IOC_INFO, info) ? fail("info", NULL) : 0;
}

int mob_attach(int control, struct source *s, uint32_t granule_shift, uint64_t pool, bool dirty)
{
	struct mob_attach a = {.version = MOB_UAPI_VERSION,
			       .bdev_fd = s->bdev_fd,
			       .granule_shift = granule_shift,
			       .pool_limit = pool,
			       .flags = dirty ? MOB_ATTACH_DIRTY : 0};

	if (ioctl(control, MOB_IOC_ATTACH, &a))
		return fail("attach", s->device);
	s->disk_fd = a.disk_fd;
	s->disk_id = a.disk_id;
	s->size = a.size;
	s->granule_shift = a.granule_shift;
	return 0;
}

int mob_reopen(int control, struct source *s)
{
	struct mob_open o = {.version = MOB_UAPI_VERSION, .bdev_fd = s->bdev_fd};

	if (ioctl(control, MOB_IOC_OPEN, &o))
		return fail("open the attachment of", s->device);
	s->disk_fd = o.disk_fd;
	s->disk_id = o.disk_id;
	s->size = o.size;
	s->granule_shift = o.granule_shift;
	return 0;
}

int mob_detach(const struct source *s)
{
	struct mob_plain p = {.version = MOB_UAPI_VERSION};

	return ioctl(s->disk_fd, MOB_DISK_IOC_DETACH, &p) ? fail("detach", s->device) : 0;
}

int mob_disk_status(const struct source *s, struct mob_disk_status *status)
{
	memset(status, 0, sizeof(*status));
	status->version = MOB_UAPI_VERSION;
	return ioctl(s->disk_fd, MOB_DISK_IOC_STATUS, status) ? fail("status of", s->device) : 0;
}

int mob_mark(const struct source *s, uint64_t offset, uint64_t length)
{
	struct mob_range r = {.version = MOB_UAPI_VERSION, .offset = offset, .length = length};

	return ioctl(s->disk_fd, MOB_DISK_IOC_MARK, &r) ? fail("mark", s->device) : 0;
}

int mob_grow(struct source *s)
{
	struct mob_grow g = {.version = MOB_UAPI_VERSION};

	if (ioctl(s->disk_fd, MOB_DISK_IOC_GROW, &g))
		return fail("grow", s->device);
	s->size = g.size;
	return 0;
}

int mob_advance(int control, struct mob_advance *advance)
{
	memset(advance, 0, sizeof(*advance));
	advance->version = MOB_UAPI_VERSION;
	if (!ioctl(control, MOB_IOC_ADVANCE, advance))
		return 0;
	return errno == EBUSY ? 1 : fail("advance", NULL);
}

int mob_wait_sealed(int epoch_fd)
{
	struct pollfd p = {.fd = epoch_fd, .events = POLLIN};
	int n;

	do {
		n = poll(&p, 1, SEAL_TIMEOUT_MS);
	} while (n < 0 && errno == EINTR);
	if (n == 1 && p.revents & POLLIN)
		return 0;
	if (n == 0)
		errno = ETIMEDOUT;
	return fail("waiting until the epoch is sealed", NULL);
}

int mob_epoch_status(int epoch_fd, struct mob_epoch_status *status)
{
	memset(status, 0, sizeof(*status));
	status->version = MOB_UAPI_VERSION;
	return ioctl(epoch_fd, MOB_EPOCH_IOC_STATUS, status) ? fail("epoch status", NULL) : 0;
}

int mob_commit(int epoch_fd)
{
	struct mob_plain p = {.version = MOB_UAPI_VERSION};

	return ioctl(epoch_fd, MOB_EPOCH_IOC_COMMIT, &p) ? fail("commit", NULL) : 0;
}

int mob_drain(int epoch_fd, const struct source *s, struct mob_drain *drain)
{
	memset(drain, 0, sizeof(*drain));
	drain->version = MOB_UAPI_VERSION;
	drain->disk_id = s->disk_id;
	if (!ioctl(epoch_fd, MOB_EPOCH_IOC_DRAIN, drain))
		return 0;
	return errno == ENODEV ? 1 : fail("drain", s->device);
}
