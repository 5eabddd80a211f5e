/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that cannot be read in places, for a program that is started with this in LD_PRELOAD: a pread() of the file $BAD_READS_OF that touches a range in
 * the file $BAD_READS (lines "FROM TO ERRNO", bytes; looked at each time) fails with that error; with the error -1 it does not come back until
 * the line is gone.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define HANGS (-1)

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

/* The error of the first range that is touched; 0: none is. */
static int bad(unsigned long long from, unsigned long long to)
{
	const char *name = getenv("BAD_READS");
	FILE *f = name ? fopen(name, "re") : NULL;
	unsigned long long a, b;
	int error, found = 0;

	while (f && !found && fscanf(f, "%llu %llu %d", &a, &b, &error) == 3)
		found = a < to && from < b ? error : 0;
	if (f)
		fclose(f);
	return found;
}

ssize_t pread64(int fd, void *buf, size_t len, off_t offset)
{
	static ssize_t (*real)(int, void *, size_t, off_t);
	int error;

	if (!real)
		real = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
	do {
		error = is_disk(fd)
				? bad((unsigned long long)offset, (unsigned long long)offset + len)
				: 0;
	} while (error == HANGS && !usleep(10000));
	if (error) {
		errno = error;
		return -1;
	}
	return real(fd, buf, len, offset);
}
