/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the catalog: prepared statements and transactions. Only catalog*.c includes this. Every function is called
 * with the catalog's lock held (CATALOG_GUARD in the public functions).
 */
#ifndef APPLIANCE_CATALOG_DB_H
#define APPLIANCE_CATALOG_DB_H

#include <pthread.h>
#include <sqlite3.h>

#include "appliance/catalog.h"
#include "lib/cleanup.h"

#define CATALOG_STATEMENTS 96

/* Changes that wait to share a transaction (catalog_batch.c). */
struct catalog_batch {
	pthread_mutex_t lock;
	pthread_cond_t done;
	struct catalog_work *first, **last;
	bool leading;
};

struct catalog {
	sqlite3 *db;
	pthread_mutex_t lock;
	/* A second connection, for looking things up: it does not wait while a commit is made durable. NULL in the reader itself. */
	struct catalog *reader;
	struct catalog_batch batch;
	struct {
		const char *sql;
		sqlite3_stmt *st;
	} cache[CATALOG_STATEMENTS];
};

static inline pthread_mutex_t *catalog_lock(struct catalog *c)
{
	pthread_mutex_lock(&c->lock);
	return &c->lock;
}

static inline void catalog_unlockp(pthread_mutex_t **lock)
{
	pthread_mutex_unlock(*lock);
}

#define CATALOG_GUARD(c)                                                                           \
	_cleanup_(catalog_unlockp) __attribute__((unused)) pthread_mutex_t *guard = catalog_lock(c)

/* For functions that only look: from here on c is the connection for that. What was committed before is seen. */
#define CATALOG_GUARD_READ(c)                                                                      \
	_cleanup_(catalog_unlockp) __attribute__((unused)) pthread_mutex_t *guard =                \
		catalog_lock((c) = (c)->reader)

/* A statement goes back to the cache when it leaves the scope. */
static inline void stmt_donep(sqlite3_stmt **st)
{
	if (*st) {
		sqlite3_reset(*st);
		sqlite3_clear_bindings(*st);
	}
}
#define _cleanup_stmt_ _cleanup_(stmt_donep)

struct blob {
	const void *data;
	size_t len;
};

/* The statement sql (a literal that lives on) with its parameters: types has i (uint64_t), s (const char *, NULL is NULL),
 * b (struct blob *) for each. */
int db_query(struct catalog *c, sqlite3_stmt **st, struct err *e, const char *sql,
	     const char *types, ...);
/* 1: a row, 0: no more, negative errno */
int db_step(struct catalog *c, sqlite3_stmt *st, struct err *e);
/* Run a statement that gives no row; the number of rows that it changed. */
int db_exec(struct catalog *c, struct err *e, const char *sql, const char *types, ...);
int db_begin(struct catalog *c, struct err *e);
/* Commit when rc >= 0, else roll back; returns rc, or why the commit failed. */
int db_end(struct catalog *c, int rc, struct err *e);

/*
 * Run fn(c, arg, e) in a transaction of its own, or in one with what other threads want at the same time: one sync for all of them. Returns
 * when the change is durable, or what fn returned if that was negative: then nothing of it is there, and the others' changes are.
 * Without the catalog's lock; fn runs in any of these threads, with the lock held.
 */
typedef int (*catalog_fn)(struct catalog *c, void *arg, struct err *e);
int catalog_batch(struct catalog *c, catalog_fn fn, void *arg, struct err *e);
void catalog_batch_init(struct catalog_batch *b);
void catalog_batch_clear(struct catalog_batch *b);

uint64_t db_u64(sqlite3_stmt *st, int column);
/* Copy text into out of size bytes; NULL gives "". */
void db_text(sqlite3_stmt *st, int column, char *out, size_t size);

/* Collect all rows of st: read() fills the element. The number of rows; *list is allocated even when that is 0. */
typedef void (*db_row_fn)(sqlite3_stmt *st, void *element);
int db_collect(struct catalog *c, sqlite3_stmt *st, size_t element, db_row_fn read, void **list,
	       struct err *e);

#endif
