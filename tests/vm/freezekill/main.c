// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "freezekill.h"

#define WINDOW_MS 1000
#define GRACE_MS 1000 /* after the window's end everything is let go */
#define HOLD_MS 150
#define SPREAD_US 450000 /* a set takes about so long */
#define BREATH_US 50000 /* a write may wait so long for the processor */

enum victim { REQUESTER, SHIM, WATCHDOG, WRITER, VICTIMS };
static const char *const victim_names[] = {"requester", "shim", "watchdog", "writer"};

static const char *shim_path, *config, *socket_path;
static pid_t shim;

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("freezekill: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(1);
}

static void shim_start(void)
{
	shim = fork();
	if (!shim) {
		execl(shim_path, shim_path, "--config", config, "serve", NULL);
		_exit(127);
	}
}

/* As systemd does: Restart=always, RestartSec=100ms. */
static void shim_revive(void)
{
	if (waitpid(shim, NULL, WNOHANG) != shim)
		return;
	usleep(100000);
	shim_start();
}

/* Is the process of that name alive, and a child of the shim that runs now? Those of an earlier one may still be on their way out. */
static bool is_one(const char *pid, const char *comm)
{
	char path[300], line[512] = "", *end;
	bool is = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	/* PID (NAME) STATE PARENT … */
	if (fgets(line, sizeof(line), f) && (end = strrchr(line, ')')) && strchr(line, '(')) {
		*end = '\0';
		is = !strcmp(strchr(line, '(') + 1, comm) && end[2] != 'Z' && atoi(end + 4) == shim;
	}
	fclose(f);
	return is;
}

static pid_t find(const char *comm)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (dir && !found && (entry = readdir(dir)))
		if (atoi(entry->d_name) > 0 && is_one(entry->d_name, comm))
			found = (pid_t)atoi(entry->d_name);
	if (dir)
		closedir(dir);
	return found;
}

static bool lock_free(void)
{
	int fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool is = !flock(fd, LOCK_EX | LOCK_NB);

	close(fd);
	return is;
}

static bool all_free(void)
{
	return probe_waiting_us() < BREATH_US && lock_free() && access(HOOK_FILE, F_OK);
}

struct round {
	enum victim victim;
	int sig;
	pid_t requester, pid; /* 0: the victim was not there */
	int reports;
	uint64_t killed_us, dead_us; /* just before and after the signal was sent */
	uint64_t prepared_us, frozen_us, thawed_us;
	bool consistent;
};

static void collect(struct round *r)
{
	struct pollfd p = {r->reports, POLLIN, 0};
	struct step_report s;

	while (poll(&p, 1, 0) > 0 && read(r->reports, &s, sizeof(s)) == sizeof(s)) {
		if (s.step == STEP_PREPARED)
			r->prepared_us = s.at_us;
		if (s.step == STEP_FROZEN)
			r->frozen_us = s.at_us;
		if (s.step == STEP_THAWED) {
			r->thawed_us = s.at_us;
			r->consistent = s.consistent;
		}
	}
}

static void strike(struct round *r)
{
	usleep((useconds_t)(rand() % SPREAD_US));
	r->pid = r->victim == REQUESTER	 ? r->requester
		 : r->victim == SHIM	 ? shim
		 : r->victim == WATCHDOG ? find("vss-watchdog")
					 : find("the-writer");
	r->killed_us = now_us();
	if (r->pid)
		kill(r->pid, r->sig);
	r->dead_us = now_us();
}

/* Until nothing is held any more; and it stays so. */
static uint64_t until_free(struct round *r)
{
	uint64_t limit = r->killed_us + (WINDOW_MS + GRACE_MS + 3000) * 1000ull, free_at = 0;

	/* What holds now was begun within the window; a set that was not there yet may still come. */
	while (now_us() < limit && (!free_at || now_us() - free_at < 300000)) {
		if (!all_free())
			free_at = 0;
		else if (!free_at)
			free_at = now_us();
		if (r->victim == SHIM && r->sig == SIGKILL)
			shim_revive();
		usleep(2000);
	}
	return free_at ? free_at - r->killed_us : UINT64_MAX;
}

static const char *phase_of(const struct round *r)
{
	if (!r->prepared_us || r->killed_us < r->prepared_us)
		return "prepare";
	if (!r->frozen_us || r->killed_us < r->frozen_us)
		return "freeze";
	if (!r->thawed_us || r->killed_us < r->thawed_us)
		return "held";
	return "after";
}

