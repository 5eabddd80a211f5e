/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api.h"
#include "appliance/commit.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"

/* Was the epoch committed? 1: by the same body, *answer is the answer then; 0: no; -EEXIST: by another. */
static int find_committed(struct appliance *app, const char *machine, uint64_t epoch,
			  const struct body_commit *b, char **answer, struct err *e)
{
	struct commit_row old;
	int rc = catalog_committed(app->home.catalog, machine, epoch, &old, answer, e);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return rc;
	if (!strcmp(old.attempt, b->attempt) && !memcmp(old.body_digest, b->digest, DIGEST_BYTES))
		return 1;
	free(*answer);
	*answer = NULL;
	return err_set(e, -EEXIST, "epoch %llu was committed with another body",
		       (unsigned long long)epoch);
}

/* Are all of the disk's segments here? Fills in what only we know. */
static int check_disk(struct appliance *app, struct live_machine *m, uint64_t epoch,
		      const struct disk_row *row, struct commit_disk *d, struct err *e)
{
	struct live_disk *live = live_disk(app->live, m->id, d->disk);
	struct journal *j;
	uint32_t number;
	int rc;

	if (d->replicated > row->size)
		return err_set(e, -EBADMSG, "disk %s: replicated is %llu of %llu bytes", row->name,
			       (unsigned long long)d->replicated, (unsigned long long)row->size);
	if (d->state == DISK_PROTECTED && d->replicated != row->size)
		return err_set(e, -EBADMSG,
			       "disk %s: it has %llu bytes, of which %llu are replicated: that is "
			       "not protected",
			       row->name, (unsigned long long)row->size,
			       (unsigned long long)d->replicated);
	d->size = row->size;
	if (!live)
		return err_set(e, -ENOMEM, "out of memory");
	if (d->segments == 0 && !live->journal)
		return 0;
	rc = live_journal(m, live, epoch, &j, e);
	if (rc < 0)
		return rc;
	if (!journal_complete(j, d->segments, &number))
		return err_set(e, -EEXIST, "disk %s: segment %u of epoch %llu is %s", row->name,
			       number, (unsigned long long)epoch,
			       number < d->segments ? "missing" : "stored, but not counted");
	d->bytes = journal_bytes(j);
	return 0;
}

/* The body must name exactly the machine's active disks; both lists are walked in the order of their ids. */
static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct disk_row *)a)->id, ((const struct disk_row *)b)->id);
}

static int check_disks(struct appliance *app, struct live_machine *m, uint64_t epoch,
		       struct body_commit *b, struct err *e)
{
	_cleanup_free_ struct disk_row *rows = NULL;
	int n = catalog_disks(app->home.catalog, m->id, true, &rows, e), rc = 0;

	if (n < 0)
		return n;
	qsort(rows, (size_t)n, sizeof(*rows), by_id);
	for (size_t i = 0; rc == 0 && (i < (size_t)n || i < b->disk_count); i++) {
		int order = i >= (size_t)n	 ? 1
			    : i >= b->disk_count ? -1
						 : strcmp(rows[i].id, b->disks[i].disk);

		if (order < 0)
			rc = err_set(e, -EEXIST, "disks does not name %s (%s), which is protected",
				     rows[i].id, rows[i].name);
		else if (order > 0)
			rc = err_set(
				e, -EEXIST,
				"disks names %s, which is not a protected disk of this machine",
				b->disks[i].disk);
		else
			rc = check_disk(app, m, epoch, &rows[i], &b->disks[i], e);
	}
	return rc;
}

/* Why the epoch is no recovery point; NULL if it is one. */
static const char *refusal(const struct body_commit *b)
{
	if (!strcmp(b->consistency, "fuzzy"))
		return b->reason[0] ? b->reason : "the epoch is not the image of one instant";
	if (!b->disk_count)
		return "the machine has no protected disk";
	for (size_t i = 0; i < b->disk_count; i++) {
		if (b->disks[i].state != DISK_PROTECTED)
			return "not every disk of the machine is replicated to its end yet";
	}
	return NULL;
}

