// SPDX-License-Identifier: Apache-2.0
/*
 * How long do writes take around boundaries? One thread writes 4 KiB to random places of all
 * devices and takes a boundary after every N writes, so whatever a boundary keeps from going on is
 * in the time of the boundary itself or of the writes that follow it.
 *
 * usage: boundary ROUNDS WRITES DEVICE...		the devices are attached
 * Prints name=value: the longest write with no boundary in all the time (quiet_max_ns), with an epoch
 * sealed and its granules overwritten (write_max_ns), and the longest and mean boundary.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/vm/drain/drain.h"

#define BLOCK 4096
#define AREA (64u << 20) /* of each device */
#define DEVICES 64

static uint8_t block[BLOCK] __attribute__((aligned(BLOCK)));
static int devices[DEVICES];
static unsigned int device_count;

static void die(const char *what)
{
	fprintf(stderr, "boundary: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The longest of so many writes. */
static uint64_t write_some(unsigned int writes)
{
	uint64_t longest = 0;

	for (unsigned int i = 0; i < writes; i++) {
		int fd = devices[(unsigned int)random() % device_count];
		off_t offset = (off_t)((unsigned int)random() % (AREA / BLOCK)) * BLOCK;
		uint64_t start = now_ns();

		if (pwrite(fd, block, BLOCK, offset) != BLOCK)
			die("write");
		longest = max(longest, now_ns() - start);
	}
	return longest;
}

/* A failure has been told by mob.c. */
static int boundary_at_once(int control, uint64_t *took)
{
	struct mob_advance advance;
	uint64_t start;
	int ret;

	for (;;) {
		start = now_ns();
		ret = mob_advance(control, &advance);
		*took = now_ns() - start;
		if (!ret)
			return advance.epoch_fd;
		if (ret < 0)
			exit(1);
		usleep(200);
	}
}

static void commit(int epoch_fd)
{
	if (mob_wait_sealed(epoch_fd) || mob_commit(epoch_fd))
		exit(1);
	close(epoch_fd);
}

int main(int argc, char **argv)
{
	uint64_t quiet = 0, longest = 0, boundary = 0, total = 0, took;
	unsigned int rounds, writes;
	int control;

	if (argc < 4 || argc - 3 > DEVICES) {
		fprintf(stderr, "usage: boundary ROUNDS WRITES DEVICE...\n");
		return 2;
	}
	control = mob_open();
	if (control < 0)
		return 1;
	rounds = (unsigned int)atoi(argv[1]);
	writes = (unsigned int)atoi(argv[2]);
	for (; (int)device_count < argc - 3; device_count++) {
		devices[device_count] = open(argv[3 + device_count], O_RDWR | O_DIRECT | O_CLOEXEC);
		if (devices[device_count] < 0)
			die(argv[3 + device_count]);
	}
	write_some(writes);
	for (unsigned int i = 0; i < rounds; i++)
		quiet = max(quiet, write_some(writes));
	for (unsigned int i = 0; i < rounds; i++) {
		int epoch_fd = boundary_at_once(control, &took);

		boundary = max(boundary, took);
		total += took;
		longest = max(longest, write_some(writes));
		commit(epoch_fd);
		write_some(writes / 2);
	}
	printf("boundaries=%u quiet_max_ns=%" PRIu64 " write_max_ns=%" PRIu64
	       " boundary_max_ns=%" PRIu64 " boundary_mean_ns=%" PRIu64 "\n",
	       rounds, quiet, longest, boundary, total / rounds);
	return 0;
}
