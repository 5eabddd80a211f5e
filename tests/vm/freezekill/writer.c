// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "freezekill.h"

/* A writer whose application is whoever takes the lock. */
int writer_main(const char *mode)
{
	char line[64];
	int fd = -1;

	prctl(PR_SET_NAME, "the-writer");
	if (!strcmp(mode, "identify")) {
		puts("name: lock\ninstances: 1");
		return 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "prepare"))
			usleep(20000);
		if (!strcmp(line, "freeze")) {
			fd = open(LOCK_FILE, O_RDWR | O_CREAT, 0600);
			if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB)) {
				puts("fail the lock is taken");
				fflush(stdout);
				continue;
			}
		}
		if (strcmp(line, "prepare") && strcmp(line, "freeze") && fd >= 0) {
			close(fd);
			fd = -1;
		}
		puts("ok");
		fflush(stdout);
	}
	return 0;
}