static json_t *answer_json(const struct commit_row *row, const char *refused)
{
	struct point_row p = {
		.epoch = row->epoch,
		.time = row->boundary,
	};
	_cleanup_free_ struct point_disk *disks = calloc(row->disk_count + 1, sizeof(*disks));
	json_t *point = json_null();

	if (!disks)
		return NULL;
	for (size_t i = 0; i < row->disk_count; i++) {
		strcpy(disks[i].disk, row->disks[i].disk);
		disks[i].size = row->disks[i].size;
	}
	strcpy(p.machine, row->machine);
	strcpy(p.consistency, row->consistency);
	strcpy(p.name, row->name);
	strcpy(p.reason, row->reason);
	if (row->point)
		point = json_of_point(&p, disks, row->disk_count, row->writers);
	return json_pack("{s:I, s:o, s:s*}", "epoch", (json_int_t)row->epoch, "point", point,
			 "refused", refused);
}

static int make_row(const struct live_machine *m, uint64_t epoch, const struct body_commit *b,
		    struct commit_row *row, char **answer, struct err *e)
{
	const char *refused = refusal(b);
	json_t *o;

	*row = (struct commit_row){
		.epoch = epoch,
		.boundary = b->boundary,
		.committed_at = clock_realtime_ns(),
		.point = !refused,
		.writers = b->writers ? b->writers : "",
		.disks = b->disks,
		.disk_count = b->disk_count,
	};
	strcpy(row->machine, m->id);
	strcpy(row->attempt, b->attempt);
	strcpy(row->consistency, b->consistency);
	strcpy(row->reason, b->reason);
	strcpy(row->name, b->name);
	memcpy(row->body_digest, b->digest, DIGEST_BYTES);
	o = answer_json(row, b->bookmark ? refused : NULL);
	*answer = o ? json_text(o) : NULL;
	json_decref(o);
	row->answer = *answer;
	return *answer ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* The indexes, and the maps in memory, follow. Both can be made again from the journals, so nothing here can fail the commit. */
static void follow(struct appliance *app, const struct commit_row *row)
{
	for (size_t i = 0; i < row->disk_count; i++) {
		const struct commit_disk *d = &row->disks[i];
		struct journal_row j = {row->epoch, d->segments, d->bytes};
		struct index_of of = {app->home.store, row->machine, d->disk,
				      row->epoch,      d->segments,  d->bytes};
		struct live_disk *live;
		struct err e;

		if (!d->segments)
			continue;
		if (index_make(&of, false, &e) < 0)
			log_warning("the index of epoch %llu will be made again: %s",
				    (unsigned long long)row->epoch, e.text);
		live = live_disk(app->live, row->machine, d->disk);
		if (live)
			live_committed(live, &j);
	}
}

int commit_epoch(struct appliance *app, struct live_machine *m, uint64_t epoch,
		 struct body_commit *b, char **answer, struct err *e)
{
	struct machine_row machine;
	struct commit_row row;
	int rc = find_committed(app, m->id, epoch, b, answer, e);

	if (rc)
		return rc < 0 ? rc : 0;
	rc = catalog_machine(app->home.catalog, m->id, &machine, e);
	if (rc < 0)
		return rc;
	/* 0 says that none is open. */
	if (!epoch || machine.open_epoch != epoch)
		return err_set(e, -EEXIST, "epoch %llu is not the open one",
			       (unsigned long long)epoch);
	if (strcmp(machine.open_attempt, b->attempt))
		return err_set(e, -EEXIST, "epoch %llu was opened by another attempt",
			       (unsigned long long)epoch);
	rc = check_disks(app, m, epoch, b, e);
	if (rc == 0)
		rc = make_row(m, epoch, b, &row, answer, e);
	if (rc == 0)
		rc = catalog_commit(app->home.catalog, &row, e);
	if (rc < 0) {
		free(*answer);
		*answer = NULL;
		return rc;
	}
	live_close_journals(m);
	follow(app, &row);
	return 0;
}
