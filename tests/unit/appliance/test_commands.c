/* SPDX-License-Identifier: Apache-2.0 */
/* Which point a word means, exports that take long or have long names, and removals that were cut short. */
/* wraps: clock_monotonic_ns index_load */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/command.h"
#include "appliance/index.h"
#include "appliance/names.h"
#include "lib/clock.h"
#include "tests/unit/appliance/helpers.h"

#define SIZE 65536

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);
int __real_index_load(const struct index_of *of, struct index *ix, struct err *e);
int __wrap_index_load(const struct index_of *of, struct index *ix, struct err *e);

static char *dir;
static struct home home;
static struct disk_row disk;
static uint64_t ahead, load_ns; /* the clock, and how long an index takes to load */

uint64_t __wrap_clock_monotonic_ns(void)
{
	return __real_clock_monotonic_ns() + ahead;
}

int __wrap_index_load(const struct index_of *of, struct index *ix, struct err *e)
{
	ahead += load_ns;
	return __real_index_load(of, ix, e);
}

static void setup(void)
{
	char *argv[] = {(char *)"--name", (char *)"localhost"};
	struct err e;

	dir = scratch_make();
	ck_assert_int_eq(command_init(dir, 2, argv), EXIT_DONE);
	ck_assert_int_eq(home_open(&home, dir, &e), 0);
	machine_make(&home, MACHINE);
	disk_make(&home, DISK, SIZE, &disk);
	ahead = load_ns = 0;
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

static int export_to(const char *point, const char *folder)
{
	char *argv[] = {(char *)MACHINE, (char *)point, (char *)"--format", (char *)"raw",
			(char *)folder};

	return command_export(dir, 5, argv);
}

/* A map that takes longer to make than a lease lasts. */
START_TEST(slow_map)
{
	char out[512];

	for (uint64_t i = 1; i <= 40; i++)
		point_of(i);
	load_ns = 10 * NSEC_PER_SEC;
	snprintf(out, sizeof(out), "%s/out", dir);
	ck_assert_int_eq(export_to("latest", out), EXIT_DONE);
	ck_assert_uint_ge(ahead, 400 * NSEC_PER_SEC);
}
END_TEST

/* As long as a name may be, with characters of two bytes: the file's is cut, and has the id. */
START_TEST(long_name)
{
	char out[512], file[1024];
	struct err e;

	for (size_t i = 0; i < 254; i += 2)
		memcpy(disk.name + i, "\xc3\xa9", 3);
	ck_assert_int_eq(catalog_disk_put(home.catalog, &disk, &e), 0);
	point_of(1);
	snprintf(out, sizeof(out), "%s/out", dir);
	ck_assert_int_eq(export_to("1", out), EXIT_DONE);
	snprintf(file, sizeof(file), "%s/%.208s-%s.raw", out, disk.name, DISK);
	ck_assert_int_eq(access(file, F_OK), 0);
	/* The longest that needs no cutting. */
	disk.name[246] = 0;
	ck_assert_int_eq(catalog_disk_put(home.catalog, &disk, &e), 0);
	ck_assert_int_eq(export_to("1", out), EXIT_DONE);
	snprintf(file, sizeof(file), "%s/%s.raw", out, disk.name);
	ck_assert_int_eq(access(file, F_OK), 0);
}
END_TEST

static int remove_this(const char *what)
{
	char *argv[] = {(char *)what};

	return command_remove(dir, 1, argv);
}

static bool has_folder(const char *machine)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/machines/%s", dir, machine);
	return access(path, F_OK) == 0;
}

/* A process that died between the catalog and the folder. */
START_TEST(removal_cut_short)
{
	struct err e;

	machine_make(&home, OTHER_MACHINE);
	point_of(1);
	ck_assert_int_eq(remove_this(OTHER_MACHINE), EXIT_DONE);
	ck_assert(has_folder(MACHINE));
	ck_assert_int_eq(catalog_machine_remove(home.catalog, MACHINE, &e), 0);
	ck_assert_int_eq(remove_this(MACHINE), EXIT_DONE);
	ck_assert(!has_folder(MACHINE));
	ck_assert_int_eq(remove_this(MACHINE), EXIT_FAILED);
	ck_assert_int_eq(remove_this(OTHER_MACHINE), EXIT_FAILED);
}
END_TEST

START_TEST(only_ids_name_folders)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/machines/other", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(remove_this("other"), EXIT_FAILED);
	ck_assert_int_eq(remove_this(".."), EXIT_FAILED);
	ck_assert_int_eq(remove_this(""), EXIT_FAILED);
	ck_assert(has_folder("other"));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("commands");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, ids_before_names);
	tcase_add_test(t, slow_map);
	tcase_add_test(t, long_name);
	tcase_add_test(t, removal_cut_short);
	tcase_add_test(t, only_ids_name_folders);
	return run_tcase("commands", t);
}
