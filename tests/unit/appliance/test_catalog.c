/* SPDX-License-Identifier: Apache-2.0 */
/* The catalog: commits are whole or not there, leases and folds keep each other out, also between processes. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/unit/appliance/helpers.h"

#define DISK2 "00000000-0000-4000-8000-0000000000d2"
#define ATTEMPT "11111111-0000-4000-8000-000000000001"

static char *dir;
static struct home home;
static struct disk_row disk;

static void setup(void)
{
	dir = scratch_make();
	home_make(&home, dir);
	machine_make(&home, MACHINE);
	disk_make(&home, DISK, 65536, &disk);
}

static void teardown(void)
{
	home_close(&home);
	scratch_remove(dir);
}

static void make_commit(struct commit_row *r, struct commit_disk *d, uint64_t epoch)
{
	*d = (struct commit_disk){.segments = 1, .bytes = 10, .size = 65536, .replicated = 65536};
	strcpy(d->disk, DISK);
	strcpy(d->source, "scan");
	d->state = DISK_PROTECTED;
	*r = (struct commit_row){.epoch = epoch, .boundary = 5, .committed_at = 6, .point = true};
	r->answer = "{\"answer\":1}";
	r->disks = d;
	r->disk_count = 1;
	strcpy(r->machine, MACHINE);
	strcpy(r->attempt, ATTEMPT);
	strcpy(r->consistency, "crash");
	strcpy(r->name, "name");
}

static uint64_t must_open(void)
{
	uint64_t epoch;
	struct err e;

	ck_assert_int_eq(catalog_epoch_open(home.catalog, MACHINE, ATTEMPT, &epoch, &e), 0);
	return epoch;
}

START_TEST(epochs_only_grow)
{
	struct machine_row m;
	struct err e;

	ck_assert_uint_eq(must_open(), 1);
	ck_assert_uint_eq(must_open(), 2);
	home_close(&home);
	home_make(&home, dir);
	ck_assert_uint_eq(must_open(), 3);
	ck_assert_int_eq(catalog_machine(home.catalog, MACHINE, &m, &e), 0);
	ck_assert_uint_eq(m.open_epoch, 3);
	ck_assert_uint_eq(m.committed, 0);
	ck_assert_str_eq(m.open_attempt, ATTEMPT);
}
END_TEST

START_TEST(commit)
{
	struct journal_row *journals;
	struct point_disk *disks;
	struct point_row *points;
	struct commit_disk d;
	struct commit_row r, old;
	struct machine_row m;
	struct disk_row row;
	struct err e;
	char *answer;

	make_commit(&r, &d, must_open());
	ck_assert_int_eq(catalog_committed(home.catalog, MACHINE, 1, &old, &answer, &e), -ENOENT);
	ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), 0);
	ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), -EEXIST);
	home_close(&home);
	home_make(&home, dir);
	ck_assert_int_eq(catalog_committed(home.catalog, MACHINE, 1, &old, &answer, &e), 0);
	ck_assert_str_eq(answer, r.answer);
	ck_assert_str_eq(old.attempt, ATTEMPT);
	free(answer);
	ck_assert_int_eq(catalog_machine(home.catalog, MACHINE, &m, &e), 0);
	ck_assert_uint_eq(m.committed, 1);
	ck_assert_uint_eq(m.open_epoch, 0);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &row, &e), 0);
	ck_assert_uint_eq(row.epoch, 1);
	ck_assert_str_eq(row.source, "scan");
	ck_assert_int_eq(row.state, DISK_PROTECTED);
	ck_assert_int_eq(catalog_journals(home.catalog, DISK, 9, &journals, &e), 1);
	ck_assert_uint_eq(journals[0].bytes, 10);
	free(journals);
	ck_assert_int_eq(catalog_points(home.catalog, MACHINE, 0, &points, &e), 1);
	ck_assert_str_eq(points[0].name, "name");
	free(points);
	ck_assert_int_eq(catalog_points(home.catalog, OTHER_MACHINE, 0, &points, &e), 0);
	free(points);
	ck_assert_int_eq(catalog_point_disks(home.catalog, MACHINE, 1, &disks, &e), 1);
	ck_assert_uint_eq(disks[0].size, 65536);
	free(disks);
}
END_TEST

/* One of the disks is not there: nothing of the commit is. */
START_TEST(half_a_commit_is_none)
{
	struct journal_row *journals;
	struct point_row *points;
	struct commit_disk d[2];
	struct commit_row r, old;
	struct machine_row m;
	struct err e;
	char *answer;

	make_commit(&r, &d[0], must_open());
	d[1] = d[0];
	strcpy(d[1].disk, DISK2);
	r.disks = d;
	r.disk_count = 2;
	ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), -ENOENT);
	ck_assert_int_eq(catalog_machine(home.catalog, MACHINE, &m, &e), 0);
	ck_assert_uint_eq(m.open_epoch, 1);
	ck_assert_uint_eq(m.committed, 0);
	ck_assert_int_eq(catalog_journals(home.catalog, DISK, 9, &journals, &e), 0);
	free(journals);
	ck_assert_int_eq(catalog_points(home.catalog, NULL, 0, &points, &e), 0);
	free(points);
	ck_assert_int_eq(catalog_committed(home.catalog, MACHINE, 1, &old, &answer, &e), -ENOENT);
	r.disk_count = 1;
	ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), 0);
}
END_TEST

