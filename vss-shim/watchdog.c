// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/watchdog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"

#define MS UINT64_C(1000000)
/* Nothing is held yet while these are waited for; to lock memory takes its time. */
#define READY_MS 10000
#define GIVEN_MS 2000
#define RETRY_NS (20 * MS)
#define EAGER_NS (2000 * MS) /* so long; what fails then may do so for hours */
#define SLOW_RETRY_NS (200 * MS)
#define LEFT_MAX 16
#define GRACE_NS (400 * MS) /* writers that see the shim's end let go by themselves */

enum message { READY = 'r', UNLOCKED = 'u', GIVEN = 'g', DOORBELL = 'd' };

/* --- the process ------------------------------------------------------------------------------ */

struct dog {
	struct ledger *ledger;
	const struct fs_ops *ops;
	int channel, fd[LEDGER_FS_MAX], count;
	bool alone; /* the shim has died */
};

static void settle(int channel)
{
	int oom;

	setsid();
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "vss-watchdog");
	close_range(3, (unsigned int)channel - 1, 0);
	close_range((unsigned int)channel + 1, ~0u, 0);
	oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (oom >= 0) {
		/* Without the privilege it can be killed like others; that is noticed. */
		if (write(oom, "-1000", 5) < 0)
			errno = 0;
		close(oom);
	}
}

