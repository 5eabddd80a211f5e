// SPDX-License-Identifier: Apache-2.0
/* Searches for disks that are answered at once, late, or never. */
/* wraps: identify_find */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "agent/finder.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

int __wrap_identify_find(const char *key, const char *hint, bool hint_holds, uint64_t size,
			 char path[PATH_MAX], struct err *e);

static atomic_bool answers = true;
static atomic_uint searches;

int __wrap_identify_find(const char *key, const char *hint, bool hint_holds, uint64_t size,
			 char path[PATH_MAX], struct err *e)
{
	ck_assert_uint_eq(size, 0);
	atomic_fetch_add(&searches, 1);
	while (!atomic_load(&answers))
		usleep(1000);
	if (!strcmp(key, "serial:absent"))
		return err_set(e, -ENODEV, "no disk of this machine is %s", key);
	sprintf(path, "/dev/%s-%s-%d", key + strlen("serial:"), hint, hint_holds);
	return 0;
}

static struct finder *finder;
static char path[PATH_MAX];
static struct err e;

static int look(const char *name)
{
	strcpy(path, "/dev/before");
	return finder_find(finder, name, "sda", true, path, &e);
}

/* Asks until there is an answer. */
static int look_on(const char *name)
{
	uint64_t until = clock_monotonic_ns() + 20 * NSEC_PER_SEC;
	int r;

	while ((r = look(name)) == -EINPROGRESS && clock_monotonic_ns() < until)
		usleep(10000);
	return r;
}

static void set_up(void)
{
	finder = finder_new();
	ck_assert_ptr_nonnull(finder);
}

static void tear_down(void)
{
	finder_free(finder);
}

START_TEST(an_answer_comes_at_once)
{
	ck_assert_int_eq(look("serial:one"), 0);
	ck_assert_str_eq(path, "/dev/one-sda-1");
	ck_assert_int_eq(look("serial:absent"), -ENODEV);
	ck_assert_str_eq(e.text, "no disk of this machine is serial:absent");
	ck_assert_str_eq(path, "/dev/before");
	ck_assert_int_eq(look("serial:two"), 0);
	ck_assert_str_eq(path, "/dev/two-sda-1");
	ck_assert_uint_eq(atomic_load(&searches), 3);
}
END_TEST

START_TEST(nobody_waits_for_a_disk_that_does_not_answer)
{
	uint64_t begin = clock_monotonic_ns();

	atomic_store(&answers, false);
	ck_assert_int_eq(look("serial:one"), -EINPROGRESS);
	ck_assert_ptr_nonnull(strstr(e.text, "serial:one (last seen as sda) is being looked for"));
	ck_assert_str_eq(path, "/dev/before");
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(look(i % 2 ? "serial:one" : "serial:two"), -EINPROGRESS);
	ck_assert_uint_lt(clock_monotonic_ns() - begin, 10 * NSEC_PER_SEC);
	ck_assert_uint_eq(atomic_load(&searches), 1);
	atomic_store(&answers, true);
	ck_assert_int_eq(look_on("serial:one"), 0);
	ck_assert_str_eq(path, "/dev/one-sda-1");
	ck_assert_uint_eq(atomic_load(&searches), 1);
}
END_TEST

START_TEST(an_answer_that_nobody_wants_gives_way)
{
	atomic_store(&answers, false);
	ck_assert_int_eq(look("serial:one"), -EINPROGRESS);
	atomic_store(&answers, true);
	ck_assert_int_eq(look_on("serial:two"), 0);
	ck_assert_str_eq(path, "/dev/two-sda-1");
}
END_TEST

START_TEST(a_search_may_outlive_the_session)
{
	atomic_store(&answers, false);
	ck_assert_int_eq(look("serial:one"), -EINPROGRESS);
	finder_free(finder);
	finder = NULL;
	atomic_store(&answers, true);
	usleep(100000);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("finder");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_answer_comes_at_once);
	tcase_add_test(tc, nobody_waits_for_a_disk_that_does_not_answer);
	tcase_add_test(tc, an_answer_that_nobody_wants_gives_way);
	tcase_add_test(tc, a_search_may_outlive_the_session);
	return run_tcase("finder", tc);
}
