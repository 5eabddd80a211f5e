/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of epochs, journals, recovery points and leases. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/catalog_db.h"

struct opening {
	const char *machine, *attempt;
	uint64_t *epoch;
};

static int open_next(struct catalog *c, void *arg, struct err *e)
{
	const struct opening *o = arg;
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e,
			  "UPDATE machine SET used_epoch = used_epoch + 1,"
			  " open_epoch = used_epoch + 1, open_attempt = ? WHERE id = ?"
			  " RETURNING open_epoch",
			  "ss", o->attempt, o->machine);

	if (rc == 0)
		rc = db_step(c, st, e);
	if (rc == 0)
		return err_set(e, -ENOENT, "there is no machine %s", o->machine);
	if (rc < 0)
		return rc;
	*o->epoch = db_u64(st, 0);
	/* The change is made only when the statement has run to its end. */
	return db_step(c, st, e);
}

int catalog_epoch_open(struct catalog *c, const char *machine, const char *attempt, uint64_t *epoch,
		       struct err *e)
{
	struct opening o = {machine, attempt, epoch};

	return catalog_batch(c, open_next, &o, e);
}

static int put_disk(struct catalog *c, const struct commit_row *r, const struct commit_disk *d,
		    struct err *e)
{
	int rc = db_exec(c, e,
			 "UPDATE disk SET state = ?, replicated = ?, source = ?, epoch = ?"
			 " WHERE id = ? AND machine = ?",
			 "iisiss", (uint64_t)d->state, d->replicated, d->source, r->epoch, d->disk,
			 r->machine);

	if (rc == 0)
		return err_set(e, -ENOENT, "there is no disk %s", d->disk);
	if (rc > 0 && d->segments)
		rc = db_exec(c, e,
			     "INSERT INTO journal (disk, epoch, segments, bytes)"
			     " VALUES (?, ?, ?, ?)",
			     "siii", d->disk, r->epoch, d->segments, d->bytes);
	if (rc >= 0 && r->point)
		rc = db_exec(c, e,
			     "INSERT INTO point_disk (machine, epoch, disk, size)"
			     " VALUES (?, ?, ?, ?)",
			     "sisi", r->machine, r->epoch, d->disk, d->size);
	return rc;
}

static int put_epoch(struct catalog *c, const struct commit_row *r, struct err *e)
{
	struct blob digest = {r->body_digest, DIGEST_BYTES};
	int rc = db_exec(c, e,
			 "UPDATE machine SET committed = open_epoch, open_epoch = 0,"
			 " open_attempt = '' WHERE id = ? AND open_epoch = ? AND open_attempt = ?",
			 "sis", r->machine, r->epoch, r->attempt);

	if (rc == 0)
		return err_set(e, -EEXIST, "epoch %llu is not the open one",
			       (unsigned long long)r->epoch);
	if (rc > 0)
		rc = db_exec(c, e,
			     "INSERT INTO epoch (machine, epoch, attempt, body_digest, boundary,"
			     " committed_at, consistency, reason, answer)"
			     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			     "sisbiisss", r->machine, r->epoch, r->attempt, &digest, r->boundary,
			     r->committed_at, r->consistency, r->reason, r->answer);
	if (rc >= 0 && r->point)
		rc = db_exec(c, e,
			     "INSERT INTO point (machine, epoch, time, committed_at, consistency,"
			     " name, reason, writers) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			     "siiissss", r->machine, r->epoch, r->boundary, r->committed_at,
			     r->consistency, r->name, r->reason, r->writers ? r->writers : "");
	return rc;
}

static int put_commit(struct catalog *c, void *arg, struct err *e)
{
	const struct commit_row *r = arg;
	int rc = put_epoch(c, r, e);

	for (size_t i = 0; rc >= 0 && i < r->disk_count; i++)
		rc = put_disk(c, r, &r->disks[i], e);
	return rc;
}

int catalog_commit(struct catalog *c, const struct commit_row *r, struct err *e)
{
	return catalog_batch(c, put_commit, (void *)r, e);
}

