/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliance/fold.h"
#include "appliance/lease.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

#define EXTEND_NS (10 * NSEC_PER_SEC)
#define WAIT_NS (60 * NSEC_PER_SEC)

/* How many of the machine's disks may be being written by a fold. */
static int folding(struct home *h, const char *machine, struct err *e)
{
	_cleanup_free_ struct disk_row *disks = NULL;
	int n = catalog_disks(h->catalog, machine, false, &disks, e), active = 0;

	for (int i = 0; i < n; i++)
		active += disks[i].fold_active;
	return n < 0 ? n : active;
}

static bool is_paused(struct home *h, const char *disk)
{
	struct disk_row d;
	struct err e;

	return catalog_disk(h->catalog, disk, &d, &e) == 0 && !d.fold_active;
}

/* A fold that died with its process never pauses: when nobody serves, finish its batch here. */
static int recover(struct home *h, const char *machine, struct err *e)
{
	_cleanup_free_ struct disk_row *disks = NULL;
	int lock = home_lock(h, e), n, rc = 0;

	if (lock == -EBUSY)
		return 0;
	if (lock < 0)
		return lock;
	n = catalog_disks(h->catalog, machine, false, &disks, e);
	for (int i = 0; i < n && rc == 0; i++) {
		rc = fold_recover(h->catalog, h->store, &disks[i], e);
		/* Whoever needs what could not be made whole is told then. */
		if (rc < 0 && is_paused(h, disks[i].id)) {
			log_warning("disk %s (%s): %s", disks[i].name, disks[i].id, e->text);
			rc = 0;
		}
	}
	close(lock);
	return n < 0 ? n : rc;
}

static int wait_pause(struct home *h, const char *machine, struct err *e)
{
	const struct timespec nap = {.tv_nsec = 50 * 1000 * 1000};
	uint64_t begin = clock_monotonic_ns();
	int rc;

	while ((rc = folding(h, machine, e)) > 0) {
		if (clock_monotonic_ns() - begin > WAIT_NS)
			return err_set(
				e, -EBUSY,
				"the appliance is folding the machine's oldest epochs and does "
				"not pause; try again");
		rc = recover(h, machine, e);
		if (rc < 0)
			return rc;
		nanosleep(&nap, NULL);
	}
	return rc;
}

int lease_take(struct home *h, const char *machine, struct lease *l, struct err *e)
{
	int rc;

	*l = (struct lease){.home = h, .extended = clock_monotonic_ns()};
	rc = catalog_lease_take(h->catalog, machine, clock_monotonic_ns() + LEASE_NS, &l->id, e);
	if (rc == 0)
		rc = wait_pause(h, machine, e);
	if (rc < 0)
		lease_drop(l);
	return rc;
}

int lease_keep(struct lease *l, bool now, struct err *e)
{
	uint64_t mono = clock_monotonic_ns();
	int rc;

	if (!now && mono - l->extended < EXTEND_NS)
		return 0;
	rc = catalog_lease_extend(l->home->catalog, l->id, mono, mono + LEASE_NS, e);
	if (rc == 0)
		l->extended = mono;
	return rc;
}

void lease_drop(struct lease *l)
{
	struct err e;

	if (l->id && catalog_lease_drop(l->home->catalog, l->id, &e) < 0)
		log_warning("a lease stays until it runs out: %s", e.text);
	l->id = 0;
}
