/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "appliance/api.h"
#include "appliance/body.h"
#include "appliance/digests.h"
#include "lib/cleanup.h"

/* With the disk's lock held, shared. */
static int collect(struct request *r, struct live_disk *live, const struct disk_row *d,
		   const struct body_digests *b, uint8_t *out, struct err *e)
{
	struct digests digests;
	int rc = digests_open(&r->app->home, live, d, &digests, e);

	if (rc < 0)
		return rc;
	for (uint64_t at = b->offset; rc == 0 && at < b->offset + b->length; at += b->block) {
		rc = digests_node(&digests, at, b->block, out, e);
		out += DIGEST_BYTES;
	}
	live->digest_reads += digests.read_bytes;
	digests_close(&digests);
	return rc;
}

static void reply_digests(struct request *r, const struct disk_row *d, const struct body_digests *b)
{
	struct live_disk *live = live_disk(r->app->live, r->machine, d->id);
	size_t len = (b->length + b->block - 1) / b->block * DIGEST_BYTES;
	_cleanup_free_ uint8_t *out = malloc(len);
	struct err e;
	int rc;

	if (!live || !out) {
		reply_error(r, API_BUSY, "the appliance is out of memory; try again");
		return;
	}
	rc = live_read_begin(r->app->live, live, &e);
	if (rc == 0) {
		rc = collect(r, live, d, b, out, &e);
		pthread_rwlock_unlock(&live->lock);
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
	if (rc == 0 && b.length % b.block && b.offset + b.length != d.size)
		rc = err_set(&e, -EBADMSG,
			     "length is not a multiple of block and does not end with the disk");
	if (rc < 0)
		reply_failed(r, rc, &e);
	else
		reply_digests(r, &d, &b);
}
