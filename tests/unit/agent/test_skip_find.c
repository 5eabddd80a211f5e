// SPDX-License-Identifier: Apache-2.0
/* Which swap areas and filesystems skip_find() believes, on a disk that is made of files below the test's folder. */
/* wraps: io_read_file opendir ioctl syncfs stat64 blkid_new_probe_from_filename */
#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <linux/fsmap.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/skip.h"
#include "lib/io.h"
#include "tests/unit/agent/support.h"

#define MIB (1024ull << 10)
#define DISK "/dev/fake"

#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static struct skip_set found;
static dev_t device; /* of the partition: the test's folder is its filesystem */

/* /sys and /proc are in the test's folder. */
static const char *here(const char *path)
{
	bool fake = !strncmp(path, "/sys/", 5) || !strncmp(path, "/proc/", 6);

	return fake ? test_path(path + 1) : path;
}

int __real_io_read_file(const char *path, size_t max, char **out, size_t *len, struct err *e);
int __wrap_io_read_file(const char *path, size_t max, char **out, size_t *len, struct err *e);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_syncfs(int fd);
int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
blkid_probe __real_blkid_new_probe_from_filename(const char *path);
blkid_probe __wrap_blkid_new_probe_from_filename(const char *path);

int __wrap_io_read_file(const char *path, size_t max, char **out, size_t *len, struct err *e)
{
	return __real_io_read_file(here(path), max, out, len, e);
}

DIR *__wrap_opendir(const char *path)
{
	return __real_opendir(here(path));
}

/* The second MiB of the partition's filesystem is free; of any other, what the partition uses is. */
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct fsmap_head *head;
	struct stat st;
	va_list args;

	va_start(args, request);
	head = va_arg(args, struct fsmap_head *);
	va_end(args);
	ck_assert_uint_eq(request, FS_IOC_GETFSMAP);
	ck_assert_int_eq(fstat(fd, &st), 0);
	head->fmh_oflags = FMH_OF_DEV_T;
	head->fmh_entries = 1;
	head->fmh_recs[0] = (struct fsmap){
		.fmr_device = head->fmh_keys[0].fmr_device,
		.fmr_flags = FMR_OF_SPECIAL_OWNER | FMR_OF_LAST,
		.fmr_physical = st.st_dev == device ? MIB : 4 * MIB,
		.fmr_owner = FMR_OWN_FREE,
		.fmr_length = MIB,
	};
	return 0;
}

int __wrap_syncfs(int fd)
{
	(void)fd;
	return 0;
}

/* The device that is in use as swap has a blank in its name. */
int __wrap_stat64(const char *path, struct stat *st)
{
	if (strcmp(path, "/dev/fake swap"))
		return __real_stat64(path, st);
	*st = (struct stat){.st_mode = S_IFBLK, .st_rdev = device};
	return 0;
}

blkid_probe __wrap_blkid_new_probe_from_filename(const char *path)
{
	return strcmp(path, "/dev/fake1")
		       ? NULL
		       : __real_blkid_new_probe_from_filename(test_path("fake1"));
}

static void put(const char *path, const char *text)
{
	test_write(test_path(path), text);
}

/* A disk of 64 MiB with a partition of 16 MiB that begins at 1 MiB. */
static void set_up(void)
{
	struct stat st;
	char text[64];

	ck_assert_int_eq(stat(test_dir(), &st), 0);
	device = st.st_dev;
	ck_assert_int_eq(io_mkdirs(test_path("sys/class/block/fake/fake1"), 0700, NULL), 0);
	ck_assert_int_eq(io_mkdirs(test_path("proc/self"), 0700, NULL), 0);
	snprintf(text, sizeof(text), "%u:%u\n", major(device), minor(device));
	put("sys/class/block/fake/dev", "240:0\n");
	put("sys/class/block/fake/size", "131072\n");
	put("sys/class/block/fake/fake1/dev", text);
	put("sys/class/block/fake/fake1/partition", "1\n");
	put("sys/class/block/fake/fake1/start", "2048\n");
	put("sys/class/block/fake/fake1/size", "32768\n");
	put("proc/swaps", SWAPS);
}

static void tear_down(void)
{
	skip_clear(&found);
}

static int find(bool swap, bool free)
{
	struct skip_wish w = {
		.path = DISK, .to = 64 * MIB, .granule = 4096, .swap = swap, .free = free};
	struct err e;

	skip_clear(&found);
	return skip_find(&w, &found, &e);
}