/* Points after an epoch that have the disk; the first reason stays. */
START_TEST(points_in_doubt)
{
	struct point_row *points;
	struct commit_disk d;
	struct commit_row r;
	struct err e;

	disk_make(&home, DISK2, 65536, &disk);
	for (int i = 0; i < 4; i++) {
		make_commit(&r, &d, must_open());
		if (i == 2)
			strcpy(d.disk, DISK2);
		ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), 0);
	}
	ck_assert_int_eq(catalog_points_doubt(home.catalog, OTHER_MACHINE, DISK, 0, "no", &e), 0);
	ck_assert_int_eq(catalog_points_doubt(home.catalog, MACHINE, DISK, 1, "why", &e), 2);
	ck_assert_int_eq(catalog_points_doubt(home.catalog, MACHINE, DISK, 0, "again", &e), 1);
	home_close(&home);
	home_make(&home, dir);
	ck_assert_int_eq(catalog_points(home.catalog, MACHINE, 0, &points, &e), 4);
	ck_assert_str_eq(points[0].doubt, "why");
	ck_assert_str_eq(points[1].doubt, "");
	ck_assert_str_eq(points[2].doubt, "why");
	ck_assert_str_eq(points[3].doubt, "again");
	free(points);
}
END_TEST

START_TEST(only_the_open_epoch)
{
	struct commit_disk d;
	struct commit_row r;
	struct err e;

	make_commit(&r, &d, must_open());
	must_open();
	ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), -EEXIST);
	r.epoch = 2;
	strcpy(r.attempt, "another");
	ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), -EEXIST);
	strcpy(r.attempt, ATTEMPT);
	ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), 0);
}
END_TEST

START_TEST(leases)
{
	struct disk_row row;
	uint64_t lease;
	struct err e;

	ck_assert_int_eq(catalog_leased(home.catalog, MACHINE, 100, &e), 0);
	ck_assert_int_eq(catalog_lease_take(home.catalog, MACHINE, 200, &lease, &e), 0);
	ck_assert_int_eq(catalog_leased(home.catalog, MACHINE, 100, &e), 1);
	ck_assert_int_eq(catalog_leased(home.catalog, OTHER_MACHINE, 100, &e), 0);
	ck_assert_int_eq(catalog_fold_begin(home.catalog, DISK, 1, 100, &e), -EAGAIN);
	ck_assert_int_eq(catalog_lease_extend(home.catalog, lease, 150, 300, &e), 0);
	ck_assert_int_eq(catalog_leased(home.catalog, MACHINE, 250, &e), 1);
	/* It ran out: from then on it cannot be had back, whether or not its row is gone. */
	ck_assert_int_eq(catalog_fold_begin(home.catalog, DISK, 7, 301, &e), 0);
	ck_assert_int_eq(catalog_lease_extend(home.catalog, lease, 302, 400, &e), -ENOENT);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &row, &e), 0);
	ck_assert_uint_eq(row.fold_target, 7);
	ck_assert(row.fold_active);
	ck_assert_int_eq(catalog_leases_expire(home.catalog, 301, 10000, &e), 0);
	ck_assert_int_eq(catalog_lease_drop(home.catalog, lease, &e), 0);
}
END_TEST

