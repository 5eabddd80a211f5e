/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody can ask for any more goes, with its space, and keeps nobody waiting. */
/* wraps: store_remove store_remove_tree */
#include <dirent.h>
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/api.h"
#include "appliance/digest_cache.h"
#include "appliance/lease.h"
#include "appliance/names.h"
#include "appliance/policy.h"
#include "lib/clock.h"
#include "tests/unit/appliance/helpers.h"

#define DISK_BYTES (8 * 65536)

int __real_store_remove_tree(struct store *s, const char *folder, struct err *e);
int __wrap_store_remove_tree(struct store *s, const char *folder, struct err *e);
int __real_store_remove(struct store *s, const char *name, struct err *e);
int __wrap_store_remove(struct store *s, const char *name, struct err *e);

static char *dir;
static struct appliance app;
static unsigned int removals, files; /* of folders; of files */
static bool cut_short; /* the process ends before it removes a file */
static struct disk_row disk;

/* Takes long: requests of the machine go on meanwhile. */
static void nobody_waits(void)
{
	struct live_machine *m = live_machine(app.live, MACHINE);

	ck_assert_int_eq(pthread_rwlock_trywrlock(&m->lock), 0);
	pthread_rwlock_unlock(&m->lock);
}

int __wrap_store_remove_tree(struct store *s, const char *folder, struct err *e)
{
	removals++;
	nobody_waits();
	return __real_store_remove_tree(s, folder, e);
}

int __wrap_store_remove(struct store *s, const char *name, struct err *e)
{
	if (cut_short)
		return 0;
	files++;
	nobody_waits();
	return __real_store_remove(s, name, e);
}

