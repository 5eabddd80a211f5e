// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "support.h"
#include "vss-shim/watchdog.h"

#define MS UINT64_C(1000000)

static struct ledger *ledger;
static struct watchdog dog;

static void start(void)
{
	int fd[2] = {open("/dev/null", O_RDONLY), open("/dev/zero", O_RDONLY)};
	struct err e;

	assert_ok(ledger_open(NULL, &ledger, &e), &e);
	assert_ok(watchdog_start(&dog, ledger, &fake_ops, false, &e), &e);
	assert_ok(watchdog_give(&dog, fd, 2, &e), &e);
	close(fd[0]);
	close(fd[1]);
}

static void freeze(int i)
{
	fake_ops.freeze(0);
	atomic_store(&ledger->fs[i].state, FS_FROZEN);
}

static bool wait_thawed(uint64_t ms)
{
	uint64_t until = clock_monotonic_ns() + ms * MS;

	while (atomic_load(&fake->held) && clock_monotonic_ns() < until)
		usleep(1000);
	return !atomic_load(&fake->held);
}

START_TEST(deadline)
{
	struct err e;
	pid_t group = fork();

	if (!group) {
		setsid();
		pause();
		_exit(0);
	}
	start();
	atomic_store(&ledger->group[3], group);
	assert_ok(watchdog_arm(&dog, clock_monotonic_ns() + 100 * MS, &e), &e);
	freeze(0);
	freeze(1);
	usleep(30000);
	ck_assert_int_eq(atomic_load(&fake->held), 2); /* not before its time */
	ck_assert(wait_thawed(20000));
	ck_assert_int_eq(atomic_load(&ledger->fired), 1);
	ck_assert_int_eq(atomic_load(&ledger->fs[1].state), FS_THAWED);
	ck_assert_int_eq(waitpid(group, NULL, 0), group); /* it was killed */
	atomic_store(&ledger->group[3], 0);
	watchdog_stop(&dog);
}
END_TEST

/* What the kernel is still freezing cannot be thawed yet, and is thawed when it can. */
START_TEST(in_the_midst)
{
	struct err e;

	start();
	atomic_store(&ledger->fs[0].state, FS_FREEZING);
	assert_ok(watchdog_arm(&dog, clock_monotonic_ns() + 10 * MS, &e), &e);
	usleep(100000);
	ck_assert_int_eq(atomic_load(&ledger->fs[0].state), FS_FREEZING);
	fake_ops.freeze(0);
	ck_assert(wait_thawed(20000));
	watchdog_stop(&dog);
}
END_TEST

static void wait_tries(int n)
{
	while (atomic_load(&fake->thaw_tries) < n)
		usleep(1000);
}

/* It is tried again, with pauses, until it is thawed; the writers are not spared meanwhile. */
START_TEST(thaw_fails)
{
	uint64_t began;
	struct err e;
	pid_t group = fork();

	if (!group) {
		setsid();
		pause();
		_exit(0);
	}
	start();
	atomic_store(&ledger->group[3], group);
	atomic_store(&fake->thaw_answer, -EIO);
	freeze(0);
	began = clock_monotonic_ns();
	assert_ok(watchdog_arm(&dog, began, &e), &e);
	ck_assert_int_eq(waitpid(group, NULL, 0), group);
	wait_tries(10);
	ck_assert_int_eq(atomic_load(&ledger->fs[0].state), FS_FROZEN);
	/* At most one in 20 ms, and one for each of what happens besides. */
	ck_assert_uint_le((uint64_t)atomic_load(&fake->thaw_tries),
			  (clock_monotonic_ns() - began) / (20 * MS) + 8);
	atomic_store(&fake->thaw_answer, 0);
	ck_assert(wait_thawed(20000));
	while (atomic_load(&ledger->fs[0].state) != FS_THAWED)
		usleep(1000);
	atomic_store(&ledger->group[3], 0);
	watchdog_stop(&dog);
}
END_TEST

/* Its set is over, and it goes on alone; then it ends. */
START_TEST(outlives_its_set)
{
	siginfo_t info;
	pid_t pid;

	start();
	pid = dog.pid;
	atomic_store(&fake->thaw_answer, -EIO);
	freeze(0);
	watchdog_stop(&dog);
	ck_assert(watchdog_left(pid));
	wait_tries(5);
	ck_assert_int_eq(atomic_load(&ledger->fs[0].state), FS_FROZEN);
	atomic_store(&fake->thaw_answer, 0);
	ck_assert(wait_thawed(20000));
	ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	start();
	ck_assert(!watchdog_left(pid));
	watchdog_stop(&dog);
}
END_TEST

/* A kind that cannot be frozen was not: its shim died between asking and being told so. */
START_TEST(could_not_be_frozen)
{
	static const int answer[] = {-EINVAL, -EOPNOTSUPP, -ENOTTY};
	pid_t pid;

	start();
	pid = dog.pid;
	freeze(0);
	atomic_store(&fake->thaw_answer, answer[_i]);
	atomic_store(&ledger->fs[0].state, FS_FREEZING);
	watchdog_stop(&dog);
	while (waitpid(pid, NULL, 0) == pid)
		;
	ck_assert_int_eq(atomic_load(&ledger->fs[0].state), FS_THAWED);
}
END_TEST

/* The shim is this process's child here, and is killed. */
START_TEST(shim_dies)
{
	struct err e;
	pid_t shim;

	assert_ok(ledger_open(NULL, &ledger, &e), &e);
	shim = fork();
	if (!shim) {
		int fd = open("/dev/null", O_RDONLY);

		if (watchdog_start(&dog, ledger, &fake_ops, false, NULL) ||
		    watchdog_give(&dog, &fd, 1, NULL))
			_exit(1);
		freeze(0);
		pause();
	}
	/* All of freeze(), or the ledger does not say yet that there is something to thaw. */
	while (atomic_load(&ledger->fs[0].state) != FS_FROZEN)
		usleep(1000);
	kill(shim, SIGKILL);
	ck_assert(wait_thawed(20000));
	ck_assert_int_eq(waitpid(shim, NULL, 0), shim);
}
END_TEST

