/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which point a word means; exports that take long, have long names or meet others; and what was cut short: making an appliance, and removing a machine.
 */
/* wraps: clock_monotonic_ns index_walk flock fsync */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/command.h"
#include "appliance/index.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/pki.h"
#include "tests/unit/appliance/helpers.h"

#define SIZE 65536

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);
int __real_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e);
int __wrap_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e);

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

static char *dir;
static struct home home;
static struct disk_row disk;
static uint64_t ahead, load_ns; /* the clock, and how long an index takes to load */

uint64_t __wrap_clock_monotonic_ns(void)
{
	return __real_clock_monotonic_ns() + ahead;
}

int __wrap_index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e)
{
	ahead += load_ns;
	return __real_index_walk(of, fn, arg, e);
}

/* Before the first lock on a file of this name it gets the other: another export ends just then. */
static char renamed[512], renamed_to[512];

int __wrap_flock(int fd, int how)
{
	struct stat own, there;

	if (*renamed && fstat(fd, &own) == 0 && stat(renamed, &there) == 0 &&
	    own.st_ino == there.st_ino) {
		ck_assert_int_eq(rename(renamed, renamed_to), 0);
		*renamed = 0;
	}
	return __real_flock(fd, how);
}

/* Which files and folders were synced, in memory one filesystem has them all. */
static ino_t synced[256];
static size_t synced_count;

int __wrap_fsync(int fd)
{
	struct stat st;

	ck_assert_uint_lt(synced_count, 256);
	if (fstat(fd, &st) == 0)
		synced[synced_count++] = st.st_ino;
	return __real_fsync(fd);
}

static bool is_synced(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	for (size_t i = 0; i < synced_count; i++) {
		if (synced[i] == st.st_ino)
			return true;
	}
	return false;
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

static void make_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
}

static bool has_text(const char *path, const char *text)
{
	char got[64] = "";
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(got, 1, sizeof(got), f) : 0;

	if (f)
		fclose(f);
	return n == strlen(text) && !memcmp(got, text, n);
}