int catalog_committed(struct catalog *c, const char *machine, uint64_t epoch, struct commit_row *r,
		      char **answer, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e,
			  "SELECT attempt, body_digest, answer FROM epoch"
			  " WHERE machine = ? AND epoch = ?",
			  "si", machine, epoch);
	const char *text;

	if (rc == 0)
		rc = db_step(c, st, e);
	if (rc == 0)
		return err_set(e, -ENOENT, "epoch %llu was not committed",
			       (unsigned long long)epoch);
	if (rc < 0)
		return rc;
	*r = (struct commit_row){.epoch = epoch};
	db_text(st, 0, r->attempt, sizeof(r->attempt));
	if (sqlite3_column_bytes(st, 1) == DIGEST_BYTES)
		memcpy(r->body_digest, sqlite3_column_blob(st, 1), DIGEST_BYTES);
	text = (const char *)sqlite3_column_text(st, 2);
	*answer = text ? strdup(text) : NULL;
	return *answer ? 0 : err_set(e, -ENOMEM, "out of memory");
}

#define POINT_COLUMNS                                                                              \
	"machine, epoch, time, committed_at, consistency, name, reason, doubt FROM point "

static void read_point(sqlite3_stmt *st, void *element)
{
	struct point_row *p = element;

	db_text(st, 0, p->machine, sizeof(p->machine));
	p->epoch = db_u64(st, 1);
	p->time = db_u64(st, 2);
	p->committed_at = db_u64(st, 3);
	db_text(st, 4, p->consistency, sizeof(p->consistency));
	db_text(st, 5, p->name, sizeof(p->name));
	db_text(st, 6, p->reason, sizeof(p->reason));
	db_text(st, 7, p->doubt, sizeof(p->doubt));
}

int catalog_points(struct catalog *c, const char *machine, size_t limit, struct point_row **list,
		   struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	uint64_t most = limit ? limit : INT64_MAX;
	/* Two statements: with one that leaves the machine open, SQLite reads and sorts all points. */
	int rc = machine ? db_query(c, &st, e,
				    "SELECT " POINT_COLUMNS "WHERE machine = ?"
				    " ORDER BY epoch DESC LIMIT ?",
				    "si", machine, most)
			 : db_query(c, &st, e,
				    "SELECT " POINT_COLUMNS "ORDER BY machine, epoch DESC LIMIT ?",
				    "i", most);

	return rc < 0 ? rc : db_collect(c, st, sizeof(**list), read_point, (void **)list, e);
}

int catalog_point(struct catalog *c, const char *machine, uint64_t epoch, struct point_row *p,
		  struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT " POINT_COLUMNS "WHERE machine = ? AND epoch = ?",
			  "si", machine, epoch);

	if (rc == 0)
		rc = db_step(c, st, e);
	if (rc == 0)
		return err_set(e, -ENOENT,
			       "there is no recovery point %llu of this machine, or it has expired",
			       (unsigned long long)epoch);
	if (rc > 0)
		read_point(st, p);
	return rc < 0 ? rc : 0;
}

int catalog_points_doubt(struct catalog *c, const char *machine, const char *disk, uint64_t epoch,
			 const char *why, struct err *e)
{
	CATALOG_GUARD(c);

	return db_exec(c, e,
		       "UPDATE point SET doubt = ? WHERE machine = ? AND epoch > ? AND doubt = ''"
		       " AND EXISTS (SELECT 1 FROM point_disk p WHERE p.machine = point.machine"
		       " AND p.epoch = point.epoch AND p.disk = ?)",
		       "ssis", why, machine, epoch, disk);
}

int catalog_point_writers(struct catalog *c, const char *machine, uint64_t epoch, char **text,
			  struct err *e)
{
	CATALOG_GUARD(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT writers FROM point WHERE machine = ? AND epoch = ?",
			  "si", machine, epoch);
	const char *found;

