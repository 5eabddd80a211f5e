// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "support.h"

/* wraps: waitid mounts_read */

static struct settings settings;
static struct set set;

/* How long it takes to look whether a writer has ended, which others use to write and to end. */
static useconds_t look_us;
int __real_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options);

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	usleep(look_us);
	return __real_waitid(type, id, info, options);
}

/* The list of mounts that is fed instead of the machine's; NULL: none is. */
static const char *fed_mounts;
int __real_mounts_read(struct mounts *out, struct err *e);
int __wrap_mounts_read(struct mounts *out, struct err *e);

int __wrap_mounts_read(struct mounts *out, struct err *e)
{
	return fed_mounts ? mounts_parse(fed_mounts, strlen(fed_mounts), out, e)
			  : __real_mounts_read(out, e);
}

static void begin(void)
{
	struct order o = {.kind = ORDER_SET};
	struct err e;

	assert_ok(set_begin(&set, &settings, &fake_ops, NULL, &o, &e), &e);
}

static void freeze(void)
{
	struct err e;

	begin();
	assert_ok(set_identify(&set, &e), &e);
	assert_ok(set_prepare(&set, &e), &e);
	assert_ok(set_freeze(&set, &e), &e);
}

static void whole(void)
{
	freeze();
	set_thaw(&set);
	set_post(&set);
}

static const struct writer *writer(const char *name)
{
	for (size_t i = 0; i < set.count; i++) {
		if (!strcmp(set.writer[i].name, name))
			return &set.writer[i];
	}
	ck_abort_msg("there is no writer %s", name);
	return NULL;
}

/* Among what the one that was skipped writes, which ends when it likes. */
static void assert_in_order(const char *const *event)
{
	const char *log = read_log(), *at = log;

	for (; *event; event++) {
		at = strstr(at, *event);
		ck_assert_msg(at, "no '%s' after what comes before it in: %s", *event, log);
		at += strlen(*event);
	}
}

START_TEST(order)
{
	put_writer("20-a", "");
	put_writer("30-b", "");
	put_writer("40-absent", "identify) exit 77 ;;");
	put_writer("41-skips", "prepare) echo skip nothing runs ;;");
	whole();
	ck_assert_str_eq(set.reason, "");
	ck_assert_int_eq(writer("40-absent")->result, RESULT_ABSENT);
	ck_assert_int_eq(writer("41-skips")->result, RESULT_SKIPPED);
	ck_assert_uint_gt(writer("20-a")->held_us, writer("30-b")->held_us);
	set_end(&set);
	assert_in_order((const char *const[]){"20-a prepare;", "20-a freeze;", "30-b freeze;",
					      "30-b thaw;", "20-a thaw;", "20-a end;", NULL});
}
END_TEST

static const struct {
	const char *cases, *says;
} bad[] = {
	{"freeze) sleep 60 ;;", "late: no answer to freeze"},
	{"freeze) echo fail it is busy ;;", "freeze: it is busy"},
	{"freeze) echo nonsense ;;", "garbage in freeze"},
	{"freeze) head -c 100000 /dev/zero | tr '\\0' x ;;", "line is too long"},
	{"freeze) echo no such table >&2; exit 3 ;;", "(status 3) in freeze: no such table"},
	{"freeze) kill -9 $$ ;;", "(signal 9) in freeze"},
	{"freeze) echo skip me ;;", "may not skip in freeze"},
	{"freeze) exec >&-; sleep 60 ;;", "late: no answer to freeze"},
	/* It is noticed by its end, or by the order that it does not read. */
	{"freeze) echo ok; exit 0 ;;", ""},
	{"freeze) echo ok; sleep 0.1; echo ok ;;", "wrote without being asked"},
	{"prepare) echo fail no password ;;", "prepare: no password"},
	{"thaw) echo fail the connection was lost ;;", "thaw: the connection was lost"},
	{"thaw) sleep 60 ;;", "late: no answer to thaw"},
	{"identify) echo broken >&2; exit 1 ;;", "identify ended with status 1: broken"},
	{"identify) echo rubbish ;;", "garbage"},
};