START_TEST(folds_go_on_where_they_were)
{
	struct disk_row row;
	struct err e;

	ck_assert_int_eq(catalog_fold_begin(home.catalog, DISK, 7, 1, &e), 0);
	ck_assert_int_eq(catalog_fold_progress(home.catalog, DISK, 33, false, &e), 0);
	ck_assert_int_eq(catalog_fold_begin(home.catalog, DISK, 7, 1, &e), 0);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &row, &e), 0);
	ck_assert_uint_eq(row.fold_block, 33);
	ck_assert_int_eq(catalog_fold_begin(home.catalog, DISK, 8, 1, &e), 0);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &row, &e), 0);
	ck_assert_uint_eq(row.fold_block, 0);
	ck_assert_int_eq(catalog_fold_done(home.catalog, DISK, 8, &e), 0);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &row, &e), 0);
	ck_assert_uint_eq(row.base_epoch, 8);
	ck_assert_uint_eq(row.fold_target, 0);
	ck_assert(!row.fold_active);
}
END_TEST

START_TEST(removing_a_machine)
{
	struct machine_row m;
	struct disk_row *disks;
	struct commit_disk d;
	struct commit_row r;
	struct err e;

	machine_make(&home, OTHER_MACHINE);
	make_commit(&r, &d, must_open());
	ck_assert_int_eq(catalog_commit(home.catalog, &r, &e), 0);
	ck_assert_int_eq(catalog_machine_remove(home.catalog, MACHINE, &e), 0);
	ck_assert_int_eq(catalog_machine(home.catalog, MACHINE, &m, &e), -ENOENT);
	ck_assert_int_eq(catalog_disks(home.catalog, NULL, false, &disks, &e), 0);
	free(disks);
	ck_assert_int_eq(catalog_machine(home.catalog, OTHER_MACHINE, &m, &e), 0);
	ck_assert_int_eq(catalog_machine_remove(home.catalog, MACHINE, &e), -ENOENT);
}
END_TEST

#define OPENS 40

static void *open_many(void *arg)
{
	uint64_t *numbers = arg;

	for (int i = 0; i < OPENS; i++)
		numbers[i] = must_open();
	return NULL;
}

/* Two threads here and another process: no number is ever given twice. */
START_TEST(many_at_once)
{
	uint64_t a[OPENS], b[OPENS];
	pthread_t one, two;
	struct machine_row m;
	struct err e;
	pid_t child;
	int status;

	home_close(&home);
	child = fork();
	ck_assert_int_ge(child, 0);
	home_make(&home, dir);
	if (child == 0) {
		open_many(a);
		home_close(&home);
		_exit(0);
	}
	pthread_create(&one, NULL, open_many, a);
	pthread_create(&two, NULL, open_many, b);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(catalog_machine(home.catalog, MACHINE, &m, &e), 0);
	ck_assert_uint_eq(m.used_epoch, 3 * OPENS);
	for (int i = 0; i < OPENS; i++) {
		for (int k = 0; k < OPENS; k++)
			ck_assert_uint_ne(a[i], b[k]);
	}
}
END_TEST

struct committer {
	pthread_t thread;
	char machine[UUID_TEXT_BYTES], disk[UUID_TEXT_BYTES];
	bool wrong;
	unsigned int done, refused;
};