static void found_one(uint64_t from, uint64_t to)
{
	ck_assert_uint_eq(found.count, 1);
	ck_assert_uint_eq(found.range[0].from, from);
	ck_assert_uint_eq(found.range[0].to, to);
}

/* --- free blocks ------------------------------------------------------------------------------ */

static void mounts(const char *first, const char *second)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "20 1 0:19 / /proc rw - proc proc rw\n"
		 "21 1 %u:%u / %s rw - ext4 /dev/fake1 rw\n"
		 "22 1 %u:%u / %s rw - ext4 /dev/fake1 rw\n",
		 major(device), minor(device), first, major(device), minor(device), second);
	put("proc/self/mountinfo", text);
}

START_TEST(what_is_free_is_asked_of_the_partition_s_filesystem)
{
	mounts(test_dir(), "/proc");
	ck_assert_int_eq(find(false, true), 0);
	found_one(2 * MIB, 3 * MIB);
}
END_TEST

START_TEST(a_filesystem_mounted_over_it_is_not_asked)
{
	/* /proc is not of the partition, and nothing is below /proc/none. */
	mounts("/proc", test_dir());
	ck_assert_int_eq(find(false, true), 0);
	found_one(2 * MIB, 3 * MIB);
	mounts("/proc/none", test_dir());
	ck_assert_int_eq(find(false, true), 0);
	found_one(2 * MIB, 3 * MIB);
	mounts("/proc/none", "/proc");
	ck_assert_int_eq(find(false, true), -EXDEV);
	ck_assert_uint_eq(found.count, 0);
}
END_TEST

/* --- swap ------------------------------------------------------------------------------------- */

/* What mkswap writes, on a partition of any size. */
static void make_swap(void)
{
	struct {
		char boot[1024];
		uint32_t version, last_page;
		char unused[4086 - 1032];
		char magic[10];
		char more[2 * MIB - 4096];
	} *header = calloc(1, sizeof(*header));
	FILE *f = fopen(test_path("fake1"), "w");

	ck_assert(header && f);
	header->version = 1;
	header->last_page = 4095;
	memcpy(header->magic, "SWAPSPACE2", 10);
	ck_assert_uint_eq(fwrite(header, sizeof(*header), 1, f), 1);
	ck_assert_int_eq(fclose(f), 0);
	free(header);
}

START_TEST(swap_is_left_out_as_far_as_it_is_in_use)
{
	make_swap();
	put("proc/swaps",
	    SWAPS "/dev/null                               partition\t1020\t\t0\t\t-2\n"
		  "/dev/fake\\040swap                       partition\t8192\t\t0\t\t-3\n");
	ck_assert_int_eq(find(true, false), 0);
	found_one(MIB + 65536, MIB + 8 * MIB + (uint64_t)sysconf(_SC_PAGESIZE));
	/* The partition became smaller meanwhile. */
	put("proc/swaps", SWAPS "/dev/fake\\040swap partition\t65536\t\t0\t\t-2\n");
	ck_assert_int_eq(find(true, false), 0);
	found_one(MIB + 65536, 17 * MIB);
}
END_TEST

START_TEST(a_signature_of_swap_is_not_enough)
{
	make_swap();
	ck_assert_int_eq(find(true, false), 0);
	ck_assert_uint_eq(found.count, 0);
	put("proc/swaps", SWAPS "/dev/fake\\040swap file\t8192\t\t0\t\t-2\n"
				"/dev/null partition\t8192\t\t0\t\t-3\n");
	ck_assert_int_eq(find(true, false), 0);
	ck_assert_uint_eq(found.count, 0);
}
END_TEST

START_TEST(swap_in_use_without_its_signature_is_sent)
{
	test_write(test_path("fake1"), "");
	ck_assert_int_eq(truncate(test_path("fake1"), 2 * MIB), 0);
	put("proc/swaps", SWAPS "/dev/fake\\040swap partition\t8192\t\t0\t\t-2\n");
	ck_assert_int_eq(find(true, false), 0);
	ck_assert_uint_eq(found.count, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("skip_find");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, what_is_free_is_asked_of_the_partition_s_filesystem);
	tcase_add_test(tc, a_filesystem_mounted_over_it_is_not_asked);
	tcase_add_test(tc, swap_is_left_out_as_far_as_it_is_in_use);
	tcase_add_test(tc, a_signature_of_swap_is_not_enough);
	tcase_add_test(tc, swap_in_use_without_its_signature_is_sent);
	return run_tcase("skip_find", tc);
}
