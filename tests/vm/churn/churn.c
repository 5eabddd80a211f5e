// SPDX-License-Identifier: Apache-2.0
/*
 * Keeps a filesystem busy in every way that a tree of small files can: makes, fills, cuts, punches,
 * renames, links and removes, with an fsync now and then.
 *
 * usage: churn DIR [RATE]	about RATE steps a second (default 100), until SIGTERM
 *
 * Most of what it tries at random meets nothing (ENOENT, EEXIST …), and that is as it should be. A
 * full filesystem makes it remove files. An I/O error, or a filesystem that has turned read-only, is a
 * failure: status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRS 8
#define FILES 48
#define FILE_MAX (96 << 10)

static atomic_bool stopped;
static char buf[FILE_MAX];

static void on_signal(int number)
{
	(void)number;
	stopped = true;
}

static int roll(int below)
{
	return (int)(random() % below);
}

static void random_path(char path[32])
{
	snprintf(path, 32, "d%d/f%d", roll(DIRS), roll(FILES));
}

/* Opens a file, makes one change to it, closes it; -1 with errno if anything failed. */
static int change_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | (roll(4) ? 0 : O_APPEND), 0644), ret = 0;
	off_t offset = roll(FILE_MAX / 2);
	size_t length = (size_t)roll(roll(4) ? 8192 : FILE_MAX / 2) + 1;

	if (fd < 0)
		return -1;
	switch (roll(8)) {
	case 0:
		ret = ftruncate(fd, offset);
		break;
	case 1:
		ret = fallocate(fd, roll(2) ? FALLOC_FL_KEEP_SIZE : 0, offset, (off_t)length);
		break;
	case 2:
		ret = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
				(off_t)length);
		break;
	default:
		memset(buf, roll(256), length);
		if (pwrite(fd, buf, length, offset) < 0)
			ret = -1;
	}
	if (!ret && !roll(10))
		ret = roll(2) ? fsync(fd) : fdatasync(fd);
	if (close(fd))
		ret = -1;
	return ret;
}

static int one_step(void)
{
	char a[32], b[32];

	random_path(a);
	random_path(b);
	switch (roll(16)) {
	case 0:
		a[strcspn(a, "/")] = 0;
		return mkdir(a, 0755);
	case 1:
		a[strcspn(a, "/")] = 0;
		return rmdir(a);
	case 2:
	case 3:
		return rename(a, b);
	case 4:
		return link(a, b);
	case 5:
		return symlink("target", a);
	case 6:
	case 7:
		return unlink(a);
	case 8:
		return chmod(a, roll(2) ? 0600 : 0644);
	default:
		return change_file(a);
	}
}

static void make_room(void)
{
	char path[32];

	for (int i = 0; i < DIRS * FILES / 2; i++) {
		random_path(path);
		if (unlink(path) && errno != ENOENT)
			return;
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	int rate = argc > 2 ? atoi(argv[2]) : 100;
	unsigned long steps = 0;

	if (argc < 2 || rate < 1 || rate > 1000000) {
		fprintf(stderr, "usage: churn DIR [RATE]\n");
		return 2;
	}
	if ((mkdir(argv[1], 0755) && errno != EEXIST) || chdir(argv[1])) {
		fprintf(stderr, "churn: %s: %m\n", argv[1]);
		return 1;
	}
	sigaction(SIGTERM, &action, NULL);
	srandom((unsigned int)getpid());
	for (; !stopped; steps++) {
		if (one_step() && errno == ENOSPC) {
			make_room();
		} else if (errno == EIO || errno == EROFS || errno == EUCLEAN) {
			fprintf(stderr, "churn: %s, step %lu: %m\n", argv[1], steps);
			return 1;
		}
		errno = 0;
		usleep((useconds_t)(1000000 / rate));
	}
	printf("churn: %lu steps in %s\n", steps, argv[1]);
	return 0;
}