	if (rc == 0)
		rc = db_step(c, st, e);
	if (rc < 0)
		return rc;
	found = rc > 0 ? (const char *)sqlite3_column_text(st, 0) : NULL;
	*text = strdup(found ? found : "");
	return *text ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static void read_point_disk(sqlite3_stmt *st, void *element)
{
	struct point_disk *d = element;

	db_text(st, 0, d->disk, sizeof(d->disk));
	d->size = db_u64(st, 1);
	db_text(st, 2, d->name, sizeof(d->name));
}

int catalog_point_disks(struct catalog *c, const char *machine, uint64_t epoch,
			struct point_disk **list, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(
		c, &st, e,
		"SELECT p.disk, p.size, d.name FROM point_disk p JOIN disk d ON d.id = p.disk"
		" WHERE p.machine = ? AND p.epoch = ? ORDER BY d.name, d.id",
		"si", machine, epoch);

	return rc < 0 ? rc : db_collect(c, st, sizeof(**list), read_point_disk, (void **)list, e);
}

int catalog_disk_in_points(struct catalog *c, const char *disk, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT 1 FROM point_disk WHERE disk = ? LIMIT 1", "s", disk);

	return rc < 0 ? rc : db_step(c, st, e);
}

int catalog_points_remove(struct catalog *c, const char *machine, const uint64_t *epochs, size_t n,
			  struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_begin(c, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc >= 0 && i < n; i++) {
		rc = db_exec(c, e, "DELETE FROM point WHERE machine = ? AND epoch = ?", "si",
			     machine, epochs[i]);
		if (rc >= 0)
			rc = db_exec(c, e, "DELETE FROM point_disk WHERE machine = ? AND epoch = ?",
				     "si", machine, epochs[i]);
	}
	rc = db_end(c, rc, e);
	return rc < 0 ? rc : 0;
}

static void read_journal(sqlite3_stmt *st, void *element)
{
	struct journal_row *j = element;

	j->epoch = db_u64(st, 0);
	j->segments = db_u64(st, 1);
	j->bytes = db_u64(st, 2);
}

/* Of epochs after one and up to another. */
static int journals_between(struct catalog *c, const char *disk, uint64_t after, uint64_t up_to,
			    struct journal_row **list, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e,
			  "SELECT epoch, segments, bytes FROM journal WHERE disk = ? AND epoch > ?"
			  " AND epoch <= ? ORDER BY epoch",
			  "sii", disk, after, up_to > INT64_MAX ? (uint64_t)INT64_MAX : up_to);

	return rc < 0 ? rc : db_collect(c, st, sizeof(**list), read_journal, (void **)list, e);
}

int catalog_journals(struct catalog *c, const char *disk, uint64_t up_to, struct journal_row **list,
		     struct err *e)
{
	return journals_between(c, disk, 0, up_to, list, e);
}

int catalog_journals_after(struct catalog *c, const char *disk, uint64_t epoch,
			   struct journal_row **list, struct err *e)
{
	return journals_between(c, disk, epoch, INT64_MAX, list, e);
}

int catalog_epochs_prune(struct catalog *c, const char *machine, uint64_t epoch, uint64_t before,
			 struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e,
			 "DELETE FROM epoch WHERE machine = ? AND epoch < ? AND committed_at < ?",
			 "sii", machine, epoch, before);

	return rc < 0 ? rc : 0;
}

int catalog_lease_take(struct catalog *c, const char *machine, uint64_t until, uint64_t *lease,
		       struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e, "INSERT INTO lease (machine, until) VALUES (?, ?)", "si", machine,
			 until);

	if (rc > 0)
		*lease = (uint64_t)sqlite3_last_insert_rowid(c->db);
	return rc < 0 ? rc : 0;
}

int catalog_lease_extend(struct catalog *c, uint64_t lease, uint64_t now, uint64_t until,
			 struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e, "UPDATE lease SET until = ? WHERE id = ? AND until > ?", "iii",
			 until, lease, now);

	if (rc == 0)
		return err_set(
			e, -ENOENT,
			"this command paused for so long that its hold on the recovery point "
			"ran out; run it again");
	return rc < 0 ? rc : 0;
}

int catalog_lease_drop(struct catalog *c, uint64_t lease, struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e, "DELETE FROM lease WHERE id = ?", "i", lease);

	return rc < 0 ? rc : 0;
}

int catalog_leased(struct catalog *c, const char *machine, uint64_t now, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT 1 FROM lease WHERE machine = ? AND until > ?", "si",
			  machine, now);

	return rc < 0 ? rc : db_step(c, st, e);
}

int catalog_leases_expire(struct catalog *c, uint64_t now, uint64_t longest, struct err *e)
{
	CATALOG_GUARD(c);
	int rc = db_exec(c, e, "DELETE FROM lease WHERE until <= ? OR until > ?", "ii", now,
			 longest);

	return rc < 0 ? rc : 0;
}
