/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "appliance/catalog_db.h"

#define SCHEMA_VERSION 4
#define BUSY_MS 20000

static const char schema[] =
	"CREATE TABLE machine ("
	" id TEXT PRIMARY KEY, hostname TEXT NOT NULL, enrolled INTEGER NOT NULL,"
	" used_epoch INTEGER NOT NULL DEFAULT 0, committed INTEGER NOT NULL DEFAULT 0,"
	" open_epoch INTEGER NOT NULL DEFAULT 0, open_attempt TEXT NOT NULL DEFAULT ''"
	") WITHOUT ROWID;"
	"CREATE TABLE token ("
	" digest BLOB PRIMARY KEY, expires INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0,"
	" key_digest BLOB, machine TEXT, certificate TEXT, certificate_expires INTEGER"
	") WITHOUT ROWID;"
	"CREATE TABLE disk ("
	" id TEXT PRIMARY KEY, machine TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL,"
	" size INTEGER NOT NULL, granule INTEGER NOT NULL, state INTEGER NOT NULL,"
	" replicated INTEGER NOT NULL, source TEXT NOT NULL DEFAULT '',"
	" epoch INTEGER NOT NULL DEFAULT 0, active INTEGER NOT NULL DEFAULT 1,"
	" base_epoch INTEGER NOT NULL DEFAULT 0, fold_target INTEGER NOT NULL DEFAULT 0,"
	" fold_block INTEGER NOT NULL DEFAULT 0, fold_active INTEGER NOT NULL DEFAULT 0,"
	" UNIQUE (machine, key)"
	") WITHOUT ROWID;"
	"CREATE TABLE epoch ("
	" machine TEXT NOT NULL, epoch INTEGER NOT NULL, attempt TEXT NOT NULL,"
	" body_digest BLOB NOT NULL, boundary INTEGER NOT NULL, committed_at INTEGER NOT NULL,"
	" consistency TEXT NOT NULL, reason TEXT NOT NULL, answer TEXT NOT NULL,"
	" PRIMARY KEY (machine, epoch)"
	") WITHOUT ROWID;"
	"CREATE TABLE journal ("
	" disk TEXT NOT NULL, epoch INTEGER NOT NULL, segments INTEGER NOT NULL,"
	" bytes INTEGER NOT NULL, PRIMARY KEY (disk, epoch)"
	") WITHOUT ROWID;"
	"CREATE TABLE point ("
	" machine TEXT NOT NULL, epoch INTEGER NOT NULL, time INTEGER NOT NULL,"
	" committed_at INTEGER NOT NULL, consistency TEXT NOT NULL, name TEXT NOT NULL,"
	" reason TEXT NOT NULL DEFAULT '', writers TEXT NOT NULL DEFAULT '',"
	" doubt TEXT NOT NULL DEFAULT '', PRIMARY KEY (machine, epoch)"
	") WITHOUT ROWID;"
	"CREATE TABLE point_disk ("
	" machine TEXT NOT NULL, epoch INTEGER NOT NULL, disk TEXT NOT NULL,"
	" size INTEGER NOT NULL, PRIMARY KEY (machine, epoch, disk)"
	") WITHOUT ROWID;"
	"CREATE INDEX point_disk_by_disk ON point_disk (disk);"
	"CREATE TABLE gone ("
	" disk TEXT PRIMARY KEY, machine TEXT NOT NULL, name TEXT NOT NULL"
	") WITHOUT ROWID;"
	"CREATE TABLE removed (machine TEXT PRIMARY KEY) WITHOUT ROWID;"
	"CREATE TABLE lease ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, machine TEXT NOT NULL, until INTEGER NOT NULL"
	");"
	"CREATE TABLE damage ("
	" disk TEXT NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,"
	" PRIMARY KEY (disk, offset, length)"
	") WITHOUT ROWID;"
	"PRAGMA user_version = 4;";

/* From each version to the next, from 1 on; all in one transaction. */
static const char *const upgrades[] = {
	("ALTER TABLE point ADD COLUMN reason TEXT NOT NULL DEFAULT '';"
	 "ALTER TABLE point ADD COLUMN writers TEXT NOT NULL DEFAULT '';"
	 "PRAGMA user_version = 2;"),
	("ALTER TABLE point ADD COLUMN doubt TEXT NOT NULL DEFAULT '';"
	 "CREATE INDEX point_disk_by_disk ON point_disk (disk);"
	 "CREATE TABLE gone ("
	 " disk TEXT PRIMARY KEY, machine TEXT NOT NULL, name TEXT NOT NULL"
	 ") WITHOUT ROWID;"
	 "PRAGMA user_version = 3;"),
	("CREATE TABLE removed (machine TEXT PRIMARY KEY) WITHOUT ROWID;"
	 "PRAGMA user_version = 4;"),
};

