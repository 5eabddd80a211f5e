// SPDX-License-Identifier: Apache-2.0
/* What disks and plain files are called. The disks are images, in a sysfs that is made up. */
/* wraps: opendir io_read_file blkid_new_probe_from_filename */
#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/identify.h"
#include "agent/identify_key.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/unit/agent/support.h"

/* --- the machine ------------------------------------------------------------------------------ */

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
int __real_io_read_file(const char *path, size_t max, char **data, size_t *len, struct err *e);
int __wrap_io_read_file(const char *path, size_t max, char **data, size_t *len, struct err *e);
blkid_probe __real_blkid_new_probe_from_filename(const char *path);
blkid_probe __wrap_blkid_new_probe_from_filename(const char *path);

static unsigned int probes; /* disks that were read */

/* /sys/block/sda/size is the file sys/block/sda/size of the test. */
static const char *mapped(const char *path)
{
	static char text[PATH_MAX];

	if (strncmp(path, "/sys/block", 10) != 0 && strncmp(path, "/run/udev/", 10) != 0)
		return path;
	snprintf(text, sizeof(text), "%s%s", test_dir(), path);
	return text;
}

DIR *__wrap_opendir(const char *path)
{
	return __real_opendir(mapped(path));
}

int __wrap_io_read_file(const char *path, size_t max, char **data, size_t *len, struct err *e)
{
	return __real_io_read_file(mapped(path), max, data, len, e);
}

blkid_probe __wrap_blkid_new_probe_from_filename(const char *path)
{
	probes++;
	ck_assert_msg(!strstr(path, "hung"), "%s was read", path);
	return __real_blkid_new_probe_from_filename(test_path(path + strlen("/dev/")));
}

static void make_folder(const char *name)
{
	ck_assert(!mkdir(test_path(name), 0700) || errno == EEXIST);
}

static void put_attribute(const char *disk, const char *name, const char *value)
{
	char path[200];

	make_folder("sys");
	make_folder("sys/block");
	snprintf(path, sizeof(path), "sys/block/%s", disk);
	make_folder(path);
	snprintf(path, sizeof(path), "sys/block/%s/%s", disk, name);
	test_write(test_path(path), value);
}

/* A disk without a serial number, whose partition table has this id. */
static void add_disk(const char *name, const char id[4])
{
	static const unsigned char partition[16] = {0, 0, 2, 0, 0x83, 0, 3, 0,
						    0, 8, 0, 0, 0,    8, 0, 0};
	FILE *f = fopen(test_path(name), "w");
	unsigned char mbr[512] = {0};

	memcpy(mbr + 440, id, 4);
	memcpy(mbr + 446, partition, sizeof(partition));
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(mbr, sizeof(mbr), 1, f), 1);
	ck_assert_int_eq(ftruncate(fileno(f), 8 << 20), 0);
	fclose(f);
	put_attribute(name, "size", "16384\n");
}

#define KEY "ptuuid:64636261" /* of the id "abcd" */

/* --- finding ---------------------------------------------------------------------------------- */

START_TEST(one_that_matches_is_found_wherever_it_is)
{
	char path[PATH_MAX] = "/dev/as-it-was";
	struct err e;

	add_disk("sda", "wxyz");
	put_attribute("sr0", "size", "0\n");
	ck_assert_int_eq(identify_find(KEY, "/dev/sda", true, 0, path, &e), -ENODEV);
	ck_assert_str_eq(path, "/dev/as-it-was");
	add_disk("sdb", "abcd");
	for (int holds = 0; holds < 2; holds++) {
		ck_assert_msg(!identify_find(KEY, "/dev/sda", holds, 0, path, &e), "%s", e.text);
		ck_assert_str_eq(path, "/dev/sdb");
	}
	put_attribute("sdb", "serial", " 12 34\n");
	ck_assert_msg(!identify_find("serial:12_34", "/dev/sda", false, 0, path, &e), "%s", e.text);
	ck_assert_str_eq(path, "/dev/sdb");
}
END_TEST

START_TEST(a_name_tells_copies_apart_only_while_it_holds)
{
	char path[PATH_MAX];
	struct err e;

	add_disk("sda", "abcd");
	add_disk("sdb", "abcd");
	ck_assert_msg(!identify_find(KEY, "/dev/sdb", true, 0, path, &e), "%s", e.text);
	ck_assert_str_eq(path, "/dev/sdb");
	ck_assert_int_eq(identify_find(KEY, "/dev/sdc", true, 0, path, &e), -ENOTUNIQ);
	/* After a restart the copy may have the name. */
	ck_assert_int_eq(identify_find(KEY, "/dev/sdb", false, 0, path, &e), -ENOTUNIQ);
	ck_assert_ptr_nonnull(strstr(e.text, "2 disks of this machine are " KEY));
}
END_TEST

