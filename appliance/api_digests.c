/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "appliance/api.h"
#include "appliance/body.h"
#include "lib/cleanup.h"

/* Blocks that verify found damaged are read, so that a stored digest does not vouch for bytes that are gone. */
static bool is_damaged(const struct damage_row *damage, int n, uint64_t offset)
{
	for (int i = 0; i < n; i++) {
		if (offset < damage[i].offset + damage[i].length &&
		    damage[i].offset < offset + WIRE_BLOCK)
			return true;
	}
	return false;
}

/* With the disk's lock held, shared. */
static int collect(struct live_disk *live, const struct disk_row *d, const struct body_digests *b,
		   const struct damage_row *damage, int damages, uint8_t *out, struct err *e)
{
	_cleanup_(reader_closep) struct reader *reader = NULL;
	int rc = reader_open(&live->image, &reader, e);

	for (uint64_t at = b->offset; rc == 0 && at < b->offset + b->length; at += WIRE_BLOCK) {
		rc = reader_digest(reader, at, d->size, is_damaged(damage, damages, at), out, e);
		out += DIGEST_BYTES;
	}
	return rc;
}

static void reply_digests(struct request *r, const struct disk_row *d, const struct body_digests *b)
{
	struct live_disk *live = live_disk(r->app->live, r->machine, d->id);
	size_t len = (b->length + WIRE_BLOCK - 1) / WIRE_BLOCK * DIGEST_BYTES;
	_cleanup_free_ uint8_t *out = malloc(len);
	_cleanup_free_ struct damage_row *damage = NULL;
	struct err e;
	int rc;

	if (!live || !out) {
		reply_error(r, API_BUSY, "the appliance is out of memory; try again");
		return;
	}
	rc = catalog_damage(r->app->home.catalog, d->id, &damage, &e);
	if (rc >= 0) {
		int damages = rc;

		rc = live_read_begin(r->app->live, live, &e);
		if (rc == 0) {
			rc = collect(live, d, b, damage, damages, out, &e);
			pthread_rwlock_unlock(&live->lock);
		}
	}
	/* What is wrong with our own store is not the request's fault. */
	if (rc < 0)
		reply_failed(r, rc == -EBADMSG || rc == -EILSEQ ? -EIO : rc, &e);
	else
		reply_bytes(r, cleanup_steal_ptr(&out), len);
}

void api_digests(struct request *r)
{
	struct body_digests b;
	struct disk_row d;
	struct err e;
	int rc;

	if (!request_disk(r, &d))
		return;
	rc = body_digests(r->body, r->len, &b, &e);
	if (rc == 0 && (b.offset > d.size || b.length > d.size - b.offset))
		rc = err_set(&e, -EBADMSG, "the range reaches past the end of the disk");
	if (rc == 0 && b.length % WIRE_BLOCK && b.offset + b.length != d.size)
		rc = err_set(&e, -EBADMSG,
			     "length is not a multiple of %u and does not end with the disk",
			     WIRE_BLOCK);
	if (rc < 0)
		reply_failed(r, rc, &e);
	else
		reply_digests(r, &d, &b);
}