START_TEST(bad_writer)
{
	uint64_t began = clock_monotonic_ns();

	settings.window = NSEC_PER_SEC;
	put_writer("20-good", "");
	put_writer("25-bad", bad[_i].cases);
	freeze();
	usleep(200000); /* in which what was frozen may fail */
	set_thaw(&set);
	set_post(&set);
	ck_assert_msg(strstr(set.reason, "writer 25-bad failed: "), "%s", set.reason);
	ck_assert_msg(strstr(set.reason, bad[_i].says), "'%s', not '%s'", set.reason, bad[_i].says);
	ck_assert_int_eq(writer("25-bad")->result, RESULT_FAILED);
	ck_assert_int_eq(writer("20-good")->result, RESULT_OK);
	set_end(&set);
	ck_assert_ptr_nonnull(strstr(read_log(), "20-good thaw;"));
	ck_assert_uint_lt(clock_monotonic_ns() - began, 20 * NSEC_PER_SEC);
}
END_TEST

/* Read with the first answer or after it: two words for the same fault. */
START_TEST(answers_twice)
{
	put_writer("25-bad", "freeze) echo ok; echo ok ;;");
	freeze();
	usleep(200000);
	set_thaw(&set);
	set_post(&set);
	ck_assert_msg(strstr(set.reason, "garbage in freeze") ||
			      strstr(set.reason, "wrote without being asked"),
		      "%s", set.reason);
	ck_assert_int_eq(writer("25-bad")->result, RESULT_FAILED);
	set_end(&set);
}
END_TEST

START_TEST(fills_standard_error)
{
	put_writer("20-loud", "prepare) head -c 1000000 /dev/zero | tr '\\0' e >&2; echo ok ;;");
	whole();
	ck_assert_str_eq(set.reason, "");
	ck_assert_uint_le(set.writer[0].child.tail_used, TAIL_BYTES);
	set_end(&set);
}
END_TEST

/* It left the group, and is found all the same. */
START_TEST(forks_a_daemon)
{
	FILE *f;
	int pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	put_writer(
		"20-daemon",
		"prepare) setsid sleep 300 >/dev/null 2>&1 </dev/null & echo $! >/dev/fd/2; echo ok ;;");
	whole();
	f = fmemopen(set.writer[0].child.tail, set.writer[0].child.tail_used, "r");
	ck_assert_int_eq(fscanf(f, "%d", &pid), 1);
	fclose(f);
	ck_assert_int_eq(kill(pid, 0), 0);
	set_end(&set);
	for (int i = 0; i < 200 && !kill(pid, 0); i++)
		usleep(10000);
	ck_assert_int_eq(kill(pid, 0), -1);
}
END_TEST

/* The window is for what is held; post comes after it and has its own time. */
START_TEST(post_outlives_the_window)
{
	settings.window = 300 * UINT64_C(1000000);
	put_writer("20-slow", "post) sleep 2; echo ok ;;");
	whole();
	ck_assert_str_eq(set.reason, "");
	ck_assert_int_eq(writer("20-slow")->result, RESULT_OK);
	ck_assert_int_eq(atomic_load(&set.ledger->fired), 0);
	set_end(&set);
}
END_TEST

/* The number of a group that is gone may be somebody else's when the watchdog kills. */
START_TEST(forgets_who_has_ended)
{
	struct err e;

	put_writer("20-a", "");
	put_writer("41-skips", "prepare) echo skip nothing runs ;;");
	begin();
	assert_ok(set_identify(&set, &e), &e);
	assert_ok(set_prepare(&set, &e), &e);
	while (writer_runs(writer("41-skips")))
		pump_once(&set.pump, clock_monotonic_ns() + NSEC_PER_SEC);
	assert_ok(set_freeze(&set, &e), &e);
	ck_assert_int_eq(atomic_load(&set.ledger->group[0]), writer("20-a")->child.pid);
	ck_assert_int_eq(atomic_load(&set.ledger->group[1]), 0);
	set_thaw(&set);
	set_end(&set);
}
END_TEST

/* A lock of whoever called vss-shim, say, must not live on in what a writer leaves behind. */
START_TEST(inherits_nothing)
{
	int fd = open("/dev/null", O_RDONLY);

	ck_assert_int_ge(fd, 3);
	put_writer("20-a",
		   "prepare) for fd in /proc/$$/fd/*; do [ \"$(readlink $fd)\" != /dev/null ] || "
		   "{ echo fail $fd; continue 2; }; done; echo ok ;;");
	whole();
	close(fd);
	ck_assert_str_eq(set.reason, "");
	set_end(&set);
}
END_TEST

