/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "appliance/harm.h"
#include "appliance/ranges.h"
#include "lib/cleanup.h"

/* From the newest journal back: the map says of each byte which epoch is the next to write it. */
struct way_back {
	struct home *home;
	const struct disk_row *disk;
	struct range
		*ranges; /* what the damages are of, ascending; only this has to be in the map */
	size_t range_count;
	struct map next;
	struct harm *list;
	size_t left; /* of the list, from its beginning */
};

/* The first epoch that has written all of the range again. */
static uint64_t rewritten(const struct map *next, uint64_t offset, uint64_t length)
{
	uint64_t until = 0;

	while (length) {
		struct piece p;
		uint64_t n;

		if (!map_find(next, offset, length, &p, &n))
			return UINT64_MAX;
		if (p.epoch > until)
			until = p.epoch;
		offset += n;
		length -= n;
	}
	return until;
}

/* A journal of which is kept what the map needs, a few entries of its index at a time. */
struct walk {
	const struct way_back *back;
	uint64_t epoch;
	struct piece *pieces;
	size_t count, room, range; /* the first range that may overlap the next entry */
	bool all; /* wanted: until when any of what it wrote is there */
	uint64_t until;
};

static int keep_piece(struct walk *w, const struct index_entry *n, struct err *e)
{
	struct piece *more;

	if (w->count == w->room) {
		w->room = w->room ? 2 * w->room : 64;
		more = reallocarray(w->pieces, w->room, sizeof(*more));
		if (!more)
			return err_set(e, -ENOMEM, "out of memory for the map of a disk");
		w->pieces = more;
	}
	w->pieces[w->count++] = map_piece(w->epoch, n, 0);
	return 0;
}

static bool is_wanted(struct walk *w, const struct index_entry *n)
{
	const struct way_back *b = w->back;

	while (w->range < b->range_count && b->ranges[w->range].end <= n->offset)
		w->range++;
	return w->range < b->range_count && b->ranges[w->range].begin < n->offset + n->length;
}

static int walk_entries(void *arg, uint64_t count, const struct index_entry *entries, size_t n,
			struct err *e)
{
	struct walk *w = arg;
	int rc = 0;

	(void)count;
	if (!entries) {
		w->count = w->range = 0;
		w->until = 0;
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		uint64_t one =
			w->all ? rewritten(&w->back->next, entries[i].offset, entries[i].length)
			       : 0;

		if (one > w->until)
			w->until = one;
		if (is_wanted(w, &entries[i]))
			rc = keep_piece(w, &entries[i], e);
	}
	return rc;
}

/* Of one whose journal has no index to tell what it wrote, too: it may be all. */
static uint64_t harmed_until(const struct way_back *w, const struct damage *d)
{
	return rewritten(&w->next, d->offset, d->length ? d->length : w->disk->size);
}

/* Of what is added to a map the last wins: here the oldest. */
static int add(struct way_back *w, struct walk *walk, bool lost)
{
	if (lost)
		return map_add_unknown(&w->next, walk->epoch, w->disk->size, PIECE_DAMAGED);
	return map_add_pieces(&w->next, cleanup_steal_ptr(&walk->pieces), walk->count);
}

static int one_back(struct way_back *w, const struct journal_row *j, struct err *e)
{
	const struct disk_row *d = w->disk;
	struct index_of of = {w->home->store, d->machine, d->id, j->epoch, j->segments, j->bytes};
	struct walk walk = {.back = w, .epoch = j->epoch};
	struct err why;
	bool lost;
	int rc;

	for (size_t i = w->left; i > 0 && w->list[i - 1].damage.epoch == j->epoch; i--)
		walk.all |= !w->list[i - 1].damage.length;
	rc = index_walk(&of, walk_entries, &walk, &why);
	lost = content_lost(rc);
	if (rc < 0 && !lost) {
		free(walk.pieces);
		*e = why;
		return rc;
	}
	for (; w->left && w->list[w->left - 1].damage.epoch == j->epoch; w->left--) {
		struct harm *one = &w->list[w->left - 1];

		one->until =
			one->damage.length || lost ? harmed_until(w, &one->damage) : walk.until;
	}
	rc = add(w, &walk, lost);
	free(walk.pieces);
	return rc < 0 ? err_errno(e, rc, "cannot put epoch %llu into the map of the disk",
				  (unsigned long long)j->epoch)
		      : 0;
}

static int by_begin(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Of one of which it is not known what it is of, the whole disk. */
static int find_ranges(struct way_back *w, struct err *e)
{
	size_t n = 0;

	w->ranges = calloc(w->left + 1, sizeof(*w->ranges));
	if (!w->ranges)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < w->left; i++) {
		const struct damage *d = &w->list[i].damage;

		w->ranges[i] = (struct range){d->length ? d->offset : 0,
					      d->length ? d->offset + d->length : UINT64_MAX};
	}
	qsort(w->ranges, w->left, sizeof(*w->ranges), by_begin);
	for (size_t i = 0; i < w->left; i++) {
		if (n && w->ranges[n - 1].end >= w->ranges[i].begin) {
			if (w->ranges[n - 1].end < w->ranges[i].end)
				w->ranges[n - 1].end = w->ranges[i].end;
		} else {
			w->ranges[n++] = w->ranges[i];
		}
	}
	w->range_count = n;
	return 0;
}

int harm_find(struct home *h, struct lease *l, const struct disk_row *d, uint64_t last,
	      struct harm *list, size_t n, struct err *e)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	struct way_back w = {.home = h, .disk = d, .list = list, .left = n};
	int count = catalog_journals(h->catalog, d->id, last, &journals, e);
	int rc = count < 0 ? count : 0;

	/* Of a resync, say, that no point has come after. */
	while (w.left && list[w.left - 1].damage.epoch > last)
		list[--w.left].until = UINT64_MAX;
	if (rc >= 0)
		rc = find_ranges(&w, e);
	for (int i = count - 1; rc == 0 && i >= 0 && w.left; i--) {
		rc = lease_keep(l, false, e);
		if (rc == 0)
			rc = one_back(&w, &journals[i], e);
	}
	for (; rc == 0 && w.left; w.left--)
		list[w.left - 1].until = harmed_until(&w, &list[w.left - 1].damage);
	map_clear(&w.next);
	free(w.ranges);
	return rc == 0 ? lease_keep(l, true, e) : rc;
}
