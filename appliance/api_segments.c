/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api.h"
#include "lib/clock.h"

static int check_path(const struct request *r, const struct frame *f, struct err *e)
{
	uint8_t disk[UUID_BYTES];

	uuid_parse_text(r->disk, disk);
	if (memcmp(disk, f->disk, UUID_BYTES))
		return err_set(e, -EBADMSG, "the segment is of another disk than the path names");
	if (f->epoch != r->epoch)
		return err_set(e, -EBADMSG, "the segment is of epoch %llu, the path names %llu",
			       (unsigned long long)f->epoch, (unsigned long long)r->epoch);
	if (f->segment != r->segment)
		return err_set(e, -EBADMSG, "the segment is number %u, the path names %u",
			       f->segment, r->segment);
	if (f->segment >= JOURNAL_SEGMENTS_MAX)
		return err_set(e, -EBADMSG, "segment numbers are below %u", JOURNAL_SEGMENTS_MAX);
	return 0;
}

/* With the machine's lock held, shared. */
static void store_segment(struct request *r, struct live_machine *m, const struct frame *f)
{
	struct machine_row row;
	struct live_disk *live;
	struct journal *j;
	struct disk_row d;
	struct err e;
	int rc;

	/* Again, for the disk and the open epoch can have changed while the body came. */
	if (!request_disk(r, &d) || !request_machine(r, &row))
		return;
	if (!d.active) {
		reply_error(r, API_CONFLICT, "the disk %s is no longer protected", d.name);
		return;
	}
	/* 0 says that none is open. */
	if (!r->epoch || row.open_epoch != r->epoch) {
		reply_error(r, API_CONFLICT, "epoch %llu is not the open one",
			    (unsigned long long)r->epoch);
		return;
	}
	live = live_disk(r->app->live, r->machine, d.id);
	rc = live ? live_journal(m, live, r->epoch, &j, &e) : err_set(&e, -ENOMEM, "out of memory");
	if (rc == 0)
		rc = journal_append(j, f, r->body, &e);
	if (rc < 0)
		reply_failed(r, rc, &e);
	else
		reply_json(r, 200, json_pack("{s:I}", "stored", (json_int_t)f->total));
}

void api_segment(struct request *r)
{
	struct live_machine *m = live_machine(r->app->live, r->machine);
	struct disk_row d;
	struct frame f;
	struct err e;
	uint64_t began = clock_monotonic_ns(), checked;
	int rc;

	if (!m) {
		reply_error(r, API_BUSY, "the appliance is out of memory; try again");
		return;
	}
	if (!request_disk(r, &d))
		return;
	rc = frame_parse(&f, r->body, r->len, d.size, true, &e);
	/* The body itself is within its limit: too large is only what the header says. */
	if (rc == -EMSGSIZE)
		rc = -EBADMSG;
	if (rc == 0)
		rc = check_path(r, &f, &e);
	/* Every digest against its bytes, before anything is kept. */
	if (rc == 0)
		rc = checkers_check(&r->app->checkers, &f, &e);
	if (rc < 0) {
		reply_failed(r, rc, &e);
		return;
	}
	checked = clock_monotonic_ns();
	pthread_rwlock_rdlock(&m->lock);
	store_segment(r, m, &f);
	pthread_rwlock_unlock(&m->lock);
	r->reply.verify_ns = checked - began;
	r->reply.disk_ns = clock_monotonic_ns() - checked;
}