/* The last lines come, and the end, while it is looked whether that has come. */
START_TEST(ends_after_its_last_words)
{
	struct err e;

	look_us = 300000;
	put_writer("20-a",
		   "identify) echo name: A; sleep 0.1; echo instances: 7; echo deadline: 900 ;;");
	begin();
	assert_ok(set_identify(&set, &e), &e);
	look_us = 0;
	ck_assert_int_eq(writer("20-a")->result, RESULT_OK);
	ck_assert_uint_eq(writer("20-a")->id.instances, 7);
	ck_assert_uint_eq(writer("20-a")->id.freeze_ms, 900);
	set_end(&set);
}
END_TEST

START_TEST(nothing_takes_part)
{
	whole();
	ck_assert_ptr_nonnull(strstr(set.reason, "no writer takes part"));
	set_end(&set);
}
END_TEST

START_TEST(window_is_over)
{
	settings.window = 300 * UINT64_C(1000000);
	put_writer("20-a", "");
	freeze();
	ck_assert_str_eq(set.reason, "");
	while (clock_monotonic_ns() < set.until_ns)
		pump_once(&set.pump, set.until_ns);
	set_thaw(&set);
	ck_assert_ptr_nonnull(strstr(set.reason, "was over"));
	set_end(&set);
}
END_TEST

/* --- filesystems, in the table ---------------------------------------------------------------- */

START_TEST(filesystems)
{
	int n;

	settings.filesystems = true;
	put_writer("20-a", "");
	freeze();
	n = (int)set.freezer.count;
	ck_assert_int_eq(atomic_load(&fake->held), n);
	set_thaw(&set);
	ck_assert_int_eq(atomic_load(&fake->held), 0);
	ck_assert_int_eq(atomic_load(&fake->thaws), n);
	ck_assert_str_eq(set.reason, "");
	set_end(&set);
}
END_TEST

/* Every way in which a freeze may fail; 0 filesystems on this machine leave nothing to see. */
static const struct {
	int answer;
	enum fs_result result;
	const char *says;
} refusals[] = {
	{-EBUSY, FS_RESULT_FAILED, "frozen already, by somebody else"},
	{-EOPNOTSUPP, FS_RESULT_SKIPPED, "cannot be frozen; it was synced"},
	{-EROFS, FS_RESULT_SKIPPED, "read-only"},
	{-EIO, FS_RESULT_FAILED, "Input/output error"},
	{-ENODEV, FS_RESULT_FAILED, "No such device"},
};

START_TEST(refused_filesystem)
{
	settings.filesystems = true;
	put_writer("20-a", "");
	atomic_store(&fake->answer, refusals[_i].answer);
	whole();
	ck_assert_int_eq(atomic_load(&fake->thaws), 0); /* what is not ours is not thawed */
	for (size_t i = 0; i < set.freezer.count; i++) {
		ck_assert_int_eq(set.freezer.fs[i].result, refusals[_i].result);
		ck_assert_ptr_nonnull(strstr(set.freezer.fs[i].text, refusals[_i].says));
	}
	if (set.freezer.count)
		ck_assert_int_eq(set.reason[0] != '\0', refusals[_i].result == FS_RESULT_FAILED);
	set_end(&set);
}
END_TEST

/* A list with one mount, which is /proc and says that it is of this type. */
static const char *mounted_as(const char *type)
{
	static char text[128];
	struct mounts m;
	struct err e;

	text[0] = '\0';
	assert_ok(__real_mounts_read(&m, &e), &e);
	for (size_t i = 0; i < m.count; i++) {
		if (!strcmp(m.fs[i].point, "/proc"))
			snprintf(text, sizeof(text), "%u 1 %u:%u / /proc rw - %s pool/data rw\n",
				 m.fs[i].id, major(m.fs[i].dev), minor(m.fs[i].dev), type);
	}
	mounts_clear(&m);
	ck_assert_str_ne(text, "");
	return text;
}

/* It cannot be frozen, and its sync may do nothing: the set must not be called consistent. */
START_TEST(zfs)
{
	settings.filesystems = true;
	put_writer("20-a", "");
	fed_mounts = mounted_as("zfs");
	atomic_store(&fake->answer, -EOPNOTSUPP);
	whole();
	ck_assert_uint_eq(set.freezer.count, 1);
	ck_assert_int_eq(set.freezer.fs[0].result, FS_RESULT_FAILED);
	ck_assert_int_eq(atomic_load(&fake->syncs), 2); /* in prepare, and when the writers hold */
	ck_assert_msg(strstr(set.reason, "filesystem /proc: zfs cannot be frozen"), "%s",
		      set.reason);
	ck_assert_int_eq(writer("20-a")->result, RESULT_OK);
	set_end(&set);
}
END_TEST