/* Commits of its own machine; the wrong one names an epoch that is not open. */
static void *commit_many(void *arg)
{
	struct committer *w = arg;

	for (unsigned int i = 0; i < 20; i++) {
		struct commit_row r;
		struct commit_disk d;
		uint64_t epoch;
		struct err e;

		if (catalog_epoch_open(home.catalog, w->machine, ATTEMPT, &epoch, &e) < 0)
			continue;
		make_commit(&r, &d, w->wrong ? epoch + 1 : epoch);
		strcpy(r.machine, w->machine);
		strcpy(d.disk, w->disk);
		switch (catalog_commit(home.catalog, &r, &e)) {
		case 0:
			w->done++;
			break;
		case -EEXIST:
			w->refused++;
			break;
		}
	}
	return NULL;
}

/* Commits that share a transaction: each is whole, and one that is refused takes no other with it. */
START_TEST(commits_together)
{
	struct committer w[8] = {0};
	struct err e;

	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++) {
		struct disk_row d = disk;

		sprintf(w[i].machine, "00000000-0000-4000-8000-0000000001%02x", i);
		sprintf(w[i].disk, "00000000-0000-4000-8000-0000000002%02x", i);
		w[i].wrong = i % 4 == 3;
		machine_make(&home, w[i].machine);
		strcpy(d.id, w[i].disk);
		strcpy(d.machine, w[i].machine);
		ck_assert_int_eq(catalog_disk_put(home.catalog, &d, &e), 0);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++)
		ck_assert_int_eq(pthread_create(&w[i].thread, NULL, commit_many, &w[i]), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++)
		pthread_join(w[i].thread, NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(w); i++) {
		struct journal_row *journals;
		struct machine_row m;

		ck_assert_uint_eq(w[i].done, w[i].wrong ? 0 : 20);
		ck_assert_uint_eq(w[i].refused, w[i].wrong ? 20 : 0);
		ck_assert_int_eq(catalog_journals(home.catalog, w[i].disk, UINT64_MAX, &journals,
						  &e),
				 (int)w[i].done);
		free(journals);
		ck_assert_int_eq(catalog_machine(home.catalog, w[i].machine, &m, &e), 0);
		ck_assert_uint_eq(m.used_epoch, 20);
		ck_assert_uint_eq(m.committed, w[i].wrong ? 0 : 20);
	}
}
END_TEST

START_TEST(damaged_file)
{
	char path[512];
	struct catalog *c;
	struct err e;
	FILE *f;

	snprintf(path, sizeof(path), "%s/other.db", dir);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 5000; i++)
		fputs("not a database ", f);
	fclose(f);
	ck_assert_int_eq(catalog_open(path, false, &c, &e), -EUCLEAN);
	snprintf(path, sizeof(path), "%s/none.db", dir);
	ck_assert_int_lt(catalog_open(path, false, &c, &e), 0);
}
END_TEST

/* A store without space for all of it has none of it: `init` is run again when there is some. */
START_TEST(made_as_a_whole)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
	unsigned int failed = 0;
	char path[512];
	int rc = -1;

	signal(SIGXFSZ, SIG_IGN);
	for (rlim_t room = 4096; rc < 0; room += 4096) {
		const struct rlimit some = {room, RLIM_INFINITY};
		struct catalog *c;
		struct err e;

		snprintf(path, sizeof(path), "%s/cut-%u.db", dir, failed);
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &some), 0);
		rc = catalog_open(path, true, &c, &e);
		ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
		if (rc == 0)
			catalog_close(c);
		else
			failed++;
		ck_assert_msg(catalog_open(path, true, &c, &e) == 0, "%u KiB: %s",
			      (unsigned int)(room >> 10), e.text);
		catalog_close(c);
	}
	ck_assert_uint_gt(failed, 4);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("catalog");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, epochs_only_grow);
	tcase_add_test(t, commit);
	tcase_add_test(t, half_a_commit_is_none);
	tcase_add_test(t, points_in_doubt);
	tcase_add_test(t, only_the_open_epoch);
	tcase_add_test(t, leases);
	tcase_add_test(t, folds_go_on_where_they_were);
	tcase_add_test(t, removing_a_machine);
	tcase_add_test(t, many_at_once);
	tcase_add_test(t, commits_together);
	tcase_add_test(t, damaged_file);
	tcase_add_test(t, made_as_a_whole);
	return run_tcase("catalog", t);
}
