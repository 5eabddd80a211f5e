// SPDX-License-Identifier: Apache-2.0
/*
 * Holds the disk descriptor of an attached disk, as an agent does, and tells what poll() says of it.
 *
 * usage: diskwatch EVENTS SECONDS DEVICE
 * Prints "watching", then waits until at least EVENTS (MOB_EVENT_*) are raised, or with EVENTS 0
 * until the disk hangs up; then prints events=N size=N size_now=N hangup=0|1 and ends with 0. Nothing
 * within SECONDS: prints the same and ends with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "include/mobility/uapi.h"

static int open_attached(const char *device)
{
	struct mob_open o = {.version = MOB_UAPI_VERSION};
	int control = open("/dev/" MOB_DEVICE_NAME, O_RDWR | O_CLOEXEC);
	int bdev = open(device, O_RDONLY | O_CLOEXEC), ret = -1;

	o.bdev_fd = bdev;
	if (control >= 0 && bdev >= 0)
		ret = ioctl(control, MOB_IOC_OPEN, &o);
	if (ret)
		fprintf(stderr, "diskwatch: cannot open the attachment of %s: %s\n", device,
			strerror(errno));
	if (bdev >= 0)
		close(bdev); /* the disk may go while we watch */
	if (control >= 0)
		close(control);
	return ret ? -1 : o.disk_fd;
}

int main(int argc, char **argv)
{
	struct mob_disk_status s;
	uint32_t wanted;
	time_t end;
	bool hangup, done;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: diskwatch EVENTS SECONDS DEVICE\n");
		return 2;
	}
	wanted = (uint32_t)atoi(argv[1]);
	fd = open_attached(argv[3]);
	if (fd < 0)
		return 2;
	puts("watching");
	fflush(stdout);
	end = time(NULL) + atoi(argv[2]);
	do {
		struct pollfd p = {.fd = fd, .events = POLLPRI};

		memset(&s, 0, sizeof(s));
		s.version = MOB_UAPI_VERSION;
		if (poll(&p, 1, 500) < 0 || ioctl(fd, MOB_DISK_IOC_STATUS, &s)) {
			fprintf(stderr, "diskwatch: %s: %s\n", argv[3], strerror(errno));
			return 2;
		}
		hangup = p.revents & POLLHUP;
		done = wanted ? (s.events & wanted) == wanted && p.revents & POLLPRI : hangup;
		if (!done)
			usleep(100000);
	} while (!done && time(NULL) < end);
	printf("events=%u size=%" PRIu64 " size_now=%" PRIu64 " hangup=%d\n", s.events,
	       (uint64_t)s.size, (uint64_t)s.size_now, hangup);
	return done ? 0 : 1;
}
