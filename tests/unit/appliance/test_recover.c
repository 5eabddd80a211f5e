/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash left behind is swept at start, what is committed or open stays, and a store of any size is swept in seconds. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "appliance/fold.h"
#include "appliance/names.h"
#include "appliance/policy.h"
#include "tests/unit/appliance/helpers.h"

#define EPOCHS 500000ull
#define FILES 20000ull
#define CPU_SECONDS_MAX 2

static char *dir;
static struct appliance app;
static struct disk_row disk;

static void setup(void)
{
	dir = scratch_make();
	home_make(&app.home, dir);
	machine_make(&app.home, MACHINE);
	disk_make(&app.home, DISK, 65536, &disk);
}

static void teardown(void)
{
	home_close(&app.home);
	scratch_remove(dir);
}

static void path_of(uint64_t epoch, char path[512])
{
	char name[STORE_NAME_MAX];

	name_journal(name, MACHINE, DISK, epoch);
	ck_assert_int_lt(snprintf(path, 512, "%s/%s", dir, name), 512);
}

static bool exists(uint64_t epoch)
{
	char path[512];

	path_of(epoch, path);
	return access(path, F_OK) == 0;
}

static void make_file(uint64_t epoch)
{
	char path[512];
	int fd;

	path_of(epoch, path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void sql(const char *text)
{
	char path[512];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/catalog.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK, "%s",
		      sqlite3_errmsg(db));
	sqlite3_close(db);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(uncommitted_goes)
{
	uint8_t data[512] = {1};
	struct part part = {0, sizeof(data), data};
	uint64_t epoch;
	struct err e;

	epoch_make(&app.home, &disk, 1, &part, 1, true);
	ck_assert_int_eq(catalog_epoch_open(app.home.catalog, MACHINE, "a", &epoch, &e), 0);
	make_file(2);
	epoch_make(&app.home, &disk, 3, &part, 1, true);
	epoch_make(&app.home, &disk, 4, &part, 1, true);
	ck_assert_int_eq(catalog_epoch_open(app.home.catalog, MACHINE, "a", &epoch, &e), 0);
	make_file(5);
	ck_assert_int_eq(catalog_epoch_open(app.home.catalog, MACHINE, "a", &epoch, &e), 0);
	make_file(6);
	ck_assert_int_eq(policy_recover(&app, &e), 0);
	ck_assert(exists(1) && !exists(2) && exists(3) && exists(4) && !exists(5) && exists(6));
	/* The catalog is older than the store: nothing may be swept by it. */
	make_file(7);
	ck_assert_int_eq(policy_recover(&app, &e), -EUCLEAN);
	ck_assert(exists(7));
}
END_TEST

/* A catalog from after a fold that this store has not seen: what it would sweep is what the points need. */
START_TEST(another_store)
{
	uint8_t data[512] = {1};
	struct part part = {0, sizeof(data), data};
	struct err e;

	for (uint64_t epoch = 1; epoch <= 3; epoch++)
		epoch_make(&app.home, &disk, epoch, &part, 1, true);
	ck_assert_int_eq(fold_disk(app.home.catalog, app.home.store, &disk, 1, NULL, &e), 0);
	ck_assert_int_eq(policy_recover(&app, &e), 0);
	sql("UPDATE disk SET base_epoch = 2; DELETE FROM journal WHERE epoch <= 2;");
	ck_assert_int_eq(policy_recover(&app, &e), -EUCLEAN);
	ck_assert(exists(2) && exists(3));
	/* A crash between the note and the catalog. */
	sql("UPDATE disk SET base_epoch = 0, fold_target = 1;");
	ck_assert_msg(policy_recover(&app, &e) == 0, "%s", e.text);
}
END_TEST

/* An empty mount point is no store; one machine's folder that is lost does not stop the others. */
START_TEST(nothing_is_there)
{
	uint8_t data[512] = {1};
	struct part part = {0, sizeof(data), data};
	char machines[512], aside[512], other[600];
	struct err e;

	snprintf(machines, sizeof(machines), "%s/machines", dir);
	snprintf(aside, sizeof(aside), "%s/aside", dir);
	/* Nothing is to be there yet. */
	ck_assert_int_eq(policy_recover(&app, &e), 0);
	epoch_make(&app.home, &disk, 1, &part, 1, true);
	ck_assert_int_eq(rename(machines, aside), 0);
	ck_assert_int_eq(policy_recover(&app, &e), -EUCLEAN);
	ck_assert_int_eq(mkdir(machines, 0700), 0);
	ck_assert_int_eq(policy_recover(&app, &e), -EUCLEAN);
	snprintf(other, sizeof(other), "%s/" OTHER_MACHINE, machines);
	ck_assert_int_eq(mkdir(other, 0700), 0);
	ck_assert_int_eq(policy_recover(&app, &e), -EUCLEAN);
	machine_make(&app.home, OTHER_MACHINE);
	ck_assert_int_eq(policy_recover(&app, &e), 0);
	ck_assert_int_eq(rmdir(other), 0);
	ck_assert_int_eq(rmdir(machines), 0);
	ck_assert_int_eq(rename(aside, machines), 0);
	ck_assert_int_eq(policy_recover(&app, &e), 0);
	ck_assert(exists(1));
}
END_TEST

/* A week of epochs, and more, of one disk; the files are the newest ones', the last to be found in a list. */
START_TEST(many_epochs)
{
	uint8_t data[512] = {1};
	struct part part = {0, sizeof(data), data};
	double began;
	struct err e;

	epoch_make(&app.home, &disk, 1, &part, 1, true);
	sql("WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 500000)"
	    "INSERT INTO journal (disk, epoch, segments, bytes) SELECT '" DISK "', i, 1, 1 FROM n;"
	    "UPDATE machine SET used_epoch = 500000;");
	for (uint64_t i = 0; i < FILES; i++)
		make_file(EPOCHS - i);
	began = cpu_seconds();
	ck_assert_int_eq(policy_recover(&app, &e), 0);
	ck_assert_double_lt(cpu_seconds() - began, CPU_SECONDS_MAX);
	ck_assert(exists(EPOCHS) && exists(EPOCHS - FILES + 1));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("recover");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, uncommitted_goes);
	tcase_add_test(t, another_store);
	tcase_add_test(t, nothing_is_there);
	tcase_add_test(t, many_epochs);
	return run_tcase("recover", t);
}
