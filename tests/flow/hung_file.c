/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file whose filesystem does not answer (a server of NFS that is away), for a program that is started with this in LD_PRELOAD: what asks for the
 * file $HUNG_FILE by its name, or opens it, does not come back while the file $HUNG exists; what asks an open one for its data and holes not while $HUNG_SEEK does.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void answer_while(const char *path, const char *hung)
{
	const char *file = getenv("HUNG_FILE");

	while (file && hung && !strcmp(path, file) && !access(hung, F_OK))
		usleep(10000);
}

static void answer(const char *path)
{
	answer_while(path, getenv("HUNG"));
}

off64_t lseek64(int fd, off64_t offset, int whence)
{
	off64_t (*real)(int, off64_t, int) =
		(off64_t(*)(int, off64_t, int))dlsym(RTLD_NEXT, "lseek64");
	char link[64], path[4096] = "";

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (whence == SEEK_DATA && readlink(link, path, sizeof(path) - 1) > 0)
		answer_while(path, getenv("HUNG_SEEK"));
	return real(fd, offset, whence);
}

int stat64(const char *path, struct stat64 *st)
{
	int (*real)(const char *, struct stat64 *) =
		(int (*)(const char *, struct stat64 *))dlsym(RTLD_NEXT, "stat64");

	answer(path);
	return real(path, st);
}

char *realpath(const char *path, char *out)
{
	char *(*real)(const char *, char *) =
		(char *(*)(const char *, char *))dlsym(RTLD_NEXT, "realpath");

	answer(path);
	return real(path, out);
}

int open64(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) =
		(int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	answer(path);
	return real(path, flags, mode);
}
