/* SPDX-License-Identifier: Apache-2.0 */
/* What the embedded store acknowledges has a name that outlives a power cut, whoever made it; and that costs nothing when it is known. */
/* wraps: fsync */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/appliance/helpers.h"

#define FOLDER "machines/m/disks/d/journal"

int __real_fsync(int fd);
int __wrap_fsync(int fd);

static char *dir;
static struct store *store;
static ino_t synced[64],
	failing; /* inodes, in memory one filesystem has them all; one that fails once */
static size_t synced_count;

int __wrap_fsync(int fd)
{
	struct stat st;

	ck_assert_uint_lt(synced_count, 64);
	ck_assert_int_eq(fstat(fd, &st), 0);
	if (st.st_ino == failing) {
		failing = 0;
		errno = EIO;
		return -1;
	}
	synced[synced_count++] = st.st_ino;
	return __real_fsync(fd);
}

static ino_t inode(const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_ino;
}

static bool is_synced(const char *name)
{
	for (size_t i = 0; i < synced_count; i++) {
		if (synced[i] == inode(name))
			return true;
	}
	return false;
}

static void check_all_synced(void)
{
	char name[] = FOLDER;

	for (char *end = name + strlen(name); end; end = strrchr(name, '/')) {
		*end = 0;
		ck_assert_msg(is_synced(name), "%s", name);
	}
	ck_assert(is_synced("."));
}

static void process_begins(void)
{
	struct err e;

	ck_assert_int_eq(store_dir_open(dir, &store, &e), 0);
	synced_count = 0;
}

static void process_ends(void)
{
	store_destroy(store);
}

static int open_it(const char *name, unsigned int flags)
{
	struct store_object *o = NULL;
	struct err e;
	int rc = store_open(store, name, flags, &o, &e);

	store_close(o);
	return rc;
}

static void setup(void)
{
	dir = scratch_make();
	failing = 0;
	process_begins();
}

static void teardown(void)
{
	process_ends();
	scratch_remove(dir);
}

START_TEST(made_here)
{
	ck_assert_int_eq(open_it(FOLDER "/1", STORE_WRITE | STORE_CREATE), 0);
	check_all_synced();
	/* The folder alone for the next, and nothing for what is known. */
	synced_count = 0;
	ck_assert_int_eq(open_it(FOLDER "/2", STORE_WRITE | STORE_CREATE), 0);
	ck_assert_uint_eq(synced_count, 1);
	ck_assert(is_synced(FOLDER));
	ck_assert_int_eq(open_it(FOLDER "/1", STORE_WRITE | STORE_CREATE), 0);
	ck_assert_int_eq(open_it(FOLDER "/2", STORE_WRITE), 0);
	ck_assert_uint_eq(synced_count, 1);
}
END_TEST

/* The process that made it may have been killed before it synced anything. */
START_TEST(found)
{
	unsigned int flags = _i ? STORE_WRITE : STORE_WRITE | STORE_CREATE;

	ck_assert_int_eq(open_it(FOLDER "/1", STORE_WRITE | STORE_CREATE), 0);
	process_ends();
	process_begins();
	ck_assert_int_eq(open_it(FOLDER "/1", STORE_READ), 0);
	ck_assert_uint_eq(synced_count, 0);
	ck_assert_int_eq(open_it(FOLDER "/1", flags), 0);
	check_all_synced();
	synced_count = 0;
	ck_assert_int_eq(open_it(FOLDER "/1", flags), 0);
	ck_assert_uint_eq(synced_count, 0);
}
END_TEST

START_TEST(folders_found)
{
	ck_assert_int_eq(open_it(FOLDER "/1", STORE_WRITE | STORE_CREATE), 0);
	process_ends();
	process_begins();
	ck_assert_int_eq(open_it(FOLDER "/2", STORE_WRITE | STORE_CREATE), 0);
	check_all_synced();
}
END_TEST

/* What could not be made durable is there, and not taken for durable. */
START_TEST(failed)
{
	static const char *const folders[] = {"machines/m/disks/other", "machines/m/disks",
					      "machines", "."};
	const char *name = _i ? FOLDER "/1" : "machines/m/disks/other/2";

	ck_assert_int_eq(open_it("machines/m/disks/other/1", STORE_WRITE | STORE_CREATE), 0);
	if (_i > 1) {
		process_ends();
		process_begins();
	}
	failing = inode(folders[_i]);
	ck_assert_int_eq(open_it(name, STORE_WRITE | STORE_CREATE), -EIO);
	ck_assert_uint_eq(failing, 0);
	synced_count = 0;
	ck_assert_int_eq(open_it(name, STORE_WRITE | STORE_CREATE), 0);
	ck_assert(is_synced(folders[_i]));
}
END_TEST

START_TEST(removed)
{
	struct err e;

	ck_assert_int_eq(open_it(FOLDER "/1", STORE_WRITE | STORE_CREATE), 0);
	ck_assert_int_eq(store_remove_tree(store, "machines/m", &e), 0);
	synced_count = 0;
	ck_assert_int_eq(open_it(FOLDER "/1", STORE_WRITE), -ENOENT);
	ck_assert_int_eq(open_it(FOLDER "/1", STORE_WRITE | STORE_CREATE), 0);
	check_all_synced();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("store");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, made_here);
	tcase_add_loop_test(t, found, 0, 2);
	tcase_add_test(t, folders_found);
	tcase_add_loop_test(t, failed, 0, 4);
	tcase_add_test(t, removed);
	return run_tcase("store", t);
}
