/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "appliance/harm.h"
#include "lib/cleanup.h"

/* From the newest journal back: the map says of each byte which epoch is the next to write it. */
struct way_back {
	struct home *home;
	const struct disk_row *disk;
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

/* Of a damage of the base, or of a journal with this index; NULL: nobody knows what that wrote. */
static uint64_t harmed_until(const struct way_back *w, const struct damage *d,
			     const struct index *ix)
{
	uint64_t until = 0;

	if (d->length || !ix)
		return rewritten(&w->next, d->offset, d->length ? d->length : w->disk->size);
	for (size_t i = 0; i < ix->count; i++) {
		uint64_t one = rewritten(&w->next, ix->entries[i].offset, ix->entries[i].length);

		if (one > until)
			until = one;
	}
	return until;
}

static int one_back(struct way_back *w, const struct journal_row *j, struct err *e)
{
	const struct disk_row *d = w->disk;
	struct index_of of = {w->home->store, d->machine, d->id, j->epoch, j->segments, j->bytes};
	struct index ix = {0};
	struct err why;
	int rc = index_load(&of, &ix, &why);
	bool lost = content_lost(rc);

	if (rc < 0 && !lost) {
		*e = why;
		return rc;
	}
	for (; w->left && w->list[w->left - 1].damage.epoch == j->epoch; w->left--) {
		struct harm *one = &w->list[w->left - 1];

		one->until = harmed_until(w, &one->damage, lost ? NULL : &ix);
	}
	/* Of what is added to a map the last wins: here the oldest. */
	rc = lost ? map_add_damaged(&w->next, j->epoch, d->size) : map_add(&w->next, &ix);
	index_clear(&ix);
	return rc < 0 ? err_errno(e, rc, "cannot put epoch %llu into the map of the disk",
				  (unsigned long long)j->epoch)
		      : 0;
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
	for (int i = count - 1; rc == 0 && i >= 0 && w.left; i--) {
		rc = lease_keep(l, false, e);
		if (rc == 0)
			rc = one_back(&w, &journals[i], e);
	}
	for (; rc == 0 && w.left; w.left--)
		list[w.left - 1].until = harmed_until(&w, &list[w.left - 1].damage, NULL);
	map_clear(&w.next);
	return rc == 0 ? lease_keep(l, true, e) : rc;
}
