/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody can ask for any more goes, with its space, and keeps nobody waiting. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/lease.h"
#include "appliance/names.h"
#include "appliance/policy.h"
#include "lib/clock.h"
#include "tests/unit/appliance/helpers.h"

#define DISK_BYTES (8 * 65536)

static char *dir;
static struct appliance app;
static struct disk_row disk;

static void setup(void)
{
	dir = appliance_make(&app);
	disk_make(&app.home, DISK, DISK_BYTES, &disk);
}

static void teardown(void)
{
	appliance_remove(&app, dir);
}

/* The file of the open epoch of the machine's disk, taken open as a segment does. */
static struct live_disk *open_journal(const char *machine, const char *id)
{
	struct live_machine *m = live_machine(app.live, machine);
	struct live_disk *d = live_disk(app.live, machine, id);
	struct journal *j;
	struct err e;

	ck_assert_msg(live_journal(m, d, 9, &j, &e) == 0, "%s", e.text);
	return d;
}

/* Of this process, below dir. */
static int open_files_that_were_removed(void)
{
	char path[512], target[512];
	struct dirent *ent;
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((ent = readdir(d))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%.20s", ent->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		if (len <= 0)
			continue;
		target[len] = 0;
		n += !strncmp(target, dir, strlen(dir)) && strstr(target, "(deleted)");
	}
	closedir(d);
	return n;
}

/* `remove` is another process: its files' space comes back although they are open here. */
START_TEST(a_machine_that_was_removed)
{
	struct part part = {0, 4096, NULL};
	struct live_disk *gone, *other;
	char name[STORE_NAME_MAX];
	struct err e;

	epoch_make(&app.home, &disk, 1, &part, 1, true);
	machine_make(&app.home, OTHER_MACHINE);
	gone = open_journal(MACHINE, DISK);
	other = open_journal(OTHER_MACHINE, "00000000-0000-4000-8000-0000000000d2");
	ck_assert_int_eq(live_read_begin(app.live, gone, &e), 0);
	pthread_rwlock_unlock(&gone->lock);
	policy_round(&app, never, NULL);
	ck_assert_ptr_nonnull(gone->journal);
	ck_assert_int_eq(catalog_machine_remove(app.home.catalog, MACHINE, &e), 0);
	ck_assert_int_eq(store_remove_tree(app.home.store, name_machine(name, MACHINE), &e), 0);
	ck_assert_int_eq(open_files_that_were_removed(), 1);
	policy_round(&app, never, NULL);
	ck_assert_int_eq(open_files_that_were_removed(), 0);
	ck_assert_ptr_null(gone->journal);
	ck_assert(!live_mapped(gone));
	ck_assert_ptr_nonnull(other->journal);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("forget");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_machine_that_was_removed);
	return run_tcase("forget", t);
}
