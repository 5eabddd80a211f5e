/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of disks, of their folding and of their known damage. */
#include <errno.h>
#include <string.h>

#include "appliance/catalog_db.h"

#define DISK_COLUMNS                                                                               \
	"id, machine, key, name, source, size, granule, replicated, state, epoch, active,"         \
	" base_epoch, fold_target, fold_block, fold_active FROM disk "

static const char *const state_names[] = {"initial", "resync", "protected"};

const char *disk_state_name(enum disk_state s)
{
	return state_names[s];
}

int disk_state_parse(const char *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(state_names); i++) {
		if (!strcmp(s, state_names[i]))
			return (int)i;
	}
	return -EINVAL;
}

static void read_disk(sqlite3_stmt *st, void *element)
{
	struct disk_row *d = element;

	db_text(st, 0, d->id, sizeof(d->id));
	db_text(st, 1, d->machine, sizeof(d->machine));
	db_text(st, 2, d->key, sizeof(d->key));
	db_text(st, 3, d->name, sizeof(d->name));
	db_text(st, 4, d->source, sizeof(d->source));
	d->size = db_u64(st, 5);
	d->granule = db_u64(st, 6);
	d->replicated = db_u64(st, 7);
	d->state = (enum disk_state)(db_u64(st, 8) % ARRAY_SIZE(state_names));
	d->epoch = db_u64(st, 9);
	d->active = db_u64(st, 10) != 0;
	d->base_epoch = db_u64(st, 11);
	d->fold_target = db_u64(st, 12);
	d->fold_block = db_u64(st, 13);
	d->fold_active = db_u64(st, 14) != 0;
}

static int one_disk(struct catalog *c, sqlite3_stmt *st, int rc, struct disk_row *d, struct err *e)
{
	if (rc == 0)
		rc = db_step(c, st, e);
	if (rc == 0)
		return err_set(e, -ENOENT, "there is no such disk");
	if (rc > 0)
		read_disk(st, d);
	return rc < 0 ? rc : 0;
}

int catalog_disk(struct catalog *c, const char *id, struct disk_row *d, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT " DISK_COLUMNS "WHERE id = ?", "s", id);

	return one_disk(c, st, rc, d, e);
}

int catalog_disk_by_key(struct catalog *c, const char *machine, const char *key, struct disk_row *d,
			struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT " DISK_COLUMNS "WHERE machine = ? AND key = ?", "ss",
			  machine, key);

	return one_disk(c, st, rc, d, e);
}

int catalog_disks(struct catalog *c, const char *machine, bool active_only, struct disk_row **list,
		  struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	/* Two statements: with one that leaves the machine open, SQLite reads all disks. */
	int rc = machine ? db_query(c, &st, e,
				    "SELECT " DISK_COLUMNS "WHERE machine = ? AND active >= ?"
				    " ORDER BY name, id",
				    "si", machine, (uint64_t)active_only)
			 : db_query(c, &st, e,
				    "SELECT " DISK_COLUMNS "WHERE active >= ?"
				    " ORDER BY machine, name, id",
				    "i", (uint64_t)active_only);

	return rc < 0 ? rc : db_collect(c, st, sizeof(**list), read_disk, (void **)list, e);
}

int catalog_disk_put(struct catalog *c, const struct disk_row *d, struct err *e)
{
	CATALOG_GUARD(c);
	/* `remove` may have come since the request began: a disk of no machine could never be removed again. */
	int rc = db_exec(
		c, e,
		"INSERT INTO disk (id, machine, key, name, size, granule, state, replicated,"
		" active) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
		" WHERE EXISTS (SELECT 1 FROM machine WHERE id = ?2) ON CONFLICT (id) DO"
		" UPDATE SET name = ?4, size = ?5, granule = ?6, state = ?7, replicated = ?8,"
		" active = ?9",
		"ssssiiiii", d->id, d->machine, d->key, d->name, d->size, d->granule,
		(uint64_t)d->state, d->replicated, (uint64_t)d->active);

	if (rc == 0)
		return err_set(e, -ENOENT, "there is no machine %s", d->machine);
	return rc < 0 ? rc : 0;
}

int catalog_disk_retire(struct catalog *c, const char *id, struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e, "UPDATE disk SET key = 'retired:' || id WHERE id = ?", "s", id);

	return rc < 0 ? rc : 0;
}

