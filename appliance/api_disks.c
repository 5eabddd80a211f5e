/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "appliance/api.h"
#include "appliance/base.h"
#include "appliance/body.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

json_t *json_of_disk(const struct disk_row *d)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:I, s:s, s:I}", "id", d->id, "key",
			 d->key, "name", d->name, "size", (json_int_t)d->size, "granule",
			 (json_int_t)d->granule, "state", disk_state_name(d->state), "replicated",
			 (json_int_t)d->replicated, "source", d->source, "epoch",
			 (json_int_t)d->epoch);
}

static void new_disk(struct disk_row *d, const struct request *r, const struct body_disk *b)
{
	uint8_t id[UUID_BYTES];

	*d = (struct disk_row){.size = b->size, .state = DISK_INITIAL, .active = true};
	uuid_random(id);
	uuid_format(id, d->id);
	strcpy(d->machine, r->machine);
	strcpy(d->key, b->key);
}

/* What registering a disk again does to it; -EEXIST: that cannot be. */
static int update_disk(struct disk_row *d, const struct body_disk *b, struct err *e)
{
	if (b->size < d->size)
		return err_set(e, -EEXIST,
			       "the disk %s had %llu bytes and has %llu now: a disk that shrank is "
			       "another disk; end the protection of the old one first",
			       d->name, (unsigned long long)d->size, (unsigned long long)b->size);
	if (!d->active) {
		/* Nothing is known of what was written meanwhile. */
		d->state = d->epoch ? DISK_RESYNC : DISK_INITIAL;
		d->replicated = 0;
	} else if (b->size > d->size) {
		/* What was there stays replicated; the new range is zeros here, which need not be so there. */
		if (d->state == DISK_PROTECTED)
			d->replicated = d->size;
		d->state = d->epoch ? DISK_RESYNC : DISK_INITIAL;
	}
	d->size = b->size;
	d->active = true;
	return 0;
}

/* A commit names them all. */
static int check_count(struct request *r, struct err *e)
{
	_cleanup_free_ struct disk_row *disks = NULL;
	int n = catalog_disks(r->app->home.catalog, r->machine, true, &disks, e);

	if (n < BODY_DISKS_MAX)
		return n < 0 ? n : 0;
	return err_set(e, -EEXIST,
		       "the machine protects %d disks already, and more are not possible: end the "
		       "protection of one first",
		       n);
}

/*
 * Can the base of such a disk become as large as the disk? The store is asked now: after weeks, when its last blocks are folded, is too late. With the
 * machine's lock held exclusively. That the store fails otherwise is no answer.
 */
static int check_size(struct request *r, const struct body_disk *b, struct err *e)
{
	struct store *s = r->app->home.store;
	uint64_t size = (b->size + BASE_BLOCK - 1) / BASE_BLOCK * BASE_BLOCK;
	struct store_object *o;
	char name[STORE_NAME_MAX];
	struct err why;
	int rc =
		store_open(s, name_scratch(name, r->machine), STORE_WRITE | STORE_CREATE, &o, &why);

	if (rc == 0) {
		rc = store_truncate(o, size, &why);
		store_close(o);
	}
	store_remove(s, name, NULL);
	if (rc != -EFBIG && rc != -EINVAL)
		return 0;
	return err_set(
		e, -EEXIST,
		"the disk %s has %llu bytes, and the filesystem that the appliance's store is on "
		"cannot hold a file of that size: move the store to one that can, such as XFS",
		b->name, (unsigned long long)b->size);
}

static int put_disk(struct request *r, const struct body_disk *b, struct disk_row *d, struct err *e)
{
	struct catalog *c = r->app->home.catalog;
	int rc = catalog_disk_by_key(c, r->machine, b->key, d, e);
	bool known = rc == 0, more = !known || !d->active;

	if (rc == -ENOENT)
		rc = 0;
	if (rc == 0 && more)
		rc = check_count(r, e);
	if (rc == 0 && (!known || b->size > d->size))
		rc = check_size(r, b, e);
	if (rc == 0 && known && more && b->size < d->size) {
		rc = catalog_disk_retire(c, d->id, e);
		known = false;
	}
	if (rc == 0 && known)
		rc = update_disk(d, b, e);
	if (rc < 0)
		return rc;
	if (!known)
		new_disk(d, r, b);
	d->granule = b->granule;
	strcpy(d->name, b->name);
	rc = catalog_disk_put(c, d, e);
	if (rc == 0 && !known)
		log_info("machine %s: protects %s (%llu bytes) as disk %s", r->machine, b->name,
			 (unsigned long long)b->size, d->id);
	return rc;
}

void api_disk_put(struct request *r)
{
	struct live_machine *m = live_machine(r->app->live, r->machine);
	struct disk_row d;
	struct body_disk b;
	struct err e;
	int rc = body_disk(r->body, r->len, &b, &e);

	if (rc == 0 && !m)
		rc = err_set(&e, -ENOMEM, "out of memory");
	if (rc == 0) {
		pthread_rwlock_wrlock(&m->lock);
		rc = put_disk(r, &b, &d, &e);
		pthread_rwlock_unlock(&m->lock);
	}
	if (rc == -ENOENT)
		reply_unknown_machine(r);
	else if (rc < 0)
		reply_failed(r, rc, &e);
	else
		reply_json(r, 200, json_of_disk(&d));
}

void api_disk_get(struct request *r)
{
	struct live_disk *live;
	struct disk_row d;
	json_t *o;

	if (!request_disk(r, &d))
		return;
	live = live_disk(r->app->live, r->machine, d.id);
	o = json_of_disk(&d);
	if (live && o)
		json_object_set_new(o, "digest_reads",
				    json_integer((json_int_t)live->digest_reads));
	reply_json(r, 200, o);
}

void api_disk_delete(struct request *r)
{
	struct live_machine *m = live_machine(r->app->live, r->machine);
	struct disk_row d;
	struct err e;
	int rc = 0;

	if (!m) {
		reply_error(r, API_BUSY, "the appliance is out of memory; try again");
		return;
	}
	pthread_rwlock_wrlock(&m->lock);
	if (request_disk(r, &d)) {
		if (d.active) {
			d.active = false;
			rc = catalog_disk_put(r->app->home.catalog, &d, &e);
		}
		if (rc == -ENOENT)
			reply_unknown_machine(r);
		else if (rc < 0)
			reply_failed(r, rc, &e);
		else
			reply_json(r, 200, json_object());
		if (rc == 0)
			log_info("machine %s: no longer protects %s", r->machine, d.name);
	}
	pthread_rwlock_unlock(&m->lock);
}

/* A verification found that the disk's image here is not what the disk has. */
void api_disk_doubt(struct request *r)
{
	char why[REASON_MAX], when[32];
	struct body_doubt b;
	struct disk_row d;
	struct err e;
	int n;

	if (!request_disk(r, &d))
		return;
	n = body_doubt(r->body, r->len, &b, &e);
	if (n == 0) {
		snprintf(why, sizeof(why),
			 "a verification found on %s that %llu bytes of %s (from offset %llu on) "
			 "were not what the machine has",
			 clock_format_utc(clock_realtime_ns(), when), (unsigned long long)b.bytes,
			 d.name, (unsigned long long)b.offset);
		n = catalog_points_doubt(r->app->home.catalog, r->machine, d.id, b.after, why, &e);
	}
	if (n < 0) {
		reply_failed(r, n, &e);
		return;
	}
	if (n)
		log_warning("machine %s: %d recovery points are in doubt: %s", r->machine, n, why);
	reply_json(r, 200, json_pack("{s:i}", "points", n));
}
