/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests that a resync would have to read for, computed in advance: a pass over each disk with new epochs, one after another, some seconds in each round of
 * the policy.
 */
#include <stdlib.h>

#include "appliance/digests.h"
#include "appliance/policy.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

#define INTERVAL_NS (3600 * NSEC_PER_SEC) /* of a disk: its map is made from all its indexes */
#define BUDGET (256 * DIGESTS_COMPUTED) /* at a time */

struct pass {
	struct live_disk *live;
	const struct disk_row *disk;
};

/* With the disk's lock held, shared. */
static int fill_part(struct appliance *app, const struct pass *p, struct err *e)
{
	struct digests digests;
	int rc = digests_open(&app->home, p->live, p->disk, &digests, e);

	if (rc < 0)
		return rc;
	rc = digests_fill(&digests, &p->live->fill_offset, BUDGET, e);
	digests_close(&digests);
	return rc;
}

static void begin(const struct pass *p)
{
	p->live->fill_epoch = p->disk->epoch;
	p->live->filled_ns = clock_monotonic_ns();
	p->live->fill_mapped = live_mapped(p->live);
}

/* The map is thrown away again if nobody else had made it. */
static void end(const struct pass *p)
{
	p->live->fill_offset = 0;
	if (!p->live->fill_mapped)
		live_drop_map(p->live);
}

/* At least one part, so that it comes to an end; in parts, so that commits and folds of the disk come in between. */
static void go_on(struct appliance *app, const struct pass *p, uint64_t until,
		  bool (*stop)(void *arg), void *arg)
{
	struct live_disk *live = p->live;
	struct err e;
	int rc;

	if (!live->fill_offset)
		begin(p);
	do {
		rc = live_read_begin(app->live, live, &e);
		if (rc < 0)
			break;
		rc = fill_part(app, p, &e);
		pthread_rwlock_unlock(&live->lock);
	} while (rc == 0 && live->fill_offset < p->disk->size && clock_monotonic_ns() < until &&
		 !stop(arg));
	if (rc < 0)
		log_warning("disk %s (%s): digests are computed later: %s", p->disk->name,
			    p->disk->id, e.text);
	else if (live->fill_offset < p->disk->size)
		return;
	else
		live->filled_epoch = live->fill_epoch;
	end(p);
}

static bool is_due(const struct pass *p, uint64_t now)
{
	const struct live_disk *l = p->live;

	return l->fill_offset || (l->filled_epoch < p->disk->epoch &&
				  (!l->filled_ns || now - l->filled_ns >= INTERVAL_NS));
}

/* The one that is begun, then those that were begun the longest time ago. */
static int compare(const void *a, const void *b)
{
	const struct live_disk *x = ((const struct pass *)a)->live;
	const struct live_disk *y = ((const struct pass *)b)->live;

	if (!x->fill_offset != !y->fill_offset)
		return x->fill_offset ? -1 : 1;
	return (x->filled_ns > y->filled_ns) - (x->filled_ns < y->filled_ns);
}

/* The disks that are due, in the order of their turns. */
static size_t find_due(struct appliance *app, const struct disk_row *disks, size_t n,
		       struct pass *due)
{
	uint64_t now = clock_monotonic_ns();
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		due[count].disk = &disks[i];
		due[count].live = live_disk(app->live, disks[i].machine, disks[i].id);
		count += due[count].live && is_due(&due[count], now);
	}
	qsort(due, count, sizeof(*due), compare);
	return count;
}

void policy_fill(struct appliance *app, uint64_t for_ns, bool (*stop)(void *arg), void *arg)
{
	uint64_t until = clock_monotonic_ns() + for_ns, space;
	_cleanup_free_ struct disk_row *disks = NULL;
	_cleanup_free_ struct pass *due = NULL;
	struct err e;
	int n = catalog_disks(app->home.catalog, NULL, true, &disks, &e);
	size_t count, i = 0;

	if (n < 0)
		log_warning("digests are computed later: %s", e.text);
	/* Without space for them they would be forgotten at once. */
	if (n <= 0 || store_space(app->home.store, &space, &e) < 0 ||
	    space <= app->home.config.reserve)
		return;
	due = calloc((size_t)n, sizeof(*due));
	if (!due)
		return;
	count = find_due(app, disks, (size_t)n, due);
	while (i < count && !stop(arg)) {
		go_on(app, &due[i++], until, stop, arg);
		if (clock_monotonic_ns() >= until)
			break;
	}
}
