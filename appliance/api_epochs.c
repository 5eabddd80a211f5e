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

/*
 * An epoch that was open is abandoned, and its journals are closed: they go. Without the machine's lock, as unlinking large files takes long; nobody opens
 * them again. What is not removed now, because of a failure or a crash, goes when the appliance starts.
 */
static void forget_epoch(struct request *r, uint64_t epoch)
{
	struct home *h = &r->app->home;
	_cleanup_free_ struct disk_row *disks = NULL;
	char name[STORE_NAME_MAX];
	struct err e;
	int n = catalog_disks(h->catalog, r->machine, false, &disks, &e);

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

/* With the machine's lock held exclusively. The epoch that is abandoned for it; 0: none. */
static uint64_t open_epoch(struct request *r, struct live_machine *m, const char *attempt)
{
	struct machine_row row;
	uint64_t epoch;
	struct err e;
	int rc;

	if (!request_machine(r, &row))
		return 0;
	if (row.open_epoch && !strcmp(row.open_attempt, attempt)) {
		reply_opened(r, 200, row.open_epoch, row.committed);
		return 0;
	}
	rc = catalog_epoch_open(r->app->home.catalog, r->machine, attempt, &epoch, &e);
	if (rc < 0) {
		reply_failed(r, rc, &e);
		return 0;
	}
	live_close_journals(m);
	reply_opened(r, 201, epoch, row.committed);
	return row.open_epoch;
}

void api_epoch_open(struct request *r)
{
	struct live_machine *m = live_machine(r->app->live, r->machine);
	uint64_t abandoned;
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
	abandoned = open_epoch(r, m, b.attempt);
	pthread_rwlock_unlock(&m->lock);
	if (abandoned)
		forget_epoch(r, abandoned);
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