START_TEST(watchdog_dies)
{
	char byte;

	start();
	kill(dog.pid, SIGKILL);
	ck_assert_int_eq(read(dog.channel, &byte, 1), 0); /* that is how the shim sees it */
	watchdog_stop(&dog);
}
END_TEST

/* Who is stopped does not take descriptors, so that nothing is frozen. */
START_TEST(watchdog_is_stopped)
{
	int fd = open("/dev/null", O_RDONLY);
	struct err e;

	start();
	kill(dog.pid, SIGSTOP);
	assert_code(watchdog_give(&dog, &fd, 1, &e), -EIO, &e);
	watchdog_stop(&dog);
	close(fd);
}
END_TEST

/* Everybody was killed: the next shim finds in the file what is frozen. */
START_TEST(recovered)
{
	const char *path = temp_path("ledger");
	struct ledger *l;
	struct err e;

	ck_assert_int_eq(ledger_recover(path, &fake_ops, &e), 0);
	assert_ok(ledger_open(path, &l, &e), &e);
	ck_assert_int_eq(ledger_recover(path, &fake_ops, &e), 0);
	for (int i = 0; i < 3; i++) {
		snprintf(l->fs[i].point, sizeof(l->fs[i].point), "%s", temp_dir());
		l->fs[i].dev = 0;
	}
	atomic_store(&l->count, 3);
	atomic_store(&l->fs[0].state, FS_FROZEN);
	atomic_store(&l->fs[1].state, FS_FREEZING);
	atomic_store(&l->fs[2].state, FS_THAWED);
	{
		struct stat st;

		ck_assert_int_eq(stat(temp_dir(), &st), 0);
		l->fs[0].dev = l->fs[1].dev = l->fs[2].dev = st.st_dev;
	}
	ledger_close(l);
	atomic_store(&fake->held, 1);
	ck_assert_int_eq(ledger_recover(path, &fake_ops, &e), 1);
	ck_assert_int_eq(atomic_load(&fake->held), 0);
	ck_assert_int_eq(ledger_recover(path, &fake_ops, &e), 0);
	put("short", 0600, "x");
	ck_assert_int_eq(ledger_recover(temp_path("short"), &fake_ops, &e), 0);
}
END_TEST

/* The ledger of a shim that died: / is frozen, and was noted by this name. */
static const char *left_frozen(const char *point)
{
	const char *path = temp_path("ledger");
	struct ledger *l;
	struct stat st;
	struct err e;

	ck_assert_int_eq(stat("/", &st), 0);
	assert_ok(ledger_open(path, &l, &e), &e);
	snprintf(l->fs[0].point, sizeof(l->fs[0].point), "%s", point);
	l->fs[0].dev = st.st_dev;
	atomic_store(&l->count, 1);
	atomic_store(&l->fs[0].state, FS_FROZEN);
	ledger_close(l);
	atomic_store(&fake->held, 1);
	return path;
}

/* It stays in the list, whoever looks, until it is thawed. */
START_TEST(recovery_fails)
{
	const char *path = left_frozen("/some/where");
	struct err e;

	atomic_store(&fake->thaw_answer, -EIO);
	for (int i = 0; i < 2; i++) {
		assert_code(ledger_recover(path, &fake_ops, &e), -EBUSY, &e);
		ck_assert_ptr_nonnull(strstr(e.text, "'fsfreeze --unfreeze /some/where'"));
	}
	atomic_store(&fake->thaw_answer, 0);
	ck_assert_int_eq(ledger_recover(path, &fake_ops, &e), 1);
	ck_assert_int_eq(ledger_recover(path, &fake_ops, &e), 0);
}
END_TEST

/* Its mount point is covered by another filesystem, or its path was cut off: it is found by its number. */
START_TEST(recovered_elsewhere)
{
	const char *path = left_frozen("/proc");
	struct err e;

	ck_assert_int_eq(ledger_recover(path, &fake_ops, &e), 1);
	ck_assert_int_eq(atomic_load(&fake->held), 0);
}
END_TEST

/* The watchdog of a shim that died still goes by its ledger when the next shim has one. */
START_TEST(ledgers_apart)
{
	struct ledger *old, *new;
	struct err e;

	assert_ok(ledger_open(temp_path("ledger"), &old, &e), &e);
	atomic_store(&old->group[0], 7);
	assert_ok(ledger_open(temp_path("ledger"), &new, &e), &e);
	atomic_store(&new->group[1], 8);
	ck_assert_int_eq(atomic_load(&old->group[0]), 7);
	ck_assert_int_eq(atomic_load(&old->group[1]), 0);
	ledger_close(old);
	ledger_close(new);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("watchdog");

	temp_dir();
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, shim_setup, NULL);
	tcase_add_test(t, deadline);
	tcase_add_test(t, in_the_midst);
	tcase_add_test(t, thaw_fails);
	tcase_add_test(t, outlives_its_set);
	tcase_add_loop_test(t, could_not_be_frozen, 0, 3);
	tcase_add_test(t, shim_dies);
	tcase_add_test(t, watchdog_dies);
	tcase_add_test(t, watchdog_is_stopped);
	tcase_add_test(t, recovered);
	tcase_add_test(t, recovered_elsewhere);
	tcase_add_test(t, recovery_fails);
	tcase_add_test(t, ledgers_apart);
	return run_tcase("watchdog", t);
}
