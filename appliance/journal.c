/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/journal.h"
#include "appliance/ranges.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* A table in leaves, so that a large number alone takes little. */
#define LEAF 1024u

/* A stored segment: its place, and the disk ranges that it covers, ascending, neighbours merged. */
struct stored {
	uint32_t number;
	uint32_t extents;
	uint64_t serial; /* the syncs that reached this number made it durable */
	uint64_t at;
	uint8_t trailer[WIRE_TRAILER_BYTES]; /* stands for its bytes */
	struct range *ranges; /* NULL: they are in the journal's set */
	size_t range_count;
};

struct journal {
	struct store *store;
	struct store_object *object;
	uint64_t reserve;
	pthread_mutex_t lock;
	pthread_cond_t synced_more;
	struct stored ***by_number; /* leaf_room leaves of LEAF pointers, NULL: nothing stored */
	size_t leaf_room;
	struct stored **in_order; /* as appended */
	size_t count, order_room;
	struct ranges durable; /* of the first durable_count in_order, which nothing takes back */
	size_t durable_count;
	uint64_t extents; /* of all segments */
	uint64_t tail; /* where the next segment goes */
	uint64_t serial; /* of the last append; never used twice */
	uint64_t synced; /* serial up to which all is durable */
	bool syncing;
	int failure; /* of the last sync that failed, a negative errno */
	bool broken; /* cutting off failed: what is past the tail is unknown */
};

static void stored_free(struct stored *s)
{
	if (s) {
		free(s->ranges);
		free(s);
	}
}

static struct stored *stored_new(const struct frame *f, const uint8_t *data)
{
	struct stored *s = calloc(1, sizeof(*s));
	struct frame_extent x;
	struct range *less;
	size_t n = 0;

	if (!s)
		return NULL;
	s->ranges = malloc(f->extent_count * sizeof(*s->ranges));
	if (!s->ranges) {
		free(s);
		return NULL;
	}
	for (uint32_t i = 0; i < f->extent_count; i++) {
		frame_get(f, i, &x);
		if (n && s->ranges[n - 1].end == x.offset)
			s->ranges[n - 1].end += x.length;
		else
			s->ranges[n++] = (struct range){x.offset, x.offset + x.length};
	}
	s->range_count = n;
	/* Mostly one is left of many, and an initial replication has many segments. */
	less = reallocarray(s->ranges, n, sizeof(*s->ranges));
	if (less)
		s->ranges = less;
	s->number = f->segment;
	s->extents = f->extent_count;
	memcpy(s->trailer, data + f->total - WIRE_TRAILER_BYTES, WIRE_TRAILER_BYTES);
	return s;
}

static bool overlap_each_other(const struct stored *a, const struct stored *b, uint64_t *at)
{
	size_t i = 0, j = 0;

	while (i < a->range_count && j < b->range_count) {
		const struct range *x = &a->ranges[i], *y = &b->ranges[j];

		*at = x->begin > y->begin ? x->begin : y->begin;
		if (x->end <= y->begin)
			i++;
		else if (y->end <= x->begin)
			j++;
		else
			return true;
	}
	return false;
}

/* What became durable goes into the set: only the few segments that wait for a sync are looked at one by one. */
static int settle(struct journal *j)
{
	while (j->durable_count < j->count) {
		struct stored *s = j->in_order[j->durable_count];

		if (s->serial > j->synced)
			break;
		if (ranges_add(&j->durable, s->ranges, s->range_count) < 0)
			return -ENOMEM;
		free(s->ranges);
		s->ranges = NULL;
		j->durable_count++;
	}
	return 0;
}

