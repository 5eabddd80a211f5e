/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/support.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/io.h"

static char dir[4096];
static pid_t dir_owner;

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* A test that check has forked inherits the handler, and must not remove what is not its own. */
static void remove_dir(void)
{
	if (getpid() == dir_owner)
		nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *temp_dir(void)
{
	const char *base = getenv("TMPDIR");

	if (dir_owner)
		return dir;
	snprintf(dir, sizeof(dir), "%s/mobility-unit.XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(dir)) { /* not check's way: main calls this before there is a test to fail */
		perror(dir);
		exit(EXIT_FAILURE);
	}
	dir_owner = getpid();
	atexit(remove_dir);
	return dir;
}

const char *temp_path(const char *name)
{
	static char paths[16][4200];
	static unsigned int next;
	char *path = paths[next++ % ARRAY_SIZE(paths)];

	snprintf(path, sizeof(paths[0]), "%s/%s", temp_dir(), name);
	return path;
}

void write_text(const char *path, const char *text)
{
	struct err e = {0};

	assert_ok(io_write_file_atomic(path, text, strlen(text), 0600, &e), &e);
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void fill_noise(void *buf, size_t len, uint64_t seed)
{
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(next_random(&seed) | (i == 0));
}

void fill_text(void *buf, size_t len, uint64_t seed)
{
	static const char *const words[] = {"replication ", "disk ", "epoch\n", "boundary ",
					    "0123 "};
	char *p = buf;
	size_t done = 0;

	while (done < len) {
		uint64_t random = next_random(&seed);
		const char *word = words[random % ARRAY_SIZE(words)];
		size_t n = strlen(word);

		if (n > len - done)
			n = len - done;
		memcpy(p + done, word, n);
		done += n;
		if (done < len)
			p[done++] = (char)('a' + (random >> 32) % 26);
	}
}

int run_command(const char *const argv[])
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