START_TEST(thawed_by_somebody_else)
{
	settings.filesystems = true;
	put_writer("20-a", "");
	freeze();
	atomic_store(&fake->held, 0);
	set_thaw(&set);
	if (set.freezer.count)
		ck_assert_ptr_nonnull(strstr(set.reason, "somebody else thawed it"));
	set_end(&set);
}
END_TEST

START_TEST(slow_filesystem)
{
	settings.filesystems = true;
	settings.window = 200 * UINT64_C(1000000);
	put_writer("20-a", "");
	atomic_store(&fake->freeze_ms, 700);
	freeze();
	set_thaw(&set);
	if (set.freezer.count)
		ck_assert_str_ne(set.reason, "");
	set_end(&set);
	ck_assert_int_eq(atomic_load(&fake->held), 0);
}
END_TEST

static void assert_still_tried(void)
{
	ck_assert_int_eq(atomic_load(&set.ledger->fs[0].state), FS_FROZEN);
	ck_assert_int_eq(set.freezer.fs[0].result, FS_RESULT_FAILED);
	ck_assert_msg(strstr(set.freezer.fs[0].text, "'fsfreeze --unfreeze /proc'"), "%s",
		      set.freezer.fs[0].text);
	ck_assert_str_ne(set.reason, "");
	set_end(&set);
	atomic_store(&fake->answer, -EBUSY);
	whole();
	set_end(&set);
	ck_assert_int_eq(atomic_load(&fake->held), 1);
	atomic_store(&fake->thaw_answer, 0);
	for (int i = 0; i < 2000 && atomic_load(&fake->held); i++)
		usleep(10000);
	ck_assert_int_eq(atomic_load(&fake->held), 0);
}

/* The set says so, and ends; the watchdog outlives it, and the next set, until it is thawed. */
START_TEST(thaw_fails)
{
	settings.filesystems = true;
	put_writer("20-a", "");
	fed_mounts = mounted_as("btrfs");
	atomic_store(&fake->thaw_answer, -EIO);
	freeze();
	set_thaw(&set);
	assert_still_tried();
}
END_TEST

/* The kernel comes back from the freeze when the watchdog has given it up. */
START_TEST(late_thaw_fails)
{
	settings.filesystems = true;
	settings.window = 200 * UINT64_C(1000000);
	put_writer("20-a", "");
	fed_mounts = mounted_as("btrfs");
	atomic_store(&fake->freeze_ms, 700);
	atomic_store(&fake->thaw_answer, -EIO);
	freeze();
	set_thaw(&set);
	while (freezer_busy(&set.freezer))
		usleep(1000);
	assert_still_tried();
}
END_TEST

static void kill_watchdog(void)
{
	kill(set.watchdog.pid, SIGKILL);
	while (!set_given_up(&set))
		pump_once(&set.pump, clock_monotonic_ns() + NSEC_PER_SEC);
}

START_TEST(watchdog_is_killed)
{
	settings.filesystems = true;
	put_writer("20-a", "");
	freeze();
	kill_watchdog();
	set_thaw(&set);
	ck_assert_str_eq(set.reason, "the watchdog was killed");
	ck_assert_int_eq(atomic_load(&fake->held), 0);
	set_end(&set);
}
END_TEST

static void setup(void)
{
	shim_setup();
	test_settings(&settings);
	fed_mounts = NULL;
}

static void teardown(void)
{
	set_end(&set);
	test_settings_clear(&settings);
}

int main(void)
{
	TCase *t = tcase_create("set");

	temp_dir();
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, order);
	tcase_add_loop_test(t, bad_writer, 0, ARRAY_SIZE(bad));
	tcase_add_test(t, answers_twice);
	tcase_add_test(t, fills_standard_error);
	tcase_add_test(t, forks_a_daemon);
	tcase_add_test(t, post_outlives_the_window);
	tcase_add_test(t, forgets_who_has_ended);
	tcase_add_test(t, inherits_nothing);
	tcase_add_test(t, ends_after_its_last_words);
	tcase_add_test(t, nothing_takes_part);
	tcase_add_test(t, window_is_over);
	tcase_add_test(t, filesystems);
	tcase_add_loop_test(t, refused_filesystem, 0, ARRAY_SIZE(refusals));
	tcase_add_test(t, zfs);
	tcase_add_test(t, thawed_by_somebody_else);
	tcase_add_test(t, slow_filesystem);
	tcase_add_test(t, thaw_fails);
	tcase_add_test(t, late_thaw_fails);
	tcase_add_test(t, watchdog_is_killed);
	return run_tcase("set", t);
}
