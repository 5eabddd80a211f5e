// SPDX-License-Identifier: Apache-2.0
#include "agent/disk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/slice.h"
#include "lib/clock.h"
#include "lib/text.h"

#define REREAD_MIN_NS (5 * NSEC_PER_SEC)
#define REREAD_MAX_NS (60 * NSEC_PER_SEC)

struct disk *disk_new(const struct state_disk *from)
{
	struct disk *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->reads = reads_new();
	if (!d->reads) {
		free(d);
		return NULL;
	}
	pthread_mutex_init(&d->lock, NULL);
	strcpy(d->key, from->key);
	strcpy(d->name, from->name);
	strcpy(d->path, from->path);
	strcpy(d->resync_cause, from->resync_cause);
	d->file = from->file;
	d->choice = from->source;
	d->state = from->last_state;
	d->slice = SLICE_MIN;
	verify_init(&d->verify);
	d->verify.proven_ns = from->proven_ns;
	d->verify.proven_epoch = from->proven_epoch;
	d->left_out = from->left_out;
	atomic_init(&d->changed_at, UINT64_MAX);
	return d;
}

void disk_free(struct disk *d)
{
	if (!d)
		return;
	disk_set_source(d, NULL);
	skip_clear(&d->skip);
	verify_clear(&d->verify);
	pthread_mutex_destroy(&d->lock);
	reads_put(d->reads);
	free(d);
}

void disk_set_source(struct disk *d, struct source *s)
{
	struct source *old = d->source;

	pthread_mutex_lock(&d->lock);
	d->source = s;
	if (s)
		d->size = s->size;
	if (s && s->ops->tracks)
		strcpy(d->attach_id, s->attach_id);
	memset(&d->churn, 0, sizeof(d->churn));
	pthread_mutex_unlock(&d->lock);
	if (old)
		old->ops->close(old);
	verify_reset(d);
	scan_digests_free(d->digests);
	d->digests = NULL;
	d->scanned_ns = 0;
	if (s && !s->ops->tracks)
		d->digests = scan_digests_new(s->size);
}

void disk_set_error(struct disk *d, const char *remedy, const char *fmt, ...)
{
	va_list args;

	pthread_mutex_lock(&d->lock);
	va_start(args, fmt);
	text_vformat(d->error, sizeof(d->error), fmt, args);
	va_end(args);
	snprintf(d->remedy, sizeof(d->remedy), "%s", remedy);
	pthread_mutex_unlock(&d->lock);
}

void disk_clear_error(struct disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->error[0] = d->remedy[0] = '\0';
	d->unread_told = (struct unread){0};
	d->reread_ns = d->reread_wait_ns = 0;
	pthread_mutex_unlock(&d->lock);
}

/* disk->lock is held. */
static void tell_unread(struct disk *d)
{
	unread_text(&d->unread, d->path, d->error, sizeof(d->error));
	snprintf(d->remedy, sizeof(d->remedy),
		 "Check the disk and the kernel's log; the agent goes on trying.");
}

void disk_unread_begin(struct disk *d, bool now)
{
	pthread_mutex_lock(&d->lock);
	d->unread = (struct unread){0};
	if (now || clock_monotonic_ns() >= d->reread_ns)
		d->reread_ns = 0;
	pthread_mutex_unlock(&d->lock);
}

bool disk_spared(struct disk *d, uint64_t offset, uint64_t length)
{
	bool spared = false;

	pthread_mutex_lock(&d->lock);
	for (unsigned int i = 0; d->reread_ns && i < d->unread_told.count; i++) {
		const struct run *r = &d->unread_told.range[i];

		spared |= r->offset < offset + length && offset < r->offset + r->length;
	}
	pthread_mutex_unlock(&d->lock);
	return spared;
}

void disk_unread(struct disk *d, uint64_t offset, uint64_t length)
{
	pthread_mutex_lock(&d->lock);
	unread_add(&d->unread, offset, length);
	if (d->unread.bytes > d->unread_told.bytes)
		tell_unread(d);
	pthread_mutex_unlock(&d->lock);
}

bool disk_has_unread(struct disk *d)
{
	bool has;

	pthread_mutex_lock(&d->lock);
	has = d->unread.bytes;
	pthread_mutex_unlock(&d->lock);
	return has;
}

uint64_t disk_unread_judge(struct disk *d, bool *news)
{
	uint64_t bytes;

	pthread_mutex_lock(&d->lock);
	bytes = d->unread.bytes;
	*news = !unread_same(&d->unread, &d->unread_told);
	if (bytes)
		tell_unread(d);
	d->unread_told = d->unread;
	if (bytes && !d->reread_ns) {
		d->reread_wait_ns = d->reread_wait_ns ? 2 * d->reread_wait_ns : REREAD_MIN_NS;
		if (d->reread_wait_ns > REREAD_MAX_NS)
			d->reread_wait_ns = REREAD_MAX_NS;
		d->reread_ns = clock_monotonic_ns() + d->reread_wait_ns;
	}
	pthread_mutex_unlock(&d->lock);
	return bytes;
}

uint64_t disk_unread_told(struct disk *d)
{
	uint64_t bytes;

	pthread_mutex_lock(&d->lock);
	bytes = d->unread_told.bytes;
	pthread_mutex_unlock(&d->lock);
	return bytes;
}

int disk_read(struct disk *d, struct source *s, struct reader *via, void *buf, size_t len,
	      uint64_t offset)
{
	via->reads = d->reads;
	return s->ops->read(s, via, buf, len, offset);
}

bool disk_hole(struct disk *d, struct reader *via, uint64_t offset, size_t len)
{
	via->reads = d->reads;
	return d->source->ops->hole && d->source->ops->hole(d->source, via, offset, len);
}

uint64_t disk_reading_ns(const struct disk *d)
{
	return reads_hanging_ns(d->reads);
}

struct disk *disk_table_find(const struct disk_table *t, const char *key)
{
	for (size_t i = 0; i < t->count; i++) {
		if (!strcmp(t->disk[i]->key, key))
			return t->disk[i];
	}
	return NULL;
}

void disk_set_state(struct disk *d, enum disk_state state, uint64_t replicated, const char *cause)
{
	pthread_mutex_lock(&d->lock);
	d->state = state;
	d->replicated = replicated;
	/* cause may be the disk's own text */
	if (cause != d->resync_cause)
		snprintf(d->resync_cause, sizeof(d->resync_cause), "%s", cause);
	pthread_mutex_unlock(&d->lock);
}