static int errno_of(int sqlite)
{
	switch (sqlite & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return -EACCES;
	default:
		return -EIO;
	}
}

static int db_fail(struct catalog *c, int sqlite, struct err *e)
{
	int rc = errno_of(sqlite);

	return err_set(e, rc, "the catalog failed: %s%s", sqlite3_errmsg(c->db),
		       rc == -EUCLEAN ? "; restore catalog.db, and machines/ with it, from a backup"
				      : "");
}

static int cached(struct catalog *c, const char *sql, sqlite3_stmt **st, struct err *e)
{
	size_t i;
	int rc;

	for (i = 0; i < CATALOG_STATEMENTS && c->cache[i].sql; i++) {
		if (c->cache[i].sql == sql) {
			*st = c->cache[i].st;
			return 0;
		}
	}
	if (i == CATALOG_STATEMENTS)
		return err_set(e, -ENOBUFS, "the catalog has too many statements");
	rc = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL);
	if (rc != SQLITE_OK)
		return db_fail(c, rc, e);
	c->cache[i].sql = sql;
	c->cache[i].st = *st;
	return 0;
}

static int bind_one(sqlite3_stmt *st, int at, char type, va_list *ap)
{
	const struct blob *b;
	const char *s;

	switch (type) {
	case 'i':
		return sqlite3_bind_int64(st, at, (sqlite3_int64)va_arg(*ap, uint64_t));
	case 's':
		s = va_arg(*ap, const char *);
		return sqlite3_bind_text(st, at, s, -1, SQLITE_TRANSIENT);
	case 'b':
		b = va_arg(*ap, const struct blob *);
		return sqlite3_bind_blob(st, at, b->data, (int)b->len, SQLITE_TRANSIENT);
	default:
		return SQLITE_MISUSE;
	}
}

static int db_vquery(struct catalog *c, sqlite3_stmt **st, struct err *e, const char *sql,
		     const char *types, va_list *ap)
{
	int rc = cached(c, sql, st, e);

	if (rc < 0)
		return rc;
	for (int i = 0; types[i]; i++) {
		rc = bind_one(*st, i + 1, types[i], ap);
		if (rc != SQLITE_OK)
			return db_fail(c, rc, e);
	}
	return 0;
}

int db_query(struct catalog *c, sqlite3_stmt **st, struct err *e, const char *sql,
	     const char *types, ...)
{
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = db_vquery(c, st, e, sql, types, &ap);
	va_end(ap);
	return rc;
}

int db_step(struct catalog *c, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : db_fail(c, rc, e);
}

int db_exec(struct catalog *c, struct err *e, const char *sql, const char *types, ...)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	va_list ap;
	int rc;

	va_start(ap, types);
	rc = db_vquery(c, &st, e, sql, types, &ap);
	va_end(ap);
	if (rc == 0)
		rc = db_step(c, st, e);
	return rc < 0 ? rc : sqlite3_changes(c->db);
}

int db_begin(struct catalog *c, struct err *e)
{
	int rc = db_exec(c, e, "BEGIN IMMEDIATE", "");

	return rc < 0 ? rc : 0;
}

int db_end(struct catalog *c, int rc, struct err *e)
{
	if (rc >= 0) {
		int end = db_exec(c, e, "COMMIT", "");

		if (end >= 0)
			return rc;
		rc = end;
	}
	if (!sqlite3_get_autocommit(c->db))
		db_exec(c, NULL, "ROLLBACK", "");
	return rc;
}

uint64_t db_u64(sqlite3_stmt *st, int column)
{
	return (uint64_t)sqlite3_column_int64(st, column);
}

void db_text(sqlite3_stmt *st, int column, char *out, size_t size)
{
	const char *s = (const char *)sqlite3_column_text(st, column);
	size_t len = s ? strlen(s) : 0;

	if (len >= size)
		len = size - 1;
	if (len)
		memcpy(out, s, len);
	out[len] = 0;
}

int db_collect(struct catalog *c, sqlite3_stmt *st, size_t element, db_row_fn read, void **list,
	       struct err *e)
{
	size_t n = 0, room = 16;
	char *all = calloc(room, element), *more;
	int rc;

