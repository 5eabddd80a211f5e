/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that cannot be read in places, for a program that is started with this in LD_PRELOAD: a pread() of the file $BAD_READS_OF that touches a range in
 * the file $BAD_READS (lines "FROM TO", bytes; looked at each time) fails with EIO.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

ssize_t pread64(int fd, void *buf, size_t len, off_t offset);

static bool is_disk(int fd)
{
	const char *disk = getenv("BAD_READS_OF");
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (!disk || n < 0)
		return false;
	path[n] = '\0';
	return !strcmp(path, disk);
}

static bool is_bad(unsigned long long from, unsigned long long to)
{
	const char *name = getenv("BAD_READS");
	FILE *f = name ? fopen(name, "re") : NULL;
	unsigned long long a, b;
	bool bad = false;

	while (f && !bad && fscanf(f, "%llu %llu", &a, &b) == 2)
		bad = a < to && from < b;
	if (f)
		fclose(f);
	return bad;
}

ssize_t pread64(int fd, void *buf, size_t len, off_t offset)
{
	static ssize_t (*real)(int, void *, size_t, off_t);

	if (!real)
		real = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
	if (is_disk(fd) && is_bad((unsigned long long)offset, (unsigned long long)offset + len)) {
		errno = EIO;
		return -1;
	}
	return real(fd, buf, len, offset);
}
