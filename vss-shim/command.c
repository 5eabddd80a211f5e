// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "vss-shim/report.h"

#define MS UINT64_C(1000000)

static pid_t start(char *const *argv)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	fprintf(stderr, "vss-shim: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(EXIT_CANNOT_RUN);
}

static int status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Run it while everything is held; thaw when it ended, at the latest when the window is over. */
static int run_held(struct set *set, const struct command *c)
{
	pid_t pid = start(c->argv);
	_cleanup_close_ int fd = pid > 0 ? pidfd_open(pid, 0) : -1;
	bool in_time;
	int status = 0;

	if (fd < 0) {
		int why = errno;

		set_thaw(set);
		fprintf(stderr, "vss-shim: cannot start a process: %s\n", strerror(why));
		return EXIT_FAILED;
	}
	set->pump.other = fd;
	set->pump.other_ready = false;
	while (!set->pump.other_ready && !set_given_up(set) && clock_monotonic_ns() < set->until_ns)
		pump_once(&set->pump, set->until_ns);
	in_time = set->pump.other_ready;
	set->pump.other = -1;
	set_thaw(set);
	/* It goes on in a thawed world: to end it may do more harm than to wait. */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return in_time ? status_of(status) : EXIT_WINDOW_OVER;
}

static void print_report(struct set *set)
{
	_cleanup_json_ json_t *o = report_set(set);
	_cleanup_free_ char *text = json_text(o);

	if (text)
		fprintf(stderr, "%s\n", text);
}

static int run_set(struct set *set, const struct command *c)
{
	struct err e;
	int status;

	if (set_identify(set, &e) || set_prepare(set, &e) || set_freeze(set, &e)) {
		set_thaw(set);
		fprintf(stderr, "vss-shim: %s\n", e.text);
		return EXIT_FAILED;
	}
	if (set->reason[0] && !c->anyway) {
		set_thaw(set);
		status = EXIT_NOT_CONSISTENT;
	} else {
		status = run_held(set, c);
	}
	set_post(set);
	if (set->reason[0])
		fprintf(stderr, "vss-shim: not application-consistent: %s\n", set->reason);
	/* What was found out at the thaw spoils the success of the command, not its failure. */
	return !status && set->reason[0] ? EXIT_NOT_CONSISTENT : status;
}

int command_run(const struct settings *s, const struct command *c, int signals)
{
	static struct set set; /* large */
	struct order o = {.kind = ORDER_SET, .window_ms = c->window_ns / MS};
	struct err e;
	int status;

	if (set_begin(&set, s, &fs_kernel, NULL, &o, &e)) {
		fprintf(stderr, "vss-shim: %s\n", e.text);
		return EXIT_FAILED;
	}
	set_attend(&set, -1, NULL, signals);
	status = run_set(&set, c);
	if (c->json)
		print_report(&set);
	set_end(&set);
	return status;
}