static int check_overlap(struct journal *j, const struct stored *s, struct err *e)
{
	bool found;
	uint64_t at;

	if (settle(j) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	found = ranges_overlap(&j->durable, s->ranges, s->range_count, &at);
	for (size_t i = j->durable_count; !found && i < j->count; i++)
		found = overlap_each_other(j->in_order[i], s, &at);
	if (found)
		return err_set(e, -EEXIST,
			       "segment %u overlaps another of the same epoch at offset %llu",
			       s->number, (unsigned long long)at);
	return 0;
}

static int grow(void *array, size_t *room, size_t need, size_t min)
{
	void **p = array, *more;
	size_t want = *room ? *room : min;

	while (want < need)
		want *= 2;
	if (want == *room)
		return 0;
	more = reallocarray(*p, want, sizeof(void *));
	if (!more)
		return -ENOMEM;
	memset((char *)more + *room * sizeof(void *), 0, (want - *room) * sizeof(void *));
	*p = more;
	*room = want;
	return 0;
}

/* The segment of the number; NULL: not stored. */
static struct stored *find(const struct journal *j, uint64_t number)
{
	uint64_t leaf = number / LEAF;

	return leaf < j->leaf_room && j->by_number[leaf] ? j->by_number[leaf][number % LEAF] : NULL;
}

/* The smallest stored number from this on; UINT64_MAX: none. */
static uint64_t find_next(const struct journal *j, uint64_t number)
{
	while (number / LEAF < j->leaf_room) {
		if (find(j, number))
			return number;
		number = j->by_number[number / LEAF] ? number + 1 : (number / LEAF + 1) * LEAF;
	}
	return UINT64_MAX;
}

static int make_leaf(struct journal *j, uint32_t number)
{
	size_t leaf = number / LEAF;

	if (grow(&j->by_number, &j->leaf_room, leaf + 1, 4) < 0)
		return -ENOMEM;
	if (!j->by_number[leaf])
		j->by_number[leaf] = calloc(LEAF, sizeof(struct stored *));
	return j->by_number[leaf] ? 0 : -ENOMEM;
}

static int make_room(struct journal *j, uint32_t number, struct err *e)
{
	if (make_leaf(j, number) < 0 || grow(&j->in_order, &j->order_room, j->count + 1, 64) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

static void set(struct journal *j, uint32_t number, struct stored *s)
{
	j->by_number[number / LEAF][number % LEAF] = s;
}

static void remember(struct journal *j, struct stored *s, uint64_t bytes)
{
	s->at = j->tail;
	s->serial = ++j->serial;
	set(j, s->number, s);
	j->in_order[j->count++] = s;
	j->extents += s->extents;
	j->tail += bytes;
}

/* Cut off what is past the tail; what cannot be now is before the next segment is taken. */
static int cut_off(struct journal *j, struct err *e)
{
	int rc = store_truncate(j->object, j->tail, e);

	j->broken = rc < 0;
	return rc;
}

/* Forget and cut off what is not durable, so that what is acknowledged is a prefix of the object. */
static void roll_back(struct journal *j)
{
	struct err e;

	while (j->count && j->in_order[j->count - 1]->serial > j->synced) {
		struct stored *s = j->in_order[--j->count];

		set(j, s->number, NULL);
		j->extents -= s->extents;
		j->tail = s->at;
		stored_free(s);
	}
	if (cut_off(j, &e) < 0)
		log_error("%s; the epoch takes no more segments until that works", e.text);
}

/* Is the segment still the one of this serial, or was it rolled back meanwhile? */
static bool is_stored(const struct journal *j, uint32_t number, uint64_t serial)
{
	const struct stored *s = find(j, number);

	return s && s->serial == serial;
}

/* Sync for all that have appended by now, with the lock given up meanwhile. */
static void lead_sync(struct journal *j)
{
	uint64_t target = j->serial;
	int rc;

	j->syncing = true;
	pthread_mutex_unlock(&j->lock);
	rc = store_sync(j->object, NULL);
	pthread_mutex_lock(&j->lock);
	j->syncing = false;
	if (rc == 0) {
		j->synced = target;
	} else {
		j->failure = rc;
		roll_back(j);
	}
	pthread_cond_broadcast(&j->synced_more);
}

/*
 * Wait until the segment is durable. One of the waiters syncs for the others. If a sync fails, everything that
 * was not durable before it is rolled back, and all who wait for that learn of the failure.
 */
static int wait_durable(struct journal *j, uint32_t number, uint64_t serial, struct err *e)
{
	while (is_stored(j, number, serial)) {
		if (j->synced >= serial)
			return 0;
		if (j->syncing)
			pthread_cond_wait(&j->synced_more, &j->lock);
		else
			lead_sync(j);
	}
	return err_errno(e, j->failure, "cannot make the segment durable");
}

static int check_space(struct journal *j, size_t len, struct err *e)
{
	uint64_t space;
	int rc = store_space(j->store, &space, e);

	if (rc == 0 && space < j->reserve + len)
		rc = err_set(
			e, -ENOSPC,
			"the appliance's store has %llu bytes left, of which %llu are reserved: "
			"give it more space, or shorten the retention",
			(unsigned long long)space, (unsigned long long)j->reserve);
	return rc;
}

/* Each takes memory here, and in the map of the disk later. */
static int check_extents(const struct journal *j, const struct stored *s, struct err *e)
{
	if (j->extents + s->extents <= WIRE_EPOCH_EXTENTS_MAX)
		return 0;
	return err_set(e, -EEXIST,
		       "with segment %u the disk would have %llu extents in this epoch, and may "
		       "have %u: commit it, and send the rest with the next one",
		       s->number, (unsigned long long)(j->extents + s->extents),
		       WIRE_EPOCH_EXTENTS_MAX);
}

/* With the lock held, s not yet in the journal; s belongs to the journal only on success. */
static int append_locked(struct journal *j, struct stored *s, const void *data, size_t len,
			 struct err *e)
{
	int rc = check_extents(j, s, e);

	if (rc == 0)
		rc = check_overlap(j, s, e);
	if (rc < 0)
		return rc;
	if (j->broken)
		rc = cut_off(j, e);
	if (rc == 0)
		rc = check_space(j, len, e);
	if (rc == 0)
		rc = make_room(j, s->number, e);
	if (rc == 0)
		rc = store_write(j->object, data, len, j->tail, e);
	if (rc == -EFBIG || rc == -EDQUOT)
		rc = -ENOSPC;
	if (rc < 0) {
		/* Part of the segment may be there; what others appended before it stays. */
		cut_off(j, NULL);
		return rc;
	}
	remember(j, s, len);
	return 0;
}

int journal_append(struct journal *j, const struct frame *f, const void *data, struct err *e)
{
	struct stored *s, *known;
	size_t head = (size_t)(f->payload - (const uint8_t *)data);
	uint64_t serial = 0, at = 0;
	int rc = 0;

	if (f->segment >= JOURNAL_SEGMENTS_MAX)
		return err_set(e, -EEXIST, "segment numbers are below %u", JOURNAL_SEGMENTS_MAX);
	s = stored_new(f, data);
	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_lock(&j->lock);
	known = find(j, f->segment);
	if (!known) {
		rc = append_locked(j, s, data, f->total, e);
		serial = s->serial;
		at = s->at;
	} else {
		serial = known->serial;
		if (memcmp(known->trailer, s->trailer, WIRE_TRAILER_BYTES))
			rc = err_set(e, -EEXIST, "segment %u is stored with other content",
				     f->segment);
	}
	if (known || rc < 0)
		stored_free(s);
	if (rc == 0)
		rc = wait_durable(j, f->segment, serial, e);
	pthread_mutex_unlock(&j->lock);
	/* The commit reads headers and extents; content may not be read for days. */
	if (rc == 0 && !known)
		store_release(j->object, at + head, f->total - head);
	return rc;
}

bool journal_complete(struct journal *j, uint64_t count, uint32_t *number)
{
	uint64_t n = 0;
	bool complete;

	pthread_mutex_lock(&j->lock);
	while (n < count && find(j, n))
		n++;
	complete = n == count;
	if (complete) {
		n = find_next(j, count);
		complete = n == UINT64_MAX;
	}
	if (!complete)
		*number = (uint32_t)n;
	pthread_mutex_unlock(&j->lock);
	return complete;
}

uint64_t journal_bytes(struct journal *j)
{
	uint64_t tail;

	pthread_mutex_lock(&j->lock);
	tail = j->tail;
	pthread_mutex_unlock(&j->lock);
	return tail;
}

static int restore(void *arg, uint64_t at, const struct frame *f, const void *data, struct err *e)
{
	struct journal *j = arg;
	struct stored *s;
	int rc;

	(void)at;
	if (f->segment >= JOURNAL_SEGMENTS_MAX || find(j, f->segment))
		return err_set(e, -EBADMSG, "segment %u does not belong there", f->segment);
	rc = make_room(j, f->segment, e);
	if (rc < 0)
		return rc;
	s = stored_new(f, data);
	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	remember(j, s, f->total);
	return 0;
}

/* Take over what is in the object; cut off a torn tail. */
static int recover(struct journal *j, const char *name, struct err *e)
{
	uint64_t size, at;
	int rc = store_size(j->object, &size, e);

	if (rc == 0 && size)
		rc = journal_walk(j->object, UINT64_MAX, JOURNAL_CONTENT, restore, j, &at, e);
	if (rc < 0 && rc != -EBADMSG)
		return rc;
	if (j->tail < size) {
		log_warning(
			"%s: a crash tore the last segment; %llu bytes that were never acknowledged are cut off",
			name, (unsigned long long)(size - j->tail));
		rc = store_truncate(j->object, j->tail, e);
		if (rc < 0)
			return rc;
	}
	/* What the scan took over may be in the page cache only, if just the program was killed. */
	rc = store_sync(j->object, e);
	if (rc == 0)
		j->synced = j->serial;
	return rc;
}

int journal_open(struct store *s, const char *name, uint64_t reserve, struct journal **out,
		 struct err *e)
{
	struct journal *j = calloc(1, sizeof(*j));
	int rc;

	if (!j)
		return err_set(e, -ENOMEM, "out of memory");
	j->store = s;
	j->reserve = reserve;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->synced_more, NULL);
	rc = store_open(s, name, STORE_WRITE | STORE_CREATE, &j->object, e);
	if (rc == 0)
		rc = recover(j, name, e);
	if (rc < 0) {
		journal_close(j);
		return rc;
	}
	*out = j;
	return 0;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->count; i++)
		stored_free(j->in_order[i]);
	free(j->in_order);
	for (size_t i = 0; i < j->leaf_room; i++)
		free(j->by_number[i]);
	free(j->by_number);
	ranges_clear(&j->durable);
	store_close(j->object);
	pthread_cond_destroy(&j->synced_more);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
