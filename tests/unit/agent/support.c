// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/agent/support.h"

#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include <urcu/urcu-memb.h>

#include "agent/agent.h"

static char dir[64];
static pid_t owner;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void remove_dir(void)
{
	if (getpid() == owner)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_dir(void)
{
	if (owner == getpid())
		return dir;
	strcpy(dir, "/tmp/mob-agent.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	owner = getpid();
	atexit(remove_dir);
	return dir;
}

const char *test_path(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned int next;
	char *p = path[next++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", test_dir(), name);
	return p;
}

void test_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

void agent_make(struct agent *a)
{
	static char state_dir[PATH_MAX];
	struct err e;

	urcu_memb_register_thread();
	strcpy(state_dir, test_path("state"));
	a->config.state_dir = state_dir;
	ck_assert_msg(!agent_init(a, &e), "%s", e.text);
}

void agent_remove(struct agent *a)
{
	agent_destroy(a);
	urcu_memb_unregister_thread();
}
