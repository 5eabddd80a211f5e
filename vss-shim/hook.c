// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "vss-shim/lines.h"

#define MS UINT64_C(1000000)
#define MARGIN_NS (200 * MS) /* to answer before the deadline, not after */
#define THAW_NS (5000 * MS)

static const struct kind {
	const char *name, *freeze, *thaw, *fail; /* arguments */
} kinds[] = {
	{"qemu-ga", "freeze", "thaw", "thaw"},
	{"vmware", "freeze", "thaw", "freezeFail"},
	{"azure", "--pre", "--post", "--post"},
};

struct hook {
	const struct kind *kind;
	const char *freeze, *thaw; /* programs; NULL: none */
	uint64_t freeze_ns, window_ns;
	int signals;
	struct lines lines;
	bool frozen; /* it was started for the freeze, and not yet for the thaw */
	bool early; /* it was thawed because the window was over */
	uint64_t until_ns;
	bool ended; /* end of file, or a signal */
};

static void say(const char *word, const char *text)
{
	char line[300];
	int n = snprintf(line, sizeof(line), "%s%s%.250s\n", word, *text ? " " : "", text);

	/* Whoever does not listen any more closed our input as well. */
	if (write(STDOUT_FILENO, line, (size_t)n) < 0)
		return;
}

static pid_t run(const char *program, const char *argument)
{
	sigset_t none;
	pid_t pid = fork();
	int null;

	if (pid)
		return pid;
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Its standard output is for people, too; and without an input its first file would be that. */
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0)
		execl(program, program, argument, NULL);
	fprintf(stderr, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

/* Has the shim gone, or does it want us to end? */
static bool must_end(struct hook *h, int timeout_ms, int extra)
{
	struct pollfd p[] = {{STDIN_FILENO, POLLIN, 0},
			     {h->signals, POLLIN, 0},
			     {extra, POLLIN, 0}};

	poll(p, 3, timeout_ms);
	if (p[1].revents)
		h->ended = true;
	if (p[0].revents) {
		int r = lines_read(&h->lines, STDIN_FILENO);

		if (r <= 0 && r != -EAGAIN)
			h->ended = true;
	}
	return h->ended;
}

/* 0, or -1 with why. give_up: end of file and signals cut it short. */
static int run_wait(struct hook *h, const char *program, const char *argument, uint64_t until,
		    bool give_up, char why[128])
{
	pid_t pid = run(program, argument);
	_cleanup_close_ int fd = pid > 0 ? pidfd_open(pid, 0) : -1;
	struct pollfd p = {fd, POLLIN, 0};
	int status = 0;
	uint64_t now;

	if (pid < 0) {
		snprintf(why, 128, "cannot fork: %s", strerror(errno));
		return -1;
	}
	for (now = clock_monotonic_ns(); now < until; now = clock_monotonic_ns()) {
		int ms = (int)((until - now) / MS) + 1;

		if (give_up ? must_end(h, ms, fd) : poll(&p, 1, ms) < 0)
			break;
		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFEXITED(status) && !WEXITSTATUS(status))
				return 0;
			snprintf(why, 128, "it ended with status %d",
				 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
			return -1;
		}
	}
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	snprintf(why, 128, "it was late and was killed");
	return -1;
}

static void freeze(struct hook *h)
{
	uint64_t now = clock_monotonic_ns();
	uint64_t margin = h->freeze_ns > 2 * MARGIN_NS ? MARGIN_NS : h->freeze_ns / 2;
	char why[128];

	h->frozen = true;
	h->early = false;
	h->until_ns = now + h->window_ns;
	if (!h->freeze ||
	    !run_wait(h, h->freeze, h->kind->freeze, now + h->freeze_ns - margin, true, why))
		say("ok", "");
	else if (!h->ended)
		say("fail", why);
}

/* 0, or -1 with why. */
static int thaw(struct hook *h, bool failed, char why[128])
{
	if (!h->frozen)
		return 0;
	h->frozen = false;
	if (!h->thaw)
		return 0;
	return run_wait(h, h->thaw, failed ? h->kind->fail : h->kind->thaw,
			clock_monotonic_ns() + THAW_NS, false, why);
}

static void phase(struct hook *h, const char *line)
{
	char why[128];

	if (!strcmp(line, "freeze")) {
		freeze(h);
	} else if (!strcmp(line, "thaw")) {
		if (thaw(h, false, why))
			say("fail", why);
		else if (h->early)
			say("fail", "it was thawed before, because the window was over");
		else
			say("ok", "");
	} else {
		if (thaw(h, true, why))
			say("fail", why);
		else
			say("ok", "");
	}
}

static void session(struct hook *h)
{
	char line[LINE_MAX_BYTES], why[128];
	size_t len;

	while (!h->ended) {
		uint64_t now = clock_monotonic_ns();
		int ms = -1;

		if (h->frozen && now >= h->until_ns) {
			h->early = true;
			thaw(h, false, why);
			continue;
		}
		if (h->frozen)
			ms = (int)((h->until_ns - now) / MS) + 1;
		if (lines_take(&h->lines, line, &len))
			phase(h, line);
		else
			must_end(h, ms, -1);
	}
	thaw(h, true, why);
}

static uint64_t from_env(const char *name, uint64_t fallback)
{
	const char *s = getenv(name);
	uint64_t n = s ? strtoull(s, NULL, 10) : 0;

	return (n ? n : fallback) * MS;
}

int hook_main(int argc, char **argv)
{
	struct hook h = {.freeze_ns = from_env("MOBILITY_DEADLINE_MS", 5000),
			 .window_ns = from_env("MOBILITY_WINDOW_MS", 10000)};
	sigset_t set;

	for (size_t i = 0; argc == 4 && i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(kinds[i].name, argv[0]))
			h.kind = &kinds[i];
	}
	if (!h.kind)
		return 2;
	h.freeze = strcmp(argv[1], "-") ? argv[1] : NULL;
	h.thaw = strcmp(argv[2], "-") ? argv[2] : NULL;
	if (!strcmp(argv[3], "identify")) {
		printf("promise: as the hook %s says\n", h.freeze ? h.freeze : h.thaw);
		return fflush(stdout) ? 1 : 0;
	}
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	h.signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (h.signals < 0)
		return 1;
	session(&h);
	return 0;
}
