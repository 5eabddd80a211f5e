/* SPDX-License-Identifier: Apache-2.0 */
/* How SQLite runs what the catalog asks: nothing that is asked of one machine or disk reads those of all others. */
/* wraps: sqlite3_prepare_v3 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "tests/unit/appliance/helpers.h"

#define STATEMENTS 200

int __real_sqlite3_prepare_v3(sqlite3 *db, const char *sql, int len, unsigned int flags,
			      sqlite3_stmt **st, const char **tail);
int __wrap_sqlite3_prepare_v3(sqlite3 *db, const char *sql, int len, unsigned int flags,
			      sqlite3_stmt **st, const char **tail);

static const char *asked[STATEMENTS];
static size_t count;
static struct home home;

int __wrap_sqlite3_prepare_v3(sqlite3 *db, const char *sql, int len, unsigned int flags,
			      sqlite3_stmt **st, const char **tail)
{
	ck_assert_uint_lt(count, STATEMENTS);
	asked[count++] = sql;
	return __real_sqlite3_prepare_v3(db, sql, len, flags, st, tail);
}

static void ask_of_machines(void)
{
	static const uint8_t digest[DIGEST_BYTES] = {1};
	struct catalog *c = home.catalog;
	struct machine_row m, *machines;
	struct token_row t;
	uint64_t lease;
	struct err e;

	ck_assert_int_eq(catalog_machine(c, MACHINE, &m, &e), 0);
	ck_assert_int_eq(catalog_machines(c, &machines, &e), 1);
	free(machines);
	catalog_token(c, digest, &t, &e);
	ck_assert_int_eq(catalog_tokens_expire(c, 1, &e), 0);
	ck_assert_int_eq(catalog_lease_take(c, MACHINE, 9, &lease, &e), 0);
	ck_assert_int_eq(catalog_lease_extend(c, lease, 1, 9, &e), 0);
	ck_assert_int_eq(catalog_leased(c, MACHINE, 1, &e), 1);
	ck_assert_int_eq(catalog_lease_drop(c, lease, &e), 0);
	ck_assert_int_eq(catalog_leases_expire(c, 1, 9, &e), 0);
}

static void ask_of_disks(void)
{
	static const struct damage_row damage = {0, 512};
	struct damage_row *damages;
	struct catalog *c = home.catalog;
	struct disk_row d, *disks;
	struct err e;

	ck_assert_int_eq(catalog_disk(c, DISK, &d, &e), 0);
	ck_assert_int_eq(catalog_disk_by_key(c, MACHINE, d.key, &d, &e), 0);
	ck_assert_int_eq(catalog_disks(c, MACHINE, true, &disks, &e), 1);
	free(disks);
	ck_assert_int_eq(catalog_disks(c, NULL, true, &disks, &e), 1);
	free(disks);
	ck_assert_int_eq(catalog_fold_begin(c, DISK, 1, 1, &e), 0);
	ck_assert_int_eq(catalog_fold_progress(c, DISK, 1, true, &e), 0);
	ck_assert_int_eq(catalog_fold_done(c, DISK, 1, &e), 0);
	ck_assert_int_eq(catalog_damage_add(c, DISK, 0, 512, &e), 0);
	ck_assert_int_eq(catalog_damage(c, DISK, &damages, &e), 1);
	free(damages);
	ck_assert_int_eq(catalog_damage_forget(c, DISK, &damage, 1, &e), 0);
}

static void ask_of_points(void)
{
	const uint64_t gone = 1;
	struct catalog *c = home.catalog;
	struct point_row p, *points;
	struct journal_row *journals;
	struct point_disk *disks;
	struct commit_row row;
	struct err e;
	char *text;

	ck_assert_int_eq(catalog_committed(c, MACHINE, 1, &row, &text, &e), 0);
	free(text);
	ck_assert_int_eq(catalog_points(c, MACHINE, 0, &points, &e), 1);
	free(points);
	ck_assert_int_eq(catalog_points(c, NULL, 0, &points, &e), 1);
	free(points);
	ck_assert_int_eq(catalog_point(c, MACHINE, 1, &p, &e), 0);
	ck_assert_int_eq(catalog_point_writers(c, MACHINE, 1, &text, &e), 0);
	free(text);
	ck_assert_int_eq(catalog_points_doubt(c, MACHINE, DISK, 0, "why", &e), 1);
	ck_assert_int_eq(catalog_point_disks(c, MACHINE, 1, &disks, &e), 1);
	free(disks);
	ck_assert_int_eq(catalog_disk_in_points(c, DISK, &e), 1);
	ck_assert_int_ge(catalog_journals(c, DISK, 1, &journals, &e), 0);
	free(journals);
	ck_assert_int_eq(catalog_points_remove(c, MACHINE, &gone, 1, &e), 0);
	ck_assert_int_eq(catalog_epochs_prune(c, MACHINE, 2, UINT32_MAX, &e), 0);
}

/* Lists of everything; and tables that have a row for each command that runs, token that waits, or disk that is being removed. */
static bool may_scan(const char *sql, const char *plan)
{
	bool of_all = strstr(sql, "ORDER BY machine") || strstr(sql, "ORDER BY enrolled");

	return (of_all && !strstr(sql, "machine =")) || !strcmp(plan, "SCAN lease") ||
	       !strcmp(plan, "SCAN token") || !strcmp(plan, "SCAN gone") ||
	       !strcmp(plan, "SCAN CONSTANT ROW");
}

static void check_plan(sqlite3 *db, const char *sql)
{
	_cleanup_free_ char *explain = NULL;
	sqlite3_stmt *st;

	ck_assert_int_gt(asprintf(&explain, "EXPLAIN QUERY PLAN %s", sql), 0);
	ck_assert_msg(sqlite3_prepare_v2(db, explain, -1, &st, NULL) == SQLITE_OK, "%s", sql);
	while (sqlite3_step(st) == SQLITE_ROW) {
		const char *plan = (const char *)sqlite3_column_text(st, 3);

		ck_assert_msg(strncmp(plan, "SCAN", 4) != 0 || may_scan(sql, plan), "%s: %s", sql,
			      plan);
	}
	sqlite3_finalize(st);
}

START_TEST(no_table_is_scanned)
{
	char path[512], *dir = scratch_make();
	struct part part = {0, 4096, NULL};
	struct gone_row *gone;
	struct disk_row disk;
	struct err e;
	sqlite3 *db;

	count = 0;
	home_make(&home, dir);
	machine_make(&home, MACHINE);
	disk_make(&home, DISK, 65536, &disk);
	epoch_make(&home, &disk, 1, &part, 1, true);
	ask_of_machines();
	ask_of_disks();
	ask_of_points();
	ck_assert_int_eq(catalog_disk_retire(home.catalog, DISK, &e), 0);
	disk.active = false;
	ck_assert_int_eq(catalog_disk_put(home.catalog, &disk, &e), 0);
	ck_assert_int_eq(catalog_disk_remove(home.catalog, DISK, 10, &e), 0);
	ck_assert_int_eq(catalog_gone(home.catalog, &gone, &e), 1);
	free(gone);
	ck_assert_int_eq(catalog_gone_forget(home.catalog, DISK, &e), 0);
	ck_assert_int_eq(catalog_machine_remove(home.catalog, MACHINE, &e), 0);
	snprintf(path, sizeof(path), "%s/catalog.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	for (size_t i = 0; i < count; i++)
		check_plan(db, asked[i]);
	sqlite3_close(db);
	home_close(&home);
	scratch_remove(dir);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("catalog_plans");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, no_table_is_scanned);
	return run_tcase("catalog_plans", t);
}