static void put_record(const char *disk, const char *dev, const char *text)
{
	char path[64];

	put_attribute(disk, "dev", dev);
	make_folder("run");
	make_folder("run/udev");
	make_folder("run/udev/data");
	snprintf(path, sizeof(path), "run/udev/data/b%.*s", (int)strcspn(dev, "\n"), dev);
	test_write(test_path(path), text);
}

START_TEST(disks_that_udev_knows_to_be_others_are_not_read)
{
	char path[PATH_MAX];
	struct err e;

	add_disk("hung", "wxyz");
	put_record("hung", "8:0\n", "S:disk/by-id/x\nI:1\nE:ID_PART_TABLE_UUID=7a797877\n");
	ck_assert_int_eq(identify_find(KEY, "/dev/sdb", true, 0, path, &e), -ENODEV);
	put_record("hung", "8:0\n", "E:ID_FS_TYPE=LVM2_member\nE:ID_FS_UUID=Xy-1\n");
	ck_assert_int_eq(identify_find(KEY, "/dev/sdb", true, 0, path, &e), -ENODEV);
	ck_assert_int_eq(identify_find("fsuuid:Xy-2", "/dev/sdb", true, 0, path, &e), -ENODEV);
	ck_assert_uint_eq(probes, 0);
	/* What udev says is equal, does not know, or does not tell of, is. */
	add_disk("sdb", "abcd");
	put_record("sdb", "8:16\n", "E:ID_PART_TABLE_TYPE=dos\nE:ID_PART_TABLE_UUID=64636261\n");
	ck_assert_msg(!identify_find(KEY, "/dev/sda", true, 0, path, &e), "%s", e.text);
	ck_assert_str_eq(path, "/dev/sdb");
	put_record("sdb", "8:16\n", "E:DEVTYPE=disk\n");
	ck_assert(!identify_find(KEY, "/dev/sda", true, 0, path, &e));
	add_disk("sdc", "wxyz");
	ck_assert(!identify_find(KEY, "/dev/sda", true, 0, path, &e));
	ck_assert_uint_eq(probes, 4);
}
END_TEST

/* --- namespaces of NVMe ----------------------------------------------------------------------- */

static void add_namespace(const char *name, const char *wwid, const char *sectors)
{
	char folder[64];

	put_attribute(name, "size", sectors);
	put_attribute(name, "wwid", wwid);
	snprintf(folder, sizeof(folder), "sys/block/%s/device", name);
	make_folder(folder);
	put_attribute(name, "device/serial", "CTRL 1   \n");
}

static const char *key_of(const char *name)
{
	static char key[256];

	ck_assert(key_make(KEY_SERIAL, name, "/nowhere", key));
	return key;
}

START_TEST(a_namespace_is_called_by_itself)
{
	char path[PATH_MAX], key[256];
	struct err e;

	add_namespace("nvme0n1", "uuid.11-1\n", "16384\n");
	add_namespace("nvme0n2", "eui.22\n", "16384\n");
	ck_assert_str_eq(key_of("nvme0n1"), "serial:uuid.11-1");
	ck_assert_str_eq(key_of("nvme0n2"), "serial:eui.22");
	ck_assert(key_make_old("nvme0n1", key));
	ck_assert_str_eq(key, "serial:CTRL_1");
	ck_assert(!identify_find("serial:eui.22", "/dev/nvme0n1", true, 0, path, &e));
	ck_assert_str_eq(path, "/dev/nvme0n2");
	/* Another disk keeps what it was called. */
	add_namespace("sda", "naa.33\n", "16384\n");
	ck_assert_str_eq(key_of("sda"), "serial:CTRL_1");
}
END_TEST