	while (all && (rc = db_step(c, st, e)) > 0) {
		if (n == room) {
			more = reallocarray(all, room *= 2, element);
			if (!more) {
				free(all);
				all = NULL;
				break;
			}
			all = more;
		}
		memset(all + n * element, 0, element);
		read(st, all + n++ * element);
	}
	if (!all)
		return err_set(e, -ENOMEM, "out of memory");
	if (rc < 0) {
		free(all);
		return rc;
	}
	*list = all;
	return (int)n;
}

static int configure(struct catalog *c, struct err *e)
{
	int rc = sqlite3_exec(c->db,
			      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			      "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF;",
			      NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_fail(c, rc, e);
}

static int user_version(struct catalog *c, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "PRAGMA user_version", "");

	if (rc == 0)
		rc = db_step(c, st, e);
	return rc < 0 ? rc : sqlite3_column_int(st, 0);
}

/* In a transaction, whose end another process may have waited for that wanted to do the same. */
static int upgrade_locked(struct catalog *c, struct err *e)
{
	int version = user_version(c, e);

	for (; version > 0 && version < SCHEMA_VERSION; version++) {
		int rc = sqlite3_exec(c->db, upgrades[version - 1], NULL, NULL, NULL);

		if (rc != SQLITE_OK)
			return db_fail(c, rc, e);
	}
	return version < 0 ? version : 0;
}

static int upgrade(struct catalog *c, struct err *e)
{
	int rc = db_begin(c, e);

	if (rc == 0)
		rc = db_end(c, upgrade_locked(c, e), e);
	return rc < 0 ? err_prefix(e, "the catalog cannot be brought to format %d", SCHEMA_VERSION)
		      : 0;
}

/* All of it or nothing: an `init` that is cut here is run again. */
static int make_tables(struct catalog *c, struct err *e)
{
	int rc = db_begin(c, e);

	if (rc < 0)
		return rc;
	rc = user_version(c, e);
	/* Another process was first. */
	if (rc == 0 && sqlite3_exec(c->db, schema, NULL, NULL, NULL) != SQLITE_OK)
		rc = db_fail(c, sqlite3_extended_errcode(c->db), e);
	rc = db_end(c, rc, e);
	return rc < 0 ? rc : 0;
}

static int check_version(struct catalog *c, const char *path, bool create, struct err *e)
{
	int rc = user_version(c, e);

	if (rc < 0 || rc == SCHEMA_VERSION)
		return rc < 0 ? rc : 0;
	if (rc > 0 && rc < SCHEMA_VERSION)
		return upgrade(c, e);
	if (rc != 0 || !create)
		return err_set(
			e, -EPROTONOSUPPORT,
			"%s has the format %d, and this program knows %d: use the version of "
			"mobility-appliance that wrote it",
			path, rc, SCHEMA_VERSION);
	return make_tables(c, e);
}

/* Both connections are opened alike; create and the schema are the first one's. */
static int open_connection(const char *path, bool create, struct catalog **out, struct err *e)
{
	struct catalog *c = calloc(1, sizeof(*c));
	mode_t mask;
	int rc;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	catalog_batch_init(&c->batch);
	mask = umask(0077);
	rc = sqlite3_open_v2(path, &c->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
				     (create ? SQLITE_OPEN_CREATE : 0),
			     NULL);
	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(c->db, 1);
		sqlite3_busy_timeout(c->db, BUSY_MS);
		rc = configure(c, e);
		if (rc == 0)
			rc = check_version(c, path, create, e);
	} else {
		rc = err_set(e, errno_of(rc), "cannot open the catalog %s: %s", path,
			     c->db ? sqlite3_errmsg(c->db) : "out of memory");
	}
	umask(mask);
	if (rc < 0)
		catalog_close(c);
	else
		*out = c;
	return rc;
}

int catalog_open(const char *path, bool create, struct catalog **out, struct err *e)
{
	struct catalog *c;
	int rc = open_connection(path, create, &c, e);

	if (rc < 0)
		return rc;
	rc = open_connection(path, false, &c->reader, e);
	if (rc < 0)
		catalog_close(c);
	else
		*out = c;
	return rc;
}

void catalog_close(struct catalog *c)
{
	if (!c)
		return;
	catalog_close(c->reader);
	for (size_t i = 0; i < CATALOG_STATEMENTS && c->cache[i].sql; i++)
		sqlite3_finalize(c->cache[i].st);
	sqlite3_close(c->db);
	catalog_batch_clear(&c->batch);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