static int remove_disk(struct catalog *c, const char *id, uint64_t now, struct err *e)
{
	/* One statement, so that neither a lease nor a point can come between the look and the change. */
	int rc = db_exec(c, e,
			 "INSERT INTO gone (disk, machine, name) SELECT id, machine, name FROM disk"
			 " WHERE id = ?1 AND active = 0"
			 " AND NOT EXISTS (SELECT 1 FROM point_disk WHERE disk = ?1)"
			 " AND NOT EXISTS (SELECT 1 FROM lease"
			 "  WHERE lease.machine = disk.machine AND until > ?2)",
			 "si", id, now);

	if (rc == 0)
		return err_set(e, -EAGAIN, "the disk is in use");
	if (rc > 0)
		rc = db_exec(c, e, "DELETE FROM journal WHERE disk = ?", "s", id);
	if (rc >= 0)
		rc = db_exec(c, e, "DELETE FROM damage WHERE disk = ?", "s", id);
	if (rc >= 0)
		rc = db_exec(c, e, "DELETE FROM disk WHERE id = ?", "s", id);
	return rc;
}

int catalog_disk_remove(struct catalog *c, const char *id, uint64_t now, struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_begin(c, e);

	if (rc < 0)
		return rc;
	rc = db_end(c, remove_disk(c, id, now, e), e);
	return rc < 0 ? rc : 0;
}

static void read_gone(sqlite3_stmt *st, void *element)
{
	struct gone_row *g = element;

	db_text(st, 0, g->disk, sizeof(g->disk));
	db_text(st, 1, g->machine, sizeof(g->machine));
	db_text(st, 2, g->name, sizeof(g->name));
}

int catalog_gone(struct catalog *c, struct gone_row **list, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT disk, machine, name FROM gone ORDER BY machine, disk",
			  "");

	return rc < 0 ? rc : db_collect(c, st, sizeof(**list), read_gone, (void **)list, e);
}

int catalog_gone_forget(struct catalog *c, const char *disk, struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e, "DELETE FROM gone WHERE disk = ?", "s", disk);

	return rc < 0 ? rc : 0;
}

int catalog_fold_begin(struct catalog *c, const char *disk, uint64_t target, uint64_t now,
		       struct err *e)
{
	CATALOG_GUARD(c);
	/* One statement, so that no lease can come between the look and the mark. */
	int rc = db_exec(c, e,
			 "UPDATE disk SET fold_target = ?1, fold_active = 1,"
			 " fold_block = CASE fold_target WHEN ?1 THEN fold_block ELSE 0 END"
			 " WHERE id = ?2 AND NOT EXISTS (SELECT 1 FROM lease"
			 "  WHERE lease.machine = disk.machine AND until > ?3)",
			 "isi", target, disk, now);

	if (rc == 0)
		return err_set(e, -EAGAIN, "the disk's recovery points are being read");
	return rc < 0 ? rc : 0;
}

int catalog_fold_progress(struct catalog *c, const char *disk, uint64_t block, bool active,
			  struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e, "UPDATE disk SET fold_block = ?, fold_active = ? WHERE id = ?",
			 "iis", block, (uint64_t)active, disk);

	return rc < 0 ? rc : 0;
}

int catalog_fold_done(struct catalog *c, const char *disk, uint64_t target, struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_begin(c, e);

	if (rc < 0)
		return rc;
	rc = db_exec(c, e, "DELETE FROM journal WHERE disk = ? AND epoch <= ?", "si", disk, target);
	if (rc >= 0)
		rc = db_exec(c, e,
			     "UPDATE disk SET base_epoch = ?, fold_target = 0, fold_block = 0,"
			     " fold_active = 0 WHERE id = ?",
			     "is", target, disk);
	rc = db_end(c, rc, e);
	return rc < 0 ? rc : 0;
}

static void read_damage(sqlite3_stmt *st, void *element)
{
	struct damage_row *d = element;

	d->offset = db_u64(st, 0);
	d->length = db_u64(st, 1);
}

int catalog_damage_add(struct catalog *c, const char *disk, uint64_t offset, uint64_t length,
		       struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e,
			 "INSERT OR IGNORE INTO damage (disk, offset, length) VALUES (?, ?, ?)",
			 "sii", disk, offset, length);

	return rc < 0 ? rc : 0;
}

int catalog_damage(struct catalog *c, const char *disk, struct damage_row **list, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc =
		db_query(c, &st, e,
			 "SELECT offset, length FROM damage WHERE disk = ? ORDER BY offset, length",
			 "s", disk);

	return rc < 0 ? rc : db_collect(c, st, sizeof(**list), read_damage, (void **)list, e);
}

int catalog_damage_forget(struct catalog *c, const char *disk, const struct damage_row *list,
			  size_t n, struct err *e)
{
	CATALOG_GUARD(c);
	int rc = n ? db_begin(c, e) : 0;

	if (rc < 0 || n == 0)
		return rc;
	for (size_t i = 0; rc >= 0 && i < n; i++)
		rc = db_exec(c, e,
			     "DELETE FROM damage WHERE disk = ? AND offset = ? AND length = ?",
			     "sii", disk, list[i].offset, list[i].length);
	rc = db_end(c, rc, e);
	return rc < 0 ? rc : 0;
}
