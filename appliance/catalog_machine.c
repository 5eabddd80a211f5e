/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of machines and tokens. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/catalog_db.h"

#define MACHINE_COLUMNS                                                                            \
	"id, hostname, enrolled, used_epoch, committed, open_epoch, open_attempt FROM machine "

static void read_machine(sqlite3_stmt *st, void *element)
{
	struct machine_row *m = element;

	db_text(st, 0, m->id, sizeof(m->id));
	db_text(st, 1, m->hostname, sizeof(m->hostname));
	m->enrolled = db_u64(st, 2);
	m->used_epoch = db_u64(st, 3);
	m->committed = db_u64(st, 4);
	m->open_epoch = db_u64(st, 5);
	db_text(st, 6, m->open_attempt, sizeof(m->open_attempt));
}

int catalog_machine(struct catalog *c, const char *id, struct machine_row *m, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT " MACHINE_COLUMNS "WHERE id = ?", "s", id);

	if (rc == 0)
		rc = db_step(c, st, e);
	if (rc == 0)
		return err_set(e, -ENOENT, "there is no machine %s", id);
	if (rc > 0)
		read_machine(st, m);
	return rc < 0 ? rc : 0;
}

int catalog_machines(struct catalog *c, struct machine_row **list, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e, "SELECT " MACHINE_COLUMNS "ORDER BY enrolled, id", "");

	if (rc < 0)
		return rc;
	return db_collect(c, st, sizeof(**list), read_machine, (void **)list, e);
}

int catalog_token_add(struct catalog *c, const uint8_t digest[DIGEST_BYTES], uint64_t expires,
		      struct err *e)
{
	CATALOG_GUARD(c);
	struct blob b = {digest, DIGEST_BYTES};
	int rc = db_exec(c, e, "INSERT INTO token (digest, expires) VALUES (?, ?)", "bi", &b,
			 expires);

	return rc < 0 ? rc : 0;
}

static int read_token(sqlite3_stmt *st, struct token_row *t, struct err *e)
{
	const void *key = sqlite3_column_blob(st, 2);
	const char *certificate = (const char *)sqlite3_column_text(st, 4);

	t->expires = db_u64(st, 0);
	t->used = db_u64(st, 1) != 0;
	if (key && sqlite3_column_bytes(st, 2) == DIGEST_BYTES)
		memcpy(t->key_digest, key, DIGEST_BYTES);
	db_text(st, 3, t->machine, sizeof(t->machine));
	t->certificate_expires = db_u64(st, 5);
	if (certificate) {
		t->certificate = strdup(certificate);
		if (!t->certificate)
			return err_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

int catalog_token(struct catalog *c, const uint8_t digest[DIGEST_BYTES], struct token_row *t,
		  struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	struct blob b = {digest, DIGEST_BYTES};
	int rc = db_query(c, &st, e,
			  "SELECT expires, used, key_digest, machine, certificate,"
			  " certificate_expires FROM token WHERE digest = ?",
			  "b", &b);

	*t = (struct token_row){0};
	memcpy(t->digest, digest, DIGEST_BYTES);
	if (rc == 0)
		rc = db_step(c, st, e);
	if (rc == 0)
		return err_set(e, -ENOENT, "the token is not one of this appliance");
	return rc < 0 ? rc : read_token(st, t, e);
}

int catalog_enrol(struct catalog *c, const struct token_row *t, const char *hostname, uint64_t now,
		  struct err *e)
{
	CATALOG_GUARD(c);
	struct blob digest = {t->digest, DIGEST_BYTES}, key = {t->key_digest, DIGEST_BYTES};
	int rc = db_begin(c, e);

	if (rc < 0)
		return rc;
	rc = db_exec(c, e,
		     "UPDATE token SET used = 1, key_digest = ?, machine = ?, certificate = ?,"
		     " certificate_expires = ? WHERE digest = ? AND used = 0",
		     "bssib", &key, t->machine, t->certificate, t->certificate_expires, &digest);
	if (rc == 0)
		rc = err_set(e, -EEXIST, "the token was used already");
	if (rc > 0)
		rc = db_exec(c, e, "INSERT INTO machine (id, hostname, enrolled) VALUES (?, ?, ?)",
			     "ssi", t->machine, hostname, now);
	rc = db_end(c, rc, e);
	return rc < 0 ? rc : 0;
}

int catalog_tokens_expire(struct catalog *c, uint64_t now, struct err *e)
{
	CATALOG_GUARD(c);
	/* A day of grace: who comes late is told that the token expired, not that it never was. */
	uint64_t before = now > 86400000000000ull ? now - 86400000000000ull : 0;
	int rc = db_exec(c, e, "DELETE FROM token WHERE expires < ?", "i", before);

	return rc < 0 ? rc : 0;
}

int catalog_machine_remove(struct catalog *c, const char *id, struct err *e)
{
	CATALOG_GUARD(c);
	static const char *const tables[] = {
		"DELETE FROM epoch WHERE machine = ?",
		"DELETE FROM point WHERE machine = ?",
		"DELETE FROM point_disk WHERE machine = ?",
		"DELETE FROM lease WHERE machine = ?",
		"DELETE FROM damage WHERE disk IN (SELECT id FROM disk WHERE machine = ?)",
		"DELETE FROM journal WHERE disk IN (SELECT id FROM disk WHERE machine = ?)",
		"DELETE FROM disk WHERE machine = ?",
		"DELETE FROM gone WHERE machine = ?",
		"UPDATE token SET certificate = NULL WHERE machine = ?",
		"INSERT OR IGNORE INTO removed (machine) VALUES (?)",
		"DELETE FROM machine WHERE id = ?",
	};
	int rc = db_begin(c, e);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc >= 0 && i < ARRAY_SIZE(tables); i++)
		rc = db_exec(c, e, tables[i], "s", id);
	if (rc == 0)
		rc = err_set(e, -ENOENT, "there is no machine %s", id);
	rc = db_end(c, rc, e);
	return rc < 0 ? rc : 0;
}

int catalog_machine_removed(struct catalog *c, const char *id, struct err *e)
{
	CATALOG_GUARD_READ(c);
	_cleanup_stmt_ sqlite3_stmt *st = NULL;
	int rc = db_query(c, &st, e,
			  "SELECT 1 FROM removed WHERE machine = ?1"
			  " AND NOT EXISTS (SELECT 1 FROM machine WHERE id = ?1)",
			  "s", id);

	return rc < 0 ? rc : db_step(c, st, e);
}
