// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/child.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define SWEEPS 50 /* a program that forks on and on is not run after for ever */

/* In the child: nothing here may allocate, since another thread may have held a lock. */
static void become(const char *const *argv, const char *const *env, const int fd[3], int report)
{
	static const char score[] = "0";
	sigset_t none;
	int r, oom;

	setsid();
	umask(077);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The shim is spared when memory runs out, what it starts is not. */
	oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (oom >= 0 && write(oom, score, 1) < 0)
		r = errno; /* not fatal: it is spared, too */
	if (!chdir("/") && dup2(fd[0], 0) == 0 && dup2(fd[1], 1) == 1 && dup2(fd[2], 2) == 2) {
		/* Whoever called us may have left descriptors open, a lock say. */
		close_range(3, (unsigned int)report - 1, 0);
		close_range((unsigned int)report + 1, ~0u, 0);
		execve(argv[0], (char *const *)argv, (char *const *)env);
	}
	r = errno;
	if (write(report, &r, sizeof(r)) < 0)
		_exit(126);
	_exit(127);
}

static int make_pipe(int *ours, int *theirs, bool to_child)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	*ours = p[to_child ? 1 : 0];
	*theirs = p[to_child ? 0 : 1];
	return fcntl(*ours, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_all(struct child *c)
{
	close_fd(&c->in);
	close_fd(&c->out);
	close_fd(&c->err);
	close_fd(&c->pidfd);
}

static int spawn(const char *const *argv, const char *const *env, struct child *c, const int fd[3])
{
	_cleanup_close_ int said = -1;
	int report = -1, code = 0, r;

	r = make_pipe(&said, &report, false);
	if (r)
		return r;
	c->pid = fork();
	if (!c->pid)
		become(argv, env, fd, report);
	r = c->pid < 0 ? -errno : 0;
	close(report);
	if (r)
		return r;
	/* End of file: it was executed. */
	fcntl(said, F_SETFL, 0);
	if (read(said, &code, sizeof(code)) == sizeof(code)) {
		waitpid(c->pid, NULL, 0);
		return -code;
	}
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd >= 0)
		return 0;
	r = -errno;
	kill(-c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	return r;
}

int child_start(const char *const *argv, const char *const *env, struct child *c, struct err *e)
{
	int fd[3] = {-1, -1, -1}, r;

	*c = (struct child)CHILD_NONE;
	r = make_pipe(&c->in, &fd[0], true);
	if (!r)
		r = make_pipe(&c->out, &fd[1], false);
	if (!r)
		r = make_pipe(&c->err, &fd[2], false);
	if (!r)
		r = spawn(argv, env, c, fd);
	for (int i = 0; i < 3; i++)
		close_fd(&fd[i]);
	if (!r)
		return 0;
	close_all(c);
	c->pid = 0;
	return err_errno(e, r, "cannot run %s", argv[0]);
}

/* Keep the last TAIL_BYTES. */
static void keep_tail(struct child *c, const char *data, size_t len)
{
	if (len > TAIL_BYTES) {
		data += len - TAIL_BYTES;
		len = TAIL_BYTES;
	}
	if (c->tail_used + len > TAIL_BYTES) {
		size_t drop = c->tail_used + len - TAIL_BYTES;

		memmove(c->tail, c->tail + drop, c->tail_used - drop);
		c->tail_used -= drop;
	}
	memcpy(c->tail + c->tail_used, data, len);
	c->tail_used += len;
}

void child_drain_err(struct child *c)
{
	char buf[4096];
	ssize_t n;

	if (c->err < 0)
		return;
	/* One read: who writes without end must not keep us here. */
	n = read(c->err, buf, sizeof(buf));
	if (n > 0)
		keep_tail(c, buf, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(&c->err);
}

const char *child_last_line(struct child *c)
{
	static char line[256];
	size_t end = c->tail_used, from;

	while (end && (c->tail[end - 1] == '\n' || c->tail[end - 1] == ' '))
		end--;
	for (from = end; from && c->tail[from - 1] != '\n'; from--)
		;
	if (end - from > sizeof(line) - 1)
		end = from + sizeof(line) - 1;
	memcpy(line, c->tail + from, end - from);
	line[end - from] = '\0';
	for (char *s = line; *s; s++) {
		if ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)
			*s = '?';
	}
	return line;
}

void child_close_in(struct child *c)
{
	close_fd(&c->in);
}

void child_close_out(struct child *c)
{
	close_fd(&c->out);
}

void child_signal(const struct child *c, int sig)
{
	if (c->pid > 0)
		kill(-c->pid, sig);
}

bool child_ended(const struct child *c)
{
	siginfo_t info = {0};

	return c->pid > 0 && !waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	       info.si_pid;
}

bool child_reap(struct child *c, int *status)
{
	if (!child_ended(c))
		return false;
	/* As long as it is not reaped its group's number belongs to nobody else. */
	kill(-c->pid, SIGKILL);
	child_drain_err(c);
	waitpid(c->pid, status, 0);
	close_all(c);
	c->pid = 0;
	return true;
}

/* One pass over the list of our children. */
static int sweep_once(bool (*keep)(pid_t pid, void *arg), void *arg)
{
	_cleanup_free_ char *list = NULL;
	char path[64], *at, *end;
	int killed = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	if (io_read_file(path, 1 << 16, &list, NULL, NULL))
		return 0;
	for (at = list;; at = end) {
		pid_t pid = (pid_t)strtol(at, &end, 10);

		if (end == at)
			return killed;
		if (keep(pid, arg))
			continue;
		kill(pid, SIGKILL);
		/* It may have ended before, or not be able to end now; the next pass sees it. */
		waitpid(pid, NULL, WNOHANG);
		killed++;
	}
}

int child_sweep(bool (*keep)(pid_t pid, void *arg), void *arg)
{
	int total = 0, n = 1;

	for (int i = 0; n && i < SWEEPS; i++) {
		n = sweep_once(keep, arg);
		total += n;
		if (n)
			usleep(2000);
	}
	return total;
}