/* point_of(1): 1 in the second sector, and zeros. */
static void check_image(const char *path)
{
	static uint8_t got[SIZE + 1];
	FILE *f = fopen(path, "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fread(got, 1, sizeof(got), f), SIZE);
	fclose(f);
	for (size_t i = 0; i < SIZE; i++)
		ck_assert_uint_eq(got[i], i >= 512 && i < 1024);
}

/* What another export is writing is left alone; what one that was killed has left is not. */
START_TEST(one_export_writes_a_file)
{
	char out[480], part[512], image[512];
	int fd;

	point_of(1);
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(image, sizeof(image), "%s/vda.raw", out);
	snprintf(part, sizeof(part), "%s/vda.raw.part", out);
	ck_assert_int_eq(mkdir(out, 0700), 0);
	make_text(part, "another's");
	fd = open(part, O_RDWR);
	ck_assert_int_eq(__real_flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(export_to("1", out), EXIT_FAILED);
	ck_assert(has_text(part, "another's"));
	ck_assert_int_lt(access(image, F_OK), 0);
	close(fd);
	ck_assert_int_eq(export_to("1", out), EXIT_DONE);
	check_image(image);
	ck_assert_int_lt(access(part, F_OK), 0);
}
END_TEST

/* The other export renames the file after this one has opened it. */
START_TEST(an_image_that_is_complete_is_not_written)
{
	char out[480], image[512];

	point_of(1);
	snprintf(out, sizeof(out), "%s/out", dir);
	snprintf(image, sizeof(image), "%s/vda.raw", out);
	ck_assert_int_eq(mkdir(out, 0700), 0);
	snprintf(renamed, sizeof(renamed), "%s/vda.raw.part", out);
	snprintf(renamed_to, sizeof(renamed_to), "%s/other.raw", out);
	make_text(renamed, "another's");
	ck_assert_int_eq(export_to("1", out), EXIT_DONE);
	ck_assert(!*renamed);
	ck_assert(has_text(renamed_to, "another's"));
	check_image(image);
}
END_TEST

/* With the folders that it made for the image. */
START_TEST(export_is_durable)
{
	char path[512];

	point_of(1);
	snprintf(path, sizeof(path), "%s/a/b/out", dir);
	synced_count = 0;
	ck_assert_int_eq(export_to("1", path), EXIT_DONE);
	while (strlen(path) > strlen(dir)) {
		ck_assert_msg(is_synced(path), "%s", path);
		*strrchr(path, '/') = 0;
	}
	ck_assert(is_synced(dir));
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

static int init_as(const char *where, const char *names)
{
	char *argv[] = {(char *)"--name", (char *)names};

	return command_init(where, 2, argv);
}

static char *path_of(char *out, const char *where, const char *name)
{
	ck_assert_int_lt(snprintf(out, 512, "%s/%s", where, name), 512);
	return out;
}

/* A name is 254 bytes long in the one before the last, and there are 65 in the last. */
static const char *const bad_names[] = {
	"*.example.com", "host:443", "-a", "", ",", "254", "names",
};

/* Nothing is written that would be in the way of another try. */
START_TEST(names_that_cannot_be)
{
	char where[256], path[512], names[512] = "";
	const char *bad = bad_names[_i];

	if (!strcmp(bad, "254"))
		memset(names, 'a', 254);
	else
		for (int i = 0; !strcmp(bad, "names") && i < 65; i++)
			strcat(names, i ? ",a" : "a");
	snprintf(where, sizeof(where), "%s/new", dir);
	ck_assert_int_eq(init_as(where, *names ? names : bad), EXIT_USAGE);
	ck_assert_int_ne(access(path_of(path, where, "pki/ca.key"), F_OK), 0);
	ck_assert_int_eq(init_as(where, "host.example.com"), EXIT_DONE);
	ck_assert_int_eq(init_as(where, "host.example.com"), EXIT_FAILED);
}
END_TEST

/* In the order in which they are written. */
static const char *const written[] = {
	"pki/ca.key", "pki/ca.pem", "pki/server.pem", "catalog.db", "appliance.conf",
};

/* Killed after the first _i files were written: another init ends it, with the same authority as soon as there is one. */
START_TEST(init_cut_short)
{
	char where[256], path[512];
	struct home again;
	struct err e;
	char *ca, *server, *new_ca;

	snprintf(where, sizeof(where), "%s/new", dir);
	ck_assert_int_eq(init_as(where, "localhost"), EXIT_DONE);
	ca = home_read(where, HOME_CA, &e);
	for (size_t i = (size_t)_i; i < ARRAY_SIZE(written); i++)
		ck_assert_int_eq(unlink(path_of(path, where, written[i])), 0);
	ck_assert_int_eq(init_as(where, "localhost"), EXIT_DONE);
	new_ca = home_read(where, HOME_CA, &e);
	ck_assert_int_eq(strcmp(ca, new_ca) == 0, _i >= 2);
	server = home_read(where, HOME_SERVER, &e);
	ck_assert_msg(pki_verify(server, new_ca, &e) == 0, "%s", e.text);
	ck_assert_msg(home_open(&again, where, &e) == 0, "%s", e.text);
	home_close(&again);
	ck_assert_int_eq(init_as(where, "localhost"), EXIT_FAILED);
	free(server);
	free(new_ca);
	free(ca);
}
END_TEST

/* What the command prints, which finds damage. */
static void verify_says(char *text, size_t size)
{
	char *argv[] = {(char *)MACHINE}, path[512];
	int out = dup(STDOUT_FILENO);
	FILE *f;

	snprintf(path, sizeof(path), "%s/said", dir);
	ck_assert_int_ge(out, 0);
	ck_assert_ptr_nonnull(freopen(path, "w", stdout));
	ck_assert_int_eq(command_verify(dir, 1, argv), EXIT_FAILED);
	fflush(stdout);
	ck_assert_int_ge(dup2(out, fileno(stdout)), 0);
	close(out);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, size - 1, f)] = 0;
	fclose(f);
}

/* Of a disk that is not protected any more nothing can be sent again. */
START_TEST(a_remedy_that_there_is)
{
	char text[4096], name[STORE_NAME_MAX];
	struct err e;

	point_of(1);
	name_journal(name, MACHINE, DISK, 1);
	flip(dir, name, 130);
	verify_says(text, sizeof(text));
	ck_assert_msg(strstr(text, "mobilityctl resync --now") != NULL, "%s", text);
	disk.active = false;
	ck_assert_int_eq(catalog_disk_put(home.catalog, &disk, &e), 0);
	verify_says(text, sizeof(text));
	ck_assert_msg(strstr(text, "there is no remedy") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "mobilityctl") == NULL, "%s", text);
}
END_TEST

/* Who may not look into the folder is not told to make another appliance. */
START_TEST(a_folder_that_is_closed)
{
	bool root = geteuid() == 0;
	struct home other;
	struct err e;
	int rc;

	ck_assert_int_eq(chmod(dir, 0), 0);
	if (root)
		ck_assert_int_eq(setresuid(65534, 65534, 0), 0);
	rc = home_open(&other, dir, &e);
	if (root)
		ck_assert_int_eq(setresuid(0, 0, 0), 0);
	ck_assert_int_eq(chmod(dir, 0700), 0);
	ck_assert_int_eq(rc, -EACCES);
	ck_assert_msg(strstr(e.text, "init") == NULL, "%s", e.text);
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
	tcase_add_test(t, one_export_writes_a_file);
	tcase_add_test(t, an_image_that_is_complete_is_not_written);
	tcase_add_test(t, export_is_durable);
	tcase_add_test(t, removal_cut_short);
	tcase_add_test(t, only_ids_name_folders);
	tcase_add_loop_test(t, names_that_cannot_be, 0, (int)ARRAY_SIZE(bad_names));
	tcase_add_loop_test(t, init_cut_short, 0, (int)ARRAY_SIZE(written));
	tcase_add_test(t, a_remedy_that_there_is);
	tcase_add_test(t, a_folder_that_is_closed);
	return run_tcase("commands", t);
}