/* Whoever holds something was killed before it let go: that cannot have been a consistent set. */
static void judge_label(const struct round *r)
{
	bool before = r->pid && r->thawed_us && r->frozen_us &&
		      r->dead_us < r->frozen_us + (HOLD_MS - 20) * 1000ull;

	if (before && r->sig == SIGKILL && (r->victim == WRITER || r->victim == WATCHDOG) &&
	    r->consistent)
		die("the %s was killed in %s, and the set is called consistent",
		    victim_names[r->victim], phase_of(r));
}

static void clean_up(struct round *r)
{
	int status;

	if (r->pid)
		kill(r->pid, SIGCONT);
	kill(r->requester, SIGKILL);
	waitpid(r->requester, &status, 0);
	close(r->reports);
	for (int i = 0; i < 20; i++) {
		shim_revive();
		if (request_healthy(socket_path))
			return;
	}
	die("the shim does not answer after the %s was %s", victim_names[r->victim],
	    r->sig == SIGKILL ? "killed" : "stopped");
}

static void run_round(int n, uint64_t *worst_free, uint64_t *worst_write)
{
	struct round r = {.victim = (enum victim)(n % VICTIMS),
			  .sig = (n / VICTIMS) % 2 ? SIGSTOP : SIGKILL};
	uint64_t took, stall;

	probe_worst_us(true);
	r.requester = request_start(socket_path, WINDOW_MS, HOLD_MS, &r.reports);
	strike(&r);
	took = until_free(&r);
	collect(&r);
	stall = probe_worst_us(false);
	printf("round %d: %s %s in %s, free after %llu ms, longest write %llu ms%s\n", n,
	       victim_names[r.victim],
	       !r.pid		  ? "absent"
	       : r.sig == SIGKILL ? "killed"
				  : "stopped",
	       phase_of(&r), (unsigned long long)took / 1000, (unsigned long long)stall / 1000,
	       r.thawed_us ? (r.consistent ? ", consistent" : ", crash") : "");
	fflush(stdout);
	if (took > (WINDOW_MS + GRACE_MS) * 1000ull)
		die("not everything was let go within the window and %d ms", GRACE_MS);
	if (stall > (WINDOW_MS + GRACE_MS) * 1000ull)
		die("a write waited for longer than the window and %d ms", GRACE_MS);
	judge_label(&r);
	clean_up(&r);
	*worst_free = took > *worst_free ? took : *worst_free;
	*worst_write = stall > *worst_write ? stall : *worst_write;
}

/* Without anybody's death the label is the good one: the test would notice a shim that never freezes. */
static void run_undisturbed(void)
{
	struct round r = {.killed_us = now_us()};
	int status;

	probe_worst_us(true);
	r.requester = request_start(socket_path, WINDOW_MS, HOLD_MS, &r.reports);
	waitpid(r.requester, &status, 0);
	collect(&r);
	close(r.reports);
	printf("undisturbed: longest write %llu ms, %s\n",
	       (unsigned long long)probe_worst_us(false) / 1000,
	       r.consistent ? "consistent" : "crash");
	if (!r.thawed_us || !r.consistent)
		die("an undisturbed set is not consistent");
	if (probe_worst_us(false) < (HOLD_MS - 20) * 1000ull)
		die("nothing was frozen");
}

int main(int argc, char **argv)
{
	uint64_t worst_free = 0, worst_write = 0;
	int rounds;

	if (argc == 3 && !strcmp(argv[1], "writer"))
		return writer_main(argv[2]);
	if (argc < 7)
		die("usage: freezekill ROUNDS SEED SHIM CONFIG SOCKET FILE...");
	rounds = atoi(argv[1]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	srand((unsigned int)atoi(argv[2]));
	shim_path = argv[3];
	config = argv[4];
	socket_path = argv[5];
	signal(SIGPIPE, SIG_IGN);
	shim_start();
	probe_start(argv + 6, argc - 6);
	if (!request_healthy(socket_path))
		die("the shim does not start");
	run_undisturbed();
	for (int n = 0; n < rounds; n++)
		run_round(n, &worst_free, &worst_write);
	run_undisturbed();
	printf("freezekill rounds=%d free_ms=%llu write_ms=%llu\n", rounds,
	       (unsigned long long)worst_free / 1000, (unsigned long long)worst_write / 1000);
	kill(shim, SIGTERM);
	waitpid(shim, NULL, 0);
	return 0;
}
