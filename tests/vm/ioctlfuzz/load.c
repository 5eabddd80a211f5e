// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz.h"

#define WRITE_MAX (256U << 10)

static atomic_bool stop;
static pthread_t writers[DEVICES_MAX];
static struct fuzz randoms[DEVICES_MAX];

static void write_once(struct fuzz *f, int fd, char *block, uint64_t size)
{
	uint64_t length = 4096ULL << below(f, 7);
	uint64_t offset = below(f, (size - length) / 4096) * 4096;
	uint64_t range[2] = {offset, length};

	if (one_in(f, 16)) {
		ioctl(fd, BLKDISCARD, range); /* not every disk has it */
	} else if (one_in(f, 16)) {
		if (ioctl(fd, BLKZEROOUT, range))
			broken("a range cannot be zeroed: %s", strerror(errno));
	} else {
		memset(block, (int)fuzz_random(f), length);
		if (pwrite(fd, block, length, (off_t)offset) != (ssize_t)length)
			broken("a write fails: %s", strerror(errno));
	}
}

static void *writer(void *arg)
{
	struct fuzz *f = arg;
	int fd = open(settings.device[f->number], O_RDWR | O_DIRECT | O_CLOEXEC);
	char *block = aligned_alloc(4096, WRITE_MAX);
	uint64_t size;

	if (fd < 0 || !block || ioctl(fd, BLKGETSIZE64, &size))
		broken("%s: %s", settings.device[f->number], strerror(errno));
	while (!atomic_load(&stop)) {
		write_once(f, fd, block, size);
		usleep((useconds_t)below(f, 2000));
	}
	free(block);
	close(fd);
	return NULL;
}

void load_start(uint64_t seed)
{
	atomic_store(&stop, false);
	for (unsigned int i = 0; i < settings.devices; i++) {
		randoms[i] = (struct fuzz){.random = seed ^ (i + 100), .number = i};
		if (pthread_create(&writers[i], NULL, writer, &randoms[i]))
			broken("no thread");
	}
}

void load_stop(void)
{
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < settings.devices; i++)
		pthread_join(writers[i], NULL);
}
