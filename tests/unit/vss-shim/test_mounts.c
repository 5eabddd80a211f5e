// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/unit/lib/support.h"
#include "vss-shim/mounts.h"

static const char table[] =
	"22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
	"23 22 0:21 / /proc rw - proc proc rw\n"
	"24 22 8:17 / /mnt/a\\040b rw shared:2 master:1 - xfs /dev/sdb1 rw,noquota\n"
	"25 22 8:1 /srv /mnt/bind ro,relatime - ext4 /dev/sda1 rw\n"
	"26 22 8:33 / /media ro - iso9660 /dev/sdc1 ro,norock\n"
	"27 22 0:40 / /net rw - nfs4 server:/x rw,retrans=2\n"
	"28 24 0:41 /@home /home rw - btrfs /dev/null rw,space_cache,subvol=/@home\n"
	"29 22 0:42 / /tank rw - zfs tank/data rw,xattr,noacl\n"
	"30 22 0:43 / /dev/shm rw - tmpfs zfs rw\n";

static void must_parse(const char *text, struct mounts *m)
{
	struct err e;

	ck_assert_int_eq(mounts_parse(text, strlen(text), m, &e), 0);
}

START_TEST(parsed)
{
	struct mounts m;

	must_parse(table, &m);
	ck_assert_uint_eq(m.count, 8); /* the bind mount is no filesystem of its own */
	ck_assert_uint_eq(m.fs[0].dev, makedev(8, 1));
	ck_assert_uint_eq(m.fs[0].again_count, 1);
	ck_assert_str_eq(m.fs[0].again[0].path, "/mnt/bind");
	ck_assert(!m.fs[0].read_only); /* one of its mounts is, the filesystem is not */
	ck_assert_str_eq(m.fs[2].point, "/mnt/a b");
	ck_assert_str_eq(m.fs[2].type, "xfs");
	ck_assert(m.fs[3].read_only);
	ck_assert(mounted_on_block(&m.fs[0]));
	ck_assert(!mounted_on_block(&m.fs[1]));
	ck_assert(!mounted_on_block(&m.fs[4]));
	ck_assert(mounted_on_block(&m.fs[5])); /* whatever its source is called */
	ck_assert(mounted_on_block(&m.fs[6]));
	ck_assert(!mounted_on_block(&m.fs[7]));
	mounts_clear(&m);
}
END_TEST

/* mount(2) takes an empty source; the list is none the worse for it. */
START_TEST(empty_source)
{
	struct mounts m;

	must_parse("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n62 22 0:38 / /mnt rw - tmpfs  ro\n", &m);
	ck_assert_uint_eq(m.count, 2);
	ck_assert_str_eq(m.fs[1].source, "");
	ck_assert(m.fs[1].read_only);
	mounts_clear(&m);
}
END_TEST

START_TEST(garbage)
{
	static const char *const bad[] = {
		"x\n",
		"1 2 8:1 / / rw\n",
		"x 2 8:1 / / rw - ext4 a rw\n",
		"1 2 8 / / rw - ext4 a rw\n",
		"1 2 8:1x / / rw - ext4 a rw\n",
		"1 2 8:1 / / rw shared:1 ext4 a rw\n",
		"1 2 8:1 / / rw - ext4 a\n",
	};
	struct mounts m;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_eq(mounts_parse(bad[i], strlen(bad[i]), &m, &e), -EBADMSG);
		ck_assert_uint_eq(m.count, 0);
	}
	must_parse("", &m);
	ck_assert_uint_eq(m.count, 0);
}
END_TEST

START_TEST(opened)
{
	struct mounts m;
	struct err e;
	int fd;

	ck_assert_int_eq(mounts_read(&m, &e), 0);
	ck_assert_uint_gt(m.count, 1);
	for (size_t i = 0; i < m.count; i++) {
		if (strcmp(m.fs[i].point, "/proc") != 0)
			continue;
		fd = mounted_open(&m.fs[i]);
		ck_assert_int_ge(fd, 0);
		close(fd);
		/* Another filesystem is mounted there. */
		m.fs[i].dev = makedev(8, 250);
		ck_assert_int_lt(mounted_open(&m.fs[i]), 0);
	}
	mounts_clear(&m);
}
END_TEST

/* What covers a btrfs may have an anonymous number, too. It must not be frozen, or thawed, in its place. */
START_TEST(covered)
{
	struct mounts m;

	must_parse("4000000000 1 0:9999 / /proc rw - btrfs /dev/null rw\n", &m);
	ck_assert_int_eq(mounted_open(&m.fs[0]), -ENXIO);
	mounts_clear(&m);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("mounts");

	tcase_add_test(t, parsed);
	tcase_add_test(t, empty_source);
	tcase_add_test(t, garbage);
	tcase_add_test(t, opened);
	tcase_add_test(t, covered);
	return run_tcase("mounts", t);
}
