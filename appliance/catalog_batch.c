/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of the catalog that several threads want at once share a transaction, and so the sync that makes it durable. Whoever
 * finds no leader leads: takes all that wait, and runs each between its own savepoints, so that one which fails takes no other with it.
 */
#include "appliance/catalog_db.h"

struct catalog_work {
	struct catalog_work *next;
	catalog_fn fn;
	void *arg;
	struct err *e;
	int rc;
	bool done;
};

void catalog_batch_init(struct catalog_batch *b)
{
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->done, NULL);
	b->last = &b->first;
}

void catalog_batch_clear(struct catalog_batch *b)
{
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->done);
}

/* One change. Negative: the whole transaction is lost, with the reason in *e; what the change itself came to is w->rc. */
static int run_work(struct catalog *c, struct catalog_work *w, struct err *e)
{
	int rc = db_exec(c, e, "SAVEPOINT work", "");

	if (rc < 0)
		return rc;
	w->rc = w->fn(c, w->arg, w->e);
	if (w->rc >= 0)
		return db_exec(c, e, "RELEASE work", "");
	/* SQLite ends the whole transaction by itself after some errors, as of the disk. */
	if (sqlite3_get_autocommit(c->db)) {
		*e = *w->e;
		return w->rc;
	}
	rc = db_exec(c, e, "ROLLBACK TO work", "");
	return rc < 0 ? rc : db_exec(c, e, "RELEASE work", "");
}

static void run_all(struct catalog *c, struct catalog_work *first)
{
	struct err e;
	int rc = db_begin(c, &e);

	if (rc == 0) {
		for (struct catalog_work *w = first; rc >= 0 && w; w = w->next)
			rc = run_work(c, w, &e);
		rc = db_end(c, rc, &e);
	}
	for (struct catalog_work *w = first; rc < 0 && w; w = w->next) {
		/* What had its own reason to fail keeps it. */
		if (w->rc >= 0) {
			w->rc = rc;
			*w->e = e;
		}
	}
}

/* With the batch's lock held, which is given up meanwhile. */
static void lead(struct catalog *c)
{
	struct catalog_batch *b = &c->batch;
	struct catalog_work *first, *next;

	b->leading = true;
	pthread_mutex_unlock(&b->lock);
	/* First the catalog's lock: more gather while we wait for it. */
	pthread_mutex_lock(&c->lock);
	pthread_mutex_lock(&b->lock);
	first = b->first;
	b->first = NULL;
	b->last = &b->first;
	pthread_mutex_unlock(&b->lock);
	run_all(c, first);
	pthread_mutex_unlock(&c->lock);
	pthread_mutex_lock(&b->lock);
	b->leading = false;
	for (struct catalog_work *w = first; w; w = next) {
		next = w->next;
		w->done = true;
	}
	pthread_cond_broadcast(&b->done);
}

int catalog_batch(struct catalog *c, catalog_fn fn, void *arg, struct err *e)
{
	struct catalog_batch *b = &c->batch;
	struct err own = {0};
	struct catalog_work w = {.fn = fn, .arg = arg, .e = e ? e : &own};

	pthread_mutex_lock(&b->lock);
	*b->last = &w;
	b->last = &w.next;
	while (!w.done) {
		if (b->leading)
			pthread_cond_wait(&b->done, &b->lock);
		else
			lead(c);
	}
	pthread_mutex_unlock(&b->lock);
	return w.rc < 0 ? w.rc : 0;
}
