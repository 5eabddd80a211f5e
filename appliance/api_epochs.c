/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api.h"
#include "appliance/body.h"
#include "appliance/commit.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* The epoch that was open is abandoned: its journals go. What cannot be removed now goes when the appliance starts. */
static void forget_epoch(struct request *r, struct live_machine *m, uint64_t epoch)
{
	struct home *h = &r->app->home;
	_cleanup_free_ struct disk_row *disks = NULL;
	char name[STORE_NAME_MAX];
	struct err e;
	int n = catalog_disks(h->catalog, r->machine, false, &disks, &e);

	live_close_journals(m);
	for (int i = 0; i < n; i++) {
		if (store_remove(h->store, name_journal(name, r->machine, disks[i].id, epoch), &e) <
		    0)
			log_warning("%s", e.text);
	}
	if (n < 0)
		log_warning("%s", e.text);
}

static void reply_opened(struct request *r, unsigned int status, uint64_t epoch, uint64_t committed)
{
	reply_json(r, status,
		   json_pack("{s:I, s:I}", "epoch", (json_int_t)epoch, "committed",
			     (json_int_t)committed));
}

/* With the machine's lock held exclusively. */
static void open_epoch(struct request *r, struct live_machine *m, const char *attempt)
{
	struct machine_row row;
	uint64_t epoch;
	struct err e;
	int rc;

	if (!request_machine(r, &row))
		return;
	if (row.open_epoch && !strcmp(row.open_attempt, attempt)) {
		reply_opened(r, 200, row.open_epoch, row.committed);
		return;
	}
	rc = catalog_epoch_open(r->app->home.catalog, r->machine, attempt, &epoch, &e);
	if (rc < 0) {
		reply_failed(r, rc, &e);
		return;
	}
	if (row.open_epoch)
		forget_epoch(r, m, row.open_epoch);
	reply_opened(r, 201, epoch, row.committed);
}

void api_epoch_open(struct request *r)
{
	struct live_machine *m = live_machine(r->app->live, r->machine);
	struct body_open b;
	struct err e;
	int rc = body_open(r->body, r->len, &b, &e);

	if (rc == 0 && !m)
		rc = err_set(&e, -ENOMEM, "out of memory");
	if (rc < 0) {
		reply_failed(r, rc, &e);
		return;
	}
	pthread_rwlock_wrlock(&m->lock);
	open_epoch(r, m, b.attempt);
	pthread_rwlock_unlock(&m->lock);
}

void api_commit(struct request *r)
{
	struct live_machine *m = live_machine(r->app->live, r->machine);
	_cleanup_(body_commit_clear) struct body_commit b;
	_cleanup_free_ char *answer = NULL;
	struct err e;
	int rc = body_commit(r->body, r->len, &b, &e);

	if (rc == 0 && !m)
		rc = err_set(&e, -ENOMEM, "out of memory");
	if (rc == 0) {
		pthread_rwlock_wrlock(&m->lock);
		rc = commit_epoch(r->app, m, r->epoch, &b, &answer, &e);
		pthread_rwlock_unlock(&m->lock);
	}
	if (rc < 0)
		reply_failed(r, rc, &e);
	else
		reply_text(r, 200, cleanup_steal_ptr(&answer));
}
