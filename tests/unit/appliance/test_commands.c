/* SPDX-License-Identifier: Apache-2.0 */
/* Which point a word means. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/command.h"
#include "appliance/names.h"
#include "tests/unit/appliance/helpers.h"

#define SIZE 65536

static char *dir;
static struct home home;
static struct disk_row disk;

static void setup(void)
{
	char *argv[] = {(char *)"--name", (char *)"localhost"};
	struct err e;

	dir = scratch_make();
	ck_assert_int_eq(command_init(dir, 2, argv), EXIT_DONE);
	ck_assert_int_eq(home_open(&home, dir, &e), 0);
	machine_make(&home, MACHINE);
	disk_make(&home, DISK, SIZE, &disk);
}

static void teardown(void)
{
	home_close(&home);
	scratch_remove(dir);
}

static void point_of(uint64_t epoch)
{
	uint8_t data[512];
	struct part part = {(epoch % 128) * 512, sizeof(data), data};

	memset(data, (int)epoch, sizeof(data));
	epoch_make(&home, &disk, epoch, &part, 1, true);
}

static void name_point(uint64_t epoch, const char *name)
{
	struct commit_disk cd = {.size = SIZE, .replicated = SIZE, .state = DISK_PROTECTED};
	struct commit_row row = {.point = true, .answer = "{}", .disks = &cd, .disk_count = 1};
	struct err e;

	strcpy(cd.disk, DISK);
	strcpy(row.machine, MACHINE);
	strcpy(row.attempt, "a");
	strcpy(row.consistency, "crash");
	strcpy(row.name, name);
	ck_assert_int_eq(catalog_epoch_open(home.catalog, MACHINE, "a", &row.epoch, &e), 0);
	ck_assert_uint_eq(row.epoch, epoch);
	ck_assert_int_eq(catalog_commit(home.catalog, &row, &e), 0);
}

/* The epoch that the word means; 0: none. */
static uint64_t meant(const char *word)
{
	struct machine_row m;
	struct point_row p;
	struct err e;

	ck_assert_int_eq(catalog_machine(home.catalog, MACHINE, &m, &e), 0);
	return command_find_point(&home, &m, word, &p, &e) == 0 ? p.epoch : 0;
}

/* Whoever names bookmarks must not be able to put one in another point's place. */
START_TEST(ids_before_names)
{
	ck_assert_uint_eq(meant("latest"), 0);
	point_of(1);
	name_point(2, "before");
	name_point(3, "1");
	name_point(4, "02");
	name_point(5, "latest");
	name_point(6, "before");
	name_point(7, "99");
	name_point(8, "8th");
	ck_assert_uint_eq(meant("1"), 1);
	ck_assert_uint_eq(meant("2"), 2);
	ck_assert_uint_eq(meant("02"), 4);
	ck_assert_uint_eq(meant("latest"), 8);
	ck_assert_uint_eq(meant("before"), 6);
	ck_assert_uint_eq(meant("99"), 7);
	ck_assert_uint_eq(meant("8th"), 8);
	ck_assert_uint_eq(meant("9"), 0);
	ck_assert_uint_eq(meant(""), 0);
	ck_assert_uint_eq(meant("18446744073709551617"), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("commands");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, ids_before_names);
	return run_tcase("commands", t);
}
