// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "support.h"
#include "vss-shim/command.h"

/* wraps: pidfd_open */

static struct settings settings;
static bool none_left; /* of descriptors, for the command */

int __real_pidfd_open(pid_t pid, unsigned int flags);
int __wrap_pidfd_open(pid_t pid, unsigned int flags);

/* Writers have sessions of their own, the command is in ours. */
int __wrap_pidfd_open(pid_t pid, unsigned int flags)
{
	if (!none_left || getsid(pid) != getsid(0))
		return __real_pidfd_open(pid, flags);
	errno = EMFILE;
	return -1;
}

/* What is held is let go before anybody cleans up. */
START_TEST(cannot_start)
{
	char *argv[] = {"/bin/true", NULL};
	const struct command c = {.argv = argv};
	const char *thaw, *post;

	put_writer("20-a", "");
	ck_assert_int_eq(command_run(&settings, &c, -1), 0);
	put("log", 0644, "");
	none_left = true;
	ck_assert_int_eq(command_run(&settings, &c, -1), EXIT_FAILED);
	none_left = false;
	thaw = strstr(read_log(), "20-a thaw;");
	post = strstr(read_log(), "20-a post;");
	ck_assert_msg(thaw && post && thaw < post, "%s", read_log());
}
END_TEST

static void setup(void)
{
	shim_setup();
	test_settings(&settings);
}

static void teardown(void)
{
	test_settings_clear(&settings);
}

int main(void)
{
	TCase *t = tcase_create("command");

	temp_dir();
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, cannot_start);
	return run_tcase("command", t);
}
