/* SPDX-License-Identifier: Apache-2.0 */
/* A catalog of an older format is brought to this one, also by several processes at once. */
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/unit/appliance/helpers.h"

static void sql(sqlite3 *db, const char *text)
{
	ck_assert_msg(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK, "%s",
		      sqlite3_errmsg(db));
}

/* Opens it when the other end of `told` is closed; the status says whether it could. */
static pid_t open_in_child(const char *path, const int told[2])
{
	struct catalog *c;
	struct err e;
	char byte;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child)
		return child;
	close(told[1]);
	if (read(told[0], &byte, 1) != 0 || catalog_open(path, false, &c, &e) < 0)
		_exit(1);
	catalog_close(c);
	_exit(0);
}

/* All of them find format 1, and wait for a transaction to change that. */
START_TEST(upgrades_at_once)
{
	char path[512], *dir = scratch_make();
	int status, told[2];
	pid_t children[6];
	struct home home;
	sqlite3 *db;

	home_make(&home, dir);
	home_close(&home);
	snprintf(path, sizeof(path), "%s/catalog.db", dir);
	ck_assert_int_eq(pipe(told), 0);
	/* Before this process opens the file: what SQLite knows of it must not be theirs as well. */
	for (size_t i = 0; i < ARRAY_SIZE(children); i++)
		children[i] = open_in_child(path, told);
	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	sql(db,
	    "ALTER TABLE point DROP COLUMN reason; ALTER TABLE point DROP COLUMN writers;"
	    "ALTER TABLE point DROP COLUMN doubt; DROP INDEX point_disk_by_disk; DROP TABLE gone;"
	    "DROP TABLE removed;"
	    "PRAGMA user_version = 1; BEGIN IMMEDIATE");
	close(told[1]);
	usleep(500000);
	ck_assert_int_eq(waitpid(-1, &status, WNOHANG), 0);
	sql(db, "COMMIT");
	for (size_t i = 0; i < ARRAY_SIZE(children); i++) {
		ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	sqlite3_close(db);
	close(told[0]);
	scratch_remove(dir);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("catalog_upgrade");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, upgrades_at_once);
	return run_tcase("catalog_upgrade", t);
}
