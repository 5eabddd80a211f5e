// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "freezekill.h"

static FILE *dial(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	for (int i = 0; i < 100; i++) {
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fdopen(fd, "r");
		usleep(50000);
	}
	close(fd);
	return NULL;
}

static void order(FILE *f, const char *text)
{
	/* A shim that was killed meanwhile is noticed at its answer. */
	if (send(fileno(f), text, strlen(text), MSG_NOSIGNAL) < 0)
		return;
}

/* Report the next answer; false: there is none to come. */
static bool step(FILE *f, int reports)
{
	static const char *const words[] = {"prepared ", "frozen ", "thawed ", "done ", "error "};
	struct step_report r = {.step = STEP_ERROR};
	static char line[1 << 17];
	bool there = fgets(line, sizeof(line), f) != NULL;

	for (int i = 0; there && i < 5; i++) {
		if (!strncmp(line, words[i], strlen(words[i])))
			r.step = (enum step)i;
	}
	r.consistent = there && strstr(line, "\"consistent\":true");
	r.at_us = now_us();
	if (write(reports, &r, sizeof(r)) != sizeof(r))
		exit(1);
	return there && r.step != STEP_ERROR && r.step != STEP_DONE;
}

static void request(const char *socket, int window_ms, int hold_ms, int reports)
{
	FILE *f = dial(socket);
	char line[64];

	if (!f)
		exit(1);
	snprintf(line, sizeof(line), "set window_ms=%d\n", window_ms);
	order(f, line);
	if (!step(f, reports))
		exit(0);
	order(f, "freeze\n");
	if (!step(f, reports))
		exit(0);
	usleep((useconds_t)hold_ms * 1000);
	order(f, "thaw\n");
	while (step(f, reports))
		;
	exit(0);
}

pid_t request_start(const char *socket, int window_ms, int hold_ms, int *reports)
{
	int p[2];
	pid_t pid;

	if (pipe(p))
		die("cannot make a pipe");
	pid = fork();
	if (!pid) {
		close(p[0]);
		request(socket, window_ms, hold_ms, p[1]);
	}
	close(p[1]);
	*reports = p[0];
	return pid;
}

bool request_healthy(const char *socket)
{
	FILE *f = dial(socket);
	struct timeval limit = {.tv_sec = 12};
	char line[4096];
	bool well;

	if (!f)
		return false;
	setsockopt(fileno(f), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	order(f, "writers\n");
	well = fgets(line, sizeof(line), f) && !strncmp(line, "writers ", 8);
	fclose(f);
	return well;
}