static void setup(void)
{
	removals = files = 0;
	cut_short = false;
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

static bool exists(const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

/* A disk with a base and no point, which is no longer protected. */
static void end_protection(void)
{
	struct part part = {0, 4096, NULL};
	struct err e;

	epoch_make(&app.home, &disk, 1, &part, 1, false);
	policy_round(&app, never, NULL);
	ck_assert_int_eq(catalog_disk(app.home.catalog, DISK, &disk, &e), 0);
	disk.active = false;
	ck_assert_int_eq(catalog_disk_put(app.home.catalog, &disk, &e), 0);
}

static int count_disks(void)
{
	struct disk_row *list;
	struct err e;
	int n = catalog_disks(app.home.catalog, MACHINE, false, &list, &e);

	ck_assert_int_ge(n, 0);
	free(list);
	return n;
}

static int count_gone(void)
{
	struct gone_row *list;
	struct err e;
	int n = catalog_gone(app.home.catalog, &list, &e);

	ck_assert_int_ge(n, 0);
	free(list);
	return n;
}

START_TEST(nobody_waits_for_a_disk_that_goes)
{
	char name[STORE_NAME_MAX];
	struct live_disk *live;

	end_protection();
	live = open_journal(MACHINE, DISK);
	ck_assert(exists(name_base(name, MACHINE, DISK)));
	policy_round(&app, never, NULL);
	ck_assert_uint_eq(removals, 1);
	ck_assert(!exists(name_disk(name, MACHINE, DISK)));
	ck_assert_int_eq(open_files_that_were_removed(), 0);
	ck_assert_ptr_null(live->journal);
	ck_assert_int_eq(count_disks(), 0);
	ck_assert_int_eq(count_gone(), 0);
}
END_TEST

/* The removal fails, or is killed: a later round, of another process too, ends it, and until then nobody sees half a disk. */
START_TEST(a_removal_that_was_cut_short)
{
	char name[STORE_NAME_MAX];
	struct err e;

	end_protection();
	if (_i) {
		app.home.store = fault_store_new(app.home.store, 1, FAULT_FAIL_ONCE, -EIO, 0);
		policy_round(&app, never, NULL);
		ck_assert_uint_eq(removals, 1);
	} else {
		policy_forget_disks(&app, MACHINE);
	}
	ck_assert(exists(name_base(name, MACHINE, DISK)));
	ck_assert_int_eq(count_disks(), 0);
	ck_assert_int_eq(count_gone(), 1);
	live_free(app.live);
	home_close(&app.home);
	home_make(&app.home, dir);
	ck_assert_int_eq(live_new(&app.home, &app.live, &e), 0);
	ck_assert_int_eq(policy_recover(&app, &e), 0);
	policy_round(&app, never, NULL);
	ck_assert(!exists(name_disk(name, MACHINE, DISK)));
	ck_assert_int_eq(count_gone(), 0);
}
END_TEST

/* What may be read, or is protected again, does not go, whatever was seen before. */
START_TEST(a_disk_in_use_does_not_go)
{
	uint64_t now = clock_monotonic_ns(), lease;
	struct catalog *c = app.home.catalog;
	struct err e;

	ck_assert_int_eq(catalog_disk_remove(c, DISK, now, &e), -EAGAIN);
	end_protection();
	ck_assert_int_eq(catalog_lease_take(c, MACHINE, now + LEASE_NS, &lease, &e), 0);
	ck_assert_int_eq(catalog_disk_remove(c, DISK, now, &e), -EAGAIN);
	policy_round(&app, never, NULL);
	ck_assert_int_eq(count_disks(), 1);
	ck_assert_int_eq(catalog_lease_drop(c, lease, &e), 0);
	epoch_make(&app.home, &disk, 2, NULL, 0, true);
	ck_assert_int_eq(catalog_disk_remove(c, DISK, now, &e), -EAGAIN);
	ck_assert_int_eq(count_gone(), 0);
}
END_TEST

/* The machine's folder is removed as a whole then. */
START_TEST(removal_of_the_machine)
{
	struct err e;

	end_protection();
	policy_forget_disks(&app, MACHINE);
	ck_assert_int_eq(count_gone(), 1);
	ck_assert_int_eq(catalog_machine_remove(app.home.catalog, MACHINE, &e), 0);
	ck_assert_int_eq(count_gone(), 0);
}
END_TEST

static void open_epoch(const char *attempt, unsigned int status)
{
	struct request r = {.app = &app, .method = "POST", .path = "/v1/epochs"};
	char body[128];

	snprintf(body, sizeof(body), "{\"attempt\":\"%s\"}", attempt);
	strcpy(r.machine, MACHINE);
	r.body = body;
	r.len = strlen(body);
	api_epoch_open(&r);
	ck_assert_msg(r.reply.status == status, "%u %s", r.reply.status, r.reply.message);
	reply_clear(&r.reply);
}

/* Its files go while others' requests go on; a crash before that is made good at the next start. */
START_TEST(an_abandoned_epoch)
{
	static const char first[] = "00000000-0000-4000-8000-0000000000a1";
	static const char second[] = "00000000-0000-4000-8000-0000000000a2";
	struct live_machine *m = live_machine(app.live, MACHINE);
	struct live_disk *d = live_disk(app.live, MACHINE, DISK);
	char name[STORE_NAME_MAX];
	struct journal *j;
	struct err e;

	open_epoch(first, 201);
	ck_assert_int_eq(live_journal(m, d, 1, &j, &e), 0);
	open_epoch(first, 200);
	ck_assert_ptr_eq(d->journal, j);
	name_journal(name, MACHINE, DISK, 1);
	ck_assert(exists(name));
	cut_short = _i;
	open_epoch(second, 201);
	ck_assert_ptr_null(d->journal);
	ck_assert_uint_eq(files, !_i);
	ck_assert(exists(name) == _i);
	cut_short = false;
	ck_assert_int_eq(live_journal(m, d, 2, &j, &e), 0);
	ck_assert_int_eq(policy_recover(&app, &e), 0);
	ck_assert(!exists(name));
	ck_assert(exists(name_journal(name, MACHINE, DISK, 2)));
}
END_TEST

/* A segment, say, that had found disk and epoch before; of a machine that the catalog does not know nothing goes. */
START_TEST(a_request_that_is_later_than_the_removal)
{
	char name[STORE_NAME_MAX];
	struct err e;

	open_journal(OTHER_MACHINE, "00000000-0000-4000-8000-0000000000d2");
	open_journal(MACHINE, DISK);
	policy_round(&app, never, NULL);
	ck_assert(exists(name_disk(name, MACHINE, DISK)));
	ck_assert_int_eq(catalog_machine_remove(app.home.catalog, MACHINE, &e), 0);
	for (int i = 0; i < 3; i++) {
		policy_round(&app, never, NULL);
		ck_assert(!exists(name_machine(name, MACHINE)));
		ck_assert(exists(name_machine(name, OTHER_MACHINE)));
		open_journal(MACHINE, DISK);
		ck_assert(exists(name_machine(name, MACHINE)));
	}
}
END_TEST

static sem_t reading;

static void *query(void *arg)
{
	struct live_disk *live = live_disk(app.live, MACHINE, DISK);
	struct digest_cache *cache;
	struct err e;

	ck_assert_int_eq(live_read_begin(app.live, live, &e), 0);
	sem_post(&reading);
	usleep(300000);
	ck_assert_int_eq(digest_cache_open(app.home.store, MACHINE, DISK, true, &cache, &e), 0);
	digest_cache_close(cache);
	pthread_rwlock_unlock(&live->lock);
	return arg;
}

/* It has the disk's lock when the disk goes, and makes its cache after. */
START_TEST(a_query_that_is_later_than_the_removal)
{
	struct live_disk *live = live_disk(app.live, MACHINE, DISK);
	char name[STORE_NAME_MAX];
	pthread_t thread;
	struct err e;

	end_protection();
	sem_init(&reading, 0, 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, query, NULL), 0);
	sem_wait(&reading);
	policy_forget_disks(&app, MACHINE);
	policy_remove_data(&app, never, NULL);
	pthread_join(thread, NULL);
	ck_assert(!exists(name_disk(name, MACHINE, DISK)));
	ck_assert_int_eq(count_gone(), 0);
	ck_assert_int_eq(live_read_begin(app.live, live, &e), -ENOENT);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("forget");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_machine_that_was_removed);
	tcase_add_test(t, nobody_waits_for_a_disk_that_goes);
	tcase_add_loop_test(t, a_removal_that_was_cut_short, 0, 2);
	tcase_add_test(t, a_disk_in_use_does_not_go);
	tcase_add_test(t, removal_of_the_machine);
	tcase_add_loop_test(t, an_abandoned_epoch, 0, 2);
	tcase_add_test(t, a_request_that_is_later_than_the_removal);
	tcase_add_test(t, a_query_that_is_later_than_the_removal);
	return run_tcase("forget", t);
}