/* One message; descriptors that come with it are those of the filesystems. */
static void receive(struct dog *d)
{
	char byte, control[CMSG_SPACE(sizeof(int) * LEDGER_FS_MAX)];
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(d->channel, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		d->alone = true;
	if (!c || c->cmsg_type != SCM_RIGHTS)
		return;
	d->count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(d->fd, CMSG_DATA(c), sizeof(int) * (size_t)d->count);
	byte = GIVEN;
	if (send(d->channel, &byte, 1, MSG_NOSIGNAL) < 0)
		d->alone = true;
}

/* Thaw what is frozen; true: there may be more to come. */
static bool thaw_all(struct dog *d)
{
	bool more = false;

	for (int i = d->count - 1; i >= 0; i--) {
		_Atomic int *state = &d->ledger->fs[i].state;
		int is = atomic_load(state), r;

		if (is != FS_FREEZING && is != FS_FROZEN)
			continue;
		r = d->ops->thaw(d->fd[i]);
		/*
		 * Who is still in the midst of freezing cannot be thawed yet. When the shim has
		 * died, so has its thread, and nothing is in the midst of anything.
		 */
		if (!fs_thawed(r) || (r && is == FS_FREEZING && !d->alone))
			more = true;
		else
			atomic_store(state, FS_THAWED);
	}
	return more;
}

static void kill_groups(const struct dog *d)
{
	for (int i = 0; i < LEDGER_GROUPS_MAX; i++) {
		int group = atomic_load(&d->ledger->group[i]);

		if (group > 0)
			kill(-group, SIGKILL);
		else if (group < 0)
			kill(group, SIGTERM);
	}
}

/* Until at_ns, the shim's death or a message. */
static void dog_wait(struct dog *d, uint64_t at_ns)
{
	struct pollfd p = {d->alone ? -1 : d->channel, POLLIN, 0};
	uint64_t now = clock_monotonic_ns(), left = at_ns > now ? at_ns - now : 0;
	struct timespec ts = {(time_t)(left / NSEC_PER_SEC), (long)(left % NSEC_PER_SEC)};

	if (ppoll(&p, 1, at_ns == UINT64_MAX ? NULL : &ts, NULL) > 0)
		receive(d);
}

/* However long it takes: a thaw that fails is tried again, the groups are killed all the same. */
static void fire(struct dog *d)
{
	uint64_t began = clock_monotonic_ns(), kill_at = began + GRACE_NS, now = began;
	bool more, killed = false;

	atomic_store(&d->ledger->fired, 1);
	for (more = thaw_all(d); more || !killed; more = thaw_all(d)) {
		uint64_t again = now - began < EAGER_NS ? RETRY_NS : SLOW_RETRY_NS;

		if (!killed && now >= kill_at) {
			kill_groups(d);
			killed = true;
		} else {
			dog_wait(d, more ? now + again : kill_at);
		}
		now = clock_monotonic_ns();
	}
}

static void dog_main(struct dog *d)
{
	bool fired = false;

	while (!d->alone) {
		uint64_t deadline = atomic_load(&d->ledger->deadline_ns);

		if (deadline && !fired && clock_monotonic_ns() >= deadline) {
			fire(d);
			fired = true;
		} else {
			dog_wait(d, deadline && !fired ? deadline : UINT64_MAX);
		}
	}
	/* A shim that ended in order left nothing in the ledger. */
	fire(d);
	_exit(0);
}

static bool nothing_left(const struct ledger *l)
{
	for (int i = 0; i < LEDGER_FS_MAX; i++) {
		int state = atomic_load(&l->fs[i].state);

		if (state == FS_FREEZING || state == FS_FROZEN)
			return false;
	}
	for (int i = 0; i < LEDGER_GROUPS_MAX; i++) {
		if (atomic_load(&l->group[i]))
			return false;
	}
	return true;
}

/* --- the shim's side -------------------------------------------------------------------------- */

/* Those that outlive their set, since they still have something to thaw: our children until they end. */
static pid_t left[LEFT_MAX];

bool watchdog_left(pid_t pid)
{
	for (int i = 0; i < LEFT_MAX; i++) {
		if (left[i] && left[i] == pid)
			return true;
	}
	return false;
}

static void reap_left(void)
{
	for (int i = 0; i < LEFT_MAX; i++) {
		if (left[i] && waitpid(left[i], NULL, WNOHANG) != 0)
			left[i] = 0;
	}
}

static void leave(pid_t pid)
{
	for (int i = 0; i < LEFT_MAX; i++) {
		if (!left[i]) {
			left[i] = pid;
			return;
		}
	}
}

/* The next message, or a negative errno. */
static int answer(struct watchdog *w, int timeout_ms)
{
	struct pollfd p = {w->channel, POLLIN, 0};
	char byte;

	if (poll(&p, 1, timeout_ms) <= 0)
		return -ETIMEDOUT;
	return recv(w->channel, &byte, 1, MSG_DONTWAIT) == 1 ? byte : -EPIPE;
}

static void run_dog(struct ledger *l, const struct fs_ops *ops, int channel)
{
	struct dog d = {.ledger = l, .ops = ops, .channel = channel};
	char byte;

	settle(channel);
	byte = mlockall(MCL_CURRENT | MCL_FUTURE) ? UNLOCKED : READY;
	if (send(channel, &byte, 1, MSG_NOSIGNAL) == 1)
		dog_main(&d);
	_exit(1);
}

int watchdog_start(struct watchdog *w, struct ledger *l, const struct fs_ops *ops, bool must_lock,
		   struct err *e)
{
	int pair[2], r;

	reap_left();
	*w = (struct watchdog){.channel = -1, .ledger = l};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return err_errno(e, -errno, "cannot make a socket for the watchdog");
	w->pid = fork();
	if (!w->pid) {
		close(pair[0]);
		run_dog(l, ops, pair[1]);
	}
	close(pair[1]);
	w->channel = pair[0];
	if (w->pid < 0) {
		w->pid = 0;
		r = err_errno(e, -errno, "cannot start the watchdog");
	} else {
		r = answer(w, READY_MS);
		if (r == READY || (r == UNLOCKED && !must_lock))
			return 0;
		r = r == UNLOCKED ? err_set(e, -EPERM,
					    "the watchdog cannot lock its memory (CAP_IPC_LOCK)")
				  : err_set(e, -EIO, "the watchdog does not start");
	}
	watchdog_stop(w);
	return r;
}

int watchdog_give(struct watchdog *w, const int *fd, int count, struct err *e)
{
	char byte = GIVEN, control[CMSG_SPACE(sizeof(int) * LEDGER_FS_MAX)] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c;

	if (!count)
		return 0;
	m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
	memcpy(CMSG_DATA(c), fd, sizeof(int) * (size_t)count);
	if (sendmsg(w->channel, &m, MSG_NOSIGNAL | MSG_DONTWAIT) != 1 ||
	    answer(w, GIVEN_MS) != GIVEN)
		return err_set(e, -EIO, "the watchdog does not answer");
	return 0;
}

int watchdog_arm(struct watchdog *w, uint64_t deadline_ns, struct err *e)
{
	char byte = DOORBELL;

	atomic_store(&w->ledger->deadline_ns, deadline_ns);
	if (send(w->channel, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		return err_set(e, -EIO, "the watchdog is gone");
	return 0;
}

void watchdog_stop(struct watchdog *w)
{
	if (w->channel >= 0)
		close(w->channel);
	w->channel = -1;
	if (w->pid <= 0)
		return;
	/* It may be stopped, or hang in a thaw that the kernel does not finish. */
	if (nothing_left(w->ledger))
		kill(w->pid, SIGKILL);
	if (!waitpid(w->pid, NULL, nothing_left(w->ledger) ? 0 : WNOHANG))
		leave(w->pid);
	w->pid = 0;
}