/* It is found as long as that is one, where it was, or the one of its size. */
START_TEST(a_namespace_that_has_the_key_of_its_controller)
{
	char path[PATH_MAX];
	struct err e;

	add_namespace("nvme0n1", "uuid.11\n", "16384\n");
	ck_assert(!identify_find("serial:CTRL_1", "/dev/sdb", false, 0, path, &e));
	ck_assert_str_eq(path, "/dev/nvme0n1");
	add_namespace("nvme0n2", "uuid.22\n", "32768\n");
	ck_assert(!identify_find("serial:CTRL_1", "/dev/nvme0n1", true, 0, path, &e));
	ck_assert_str_eq(path, "/dev/nvme0n1");
	ck_assert_int_eq(identify_find("serial:CTRL_1", "/dev/nvme0n1", false, 0, path, &e),
			 -ENOTUNIQ);
	ck_assert(!identify_find("serial:CTRL_1", "/dev/nvme0n1", false, 16 << 20, path, &e));
	ck_assert_str_eq(path, "/dev/nvme0n2");
	ck_assert_int_eq(identify_find("serial:CTRL_1", "/dev/nvme0n1", false, 4096, path, &e),
			 -ENOTUNIQ);
	add_namespace("nvme0n3", "uuid.33\n", "32768\n");
	ck_assert_int_eq(identify_find("serial:CTRL_1", "/dev/nvme0n1", false, 16 << 20, path, &e),
			 -ENOTUNIQ);
}
END_TEST

START_TEST(a_hidden_path_is_no_disk)
{
	char path[PATH_MAX];
	struct err e;

	add_namespace("nvme0n1", "uuid.11\n", "16384\n");
	add_namespace("nvme0c0n1", "uuid.11\n", "16384\n");
	put_attribute("nvme0c0n1", "hidden", "1\n");
	put_attribute("nvme0n1", "hidden", "0\n");
	ck_assert_msg(!identify_find("serial:uuid.11", "/dev/x", false, 0, path, &e), "%s", e.text);
	ck_assert_str_eq(path, "/dev/nvme0n1");
}
END_TEST

/* --- plain files ------------------------------------------------------------------------------ */

static void make(const char *name, off_t size)
{
	FILE *f = fopen(test_path(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(ftruncate(fileno(f), size), 0);
	fclose(f);
}

START_TEST(names_are_such_as_the_appliance_takes)
{
	static const struct {
		const char *file, *name;
	} cases[] = {{"vm.img", "vm.img"},
		     {".vm.img", "_vm.img"},
		     {"...", "_.."},
		     {"a b\\c", "a_b_c"}};
	struct identity id;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		make(cases[i].file, 4096);
		ck_assert_msg(!identify(test_path(cases[i].file), &id, &e), "%s", e.text);
		ck_assert_str_eq(id.name, cases[i].name);
		ck_assert(id.file);
		ck_assert_uint_eq(id.size, 4096);
	}
	/* The path stays what it is. */
	ck_assert(!identify(test_path(".vm.img"), &id, &e));
	ck_assert_str_eq(id.path, test_path(".vm.img"));
	ck_assert_ptr_nonnull(strstr(id.key, "/.vm.img"));
	ck_assert(identify_is(test_path(".vm.img"), id.key));
	ck_assert(!identify_is(test_path("vm.img"), id.key));
	ck_assert(!identify_is(test_path("absent"), id.key));
}
END_TEST

START_TEST(what_cannot_be_protected)
{
	struct identity id;
	struct err e;

	make("empty", 0);
	make("odd", 4097);
	make("b\xe9.img", 4096);
	ck_assert_int_eq(identify(test_path("b\xe9.img"), &id, &e), -EILSEQ);
	ck_assert_ptr_nonnull(strstr(e.text, "/b\\xe9.img is not UTF-8"));
	ck_assert_int_eq(identify(test_path("empty"), &id, &e), -ENOMEDIUM);
	ck_assert_int_eq(identify(test_path("odd"), &id, &e), -EINVAL);
	ck_assert_int_eq(identify(test_path("absent"), &id, &e), -ENOENT);
	ck_assert_int_eq(identify(test_dir(), &id, &e), -ENOTBLK);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("identify");

	tcase_add_test(tc, names_are_such_as_the_appliance_takes);
	tcase_add_test(tc, what_cannot_be_protected);
	tcase_add_test(tc, one_that_matches_is_found_wherever_it_is);
	tcase_add_test(tc, disks_that_udev_knows_to_be_others_are_not_read);
	tcase_add_test(tc, a_name_tells_copies_apart_only_while_it_holds);
	tcase_add_test(tc, a_namespace_is_called_by_itself);
	tcase_add_test(tc, a_namespace_that_has_the_key_of_its_controller);
	tcase_add_test(tc, a_hidden_path_is_no_disk);
	return run_tcase("identify", tc);
}
