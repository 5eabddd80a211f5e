/* SPDX-License-Identifier: Apache-2.0 */
/* Registering disks: what is refused then, and not when it is too late. */
/* wraps: catalog_disk_by_key */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/api.h"
#include "tests/unit/appliance/helpers.h"

int __real_catalog_disk_by_key(struct catalog *c, const char *machine, const char *key,
			       struct disk_row *d, struct err *e);
int __wrap_catalog_disk_by_key(struct catalog *c, const char *machine, const char *key,
			       struct disk_row *d, struct err *e);

static char *dir;
static struct appliance app;
static bool removed; /* the machine goes while the request is looked at */

int __wrap_catalog_disk_by_key(struct catalog *c, const char *machine, const char *key,
			       struct disk_row *d, struct err *e)
{
	int rc = __real_catalog_disk_by_key(c, machine, key, d, e);
	struct err why;

	if (removed)
		ck_assert_int_eq(catalog_machine_remove(c, machine, &why), 0);
	return rc;
}

static void setup(void)
{
	dir = appliance_make(&app);
	removed = false;
}

static void teardown(void)
{
	appliance_remove(&app, dir);
}

static void put_saying(const char *key, uint64_t size, unsigned int status, const char *says)
{
	struct request r = {.app = &app, .method = "POST", .path = "/v1/disks"};
	char body[256];

	snprintf(body, sizeof(body),
		 "{\"key\":\"%s\",\"name\":\"vda\",\"size\":%llu,\"granule\":4096}", key,
		 (unsigned long long)size);
	strcpy(r.machine, MACHINE);
	r.body = body;
	r.len = strlen(body);
	api_disk_put(&r);
	ck_assert_msg(r.reply.status == status, "%u %s", r.reply.status, r.reply.message);
	ck_assert(status == 200 || strstr(r.reply.message, says));
	reply_clear(&r.reply);
}

static void put(const char *key, uint64_t size, unsigned int status)
{
	put_saying(key, size, status, "cannot hold a file of that size");
}

START_TEST(a_size_that_the_store_cannot_hold)
{
	static const struct {
		int error;
		unsigned int status;
	} cases[] = {{0, 200}, {-EFBIG, 409}, {-EINVAL, 409}, {-ENOSPC, 200}, {-EIO, 200}};
	struct store *s = fault_store_new(app.home.store, 0, FAULT_FAIL, cases[_i].error, 0);

	app.home.store = s;
	put("a", 1 << 20, 200);
	fault_store_arm(s, cases[_i].error ? 1 : 0);
	put("b", 1 << 20, cases[_i].status);
	/* One that is here goes on; one that grows is asked about. */
	put("a", 1 << 20, 200);
	put("a", 2 << 20, cases[_i].status);
}
END_TEST

START_TEST(the_filesystem_is_asked)
{
	char path[512];
	int fd;
	bool can;

	snprintf(path, sizeof(path), "%s/probe", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	can = ftruncate(fd, 1ll << 56) == 0;
	close(fd);
	put("a", 1ull << 56, can ? 200 : 409);
	snprintf(path, sizeof(path), "%s/machines/%s/scratch", dir, MACHINE);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

static int count_disks(void)
{
	struct disk_row *list;
	struct err e;
	int n = catalog_disks(app.home.catalog, NULL, false, &list, &e);

	ck_assert_int_ge(n, 0);
	free(list);
	return n;
}

/* `remove` comes in between: a disk of no machine could never be removed again. */
START_TEST(the_machine_is_removed_meanwhile)
{
	/* One that is new; one that is known and grows. */
	if (_i)
		put("a", 1 << 20, 200);
	removed = true;
	put_saying("a", 2 << 20, 401, "enrol it again");
	ck_assert_int_eq(count_disks(), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("disks");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_size_that_the_store_cannot_hold, 0, 5);
	tcase_add_test(t, the_filesystem_is_asked);
	tcase_add_loop_test(t, the_machine_is_removed_meanwhile, 0, 2);
	return run_tcase("disks", t);
}
