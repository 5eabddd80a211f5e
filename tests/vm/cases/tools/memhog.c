// SPDX-License-Identifier: Apache-2.0
/*
 * Takes memory and keeps writing to all of it, so that the rest of the machine has to do without, or
 * with swap. The first that the kernel is to kill when there is none left.
 *
 * usage: memhog MIB	until SIGTERM; prints "full" when it has touched all of it once
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int be_the_victim(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int ok = fd >= 0 && write(fd, "1000", 4) == 4;

	return ok && !close(fd) ? 0 : -1;
}

int main(int argc, char **argv)
{
	size_t bytes = argc == 2 ? strtoul(argv[1], NULL, 0) << 20 : 0;
	volatile uint64_t *memory;

	if (!bytes) {
		fprintf(stderr, "usage: memhog MIB\n");
		return 2;
	}
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED || be_the_victim()) {
		perror("memhog");
		return 1;
	}
	for (uint64_t round = 1;; round++) {
		for (size_t at = 0; at < bytes / sizeof(*memory); at += 4096 / sizeof(*memory))
			memory[at] = round ^ at;
		if (round == 1) {
			puts("full");
			fflush(stdout);
		}
	}
}
