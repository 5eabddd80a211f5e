/* SPDX-License-Identifier: Apache-2.0 */
/* What nobody can ask for any more goes: disks without a recovery point, and what `serve` keeps of machines that were removed. */
#include <errno.h>

#include "appliance/names.h"
#include "appliance/policy.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

/* A disk that is no longer protected and that no point names: nobody can ever ask for it. Its data goes later, without the machine's lock. */
static int forget_disk(struct appliance *app, const struct disk_row *d, struct err *e)
{
	struct live_disk *live = live_disk(app->live, d->machine, d->id);
	int rc = catalog_disk_remove(app->home.catalog, d->id, clock_monotonic_ns(), e);

	if (rc == 0) {
		if (live)
			live_release_disk(live);
		log_info("machine %s: disk %s (%s) is gone with its last recovery point",
			 d->machine, d->name, d->id);
	}
	return rc == -EAGAIN ? 0 : rc;
}

void policy_forget_disks(struct appliance *app, const char *machine)
{
	struct live_machine *m = live_machine(app->live, machine);
	_cleanup_free_ struct disk_row *disks = NULL;
	struct err e = {0};
	int n, used;

	if (!m)
		return;
	/* Nobody registers the disk again between the look and the change. */
	pthread_rwlock_wrlock(&m->lock);
	/*
	 * Who took a lease since the round's first look may have found a point that was expired after that. Who takes one after this look finds only points
	 * that are still there, and none of them names a disk that goes.
	 */
	n = catalog_leased(app->home.catalog, machine, clock_monotonic_ns(), &e);
	if (n == 0)
		n = catalog_disks(app->home.catalog, machine, false, &disks, &e);
	else if (n > 0)
		n = 0;
	for (int i = 0; i < n; i++) {
		if (disks[i].active)
			continue;
		used = catalog_disk_in_points(app->home.catalog, disks[i].id, &e);
		if (used < 0 || (used == 0 && forget_disk(app, &disks[i], &e) < 0))
			log_warning("disk %s (%s): %s", disks[i].name, disks[i].id, e.text);
	}
	pthread_rwlock_unlock(&m->lock);
	if (n < 0)
		log_warning("machine %s: %s", machine, e.text);
}

/*
 * Unlinking a large, fragmented file takes minutes. The row goes last: it is what a round after a crash finds again. Whoever still reads the disk for a
 * query of digests may make its cache or an index anew, and is waited for.
 */
static int remove_data(struct appliance *app, const struct gone_row *g, struct err *e)
{
	struct live_disk *live = live_disk(app->live, g->machine, g->disk);
	char name[STORE_NAME_MAX];
	int rc;

	if (!live)
		return err_set(e, -ENOMEM, "out of memory");
	live_end_reading(live);
	rc = store_remove_tree(app->home.store, name_disk(name, g->machine, g->disk), e);

	return rc < 0 ? rc : catalog_gone_forget(app->home.catalog, g->disk, e);
}

struct left {
	struct appliance *app;
	bool (*stop)(void *arg);
	void *arg;
};

static int remove_left(void *arg, const char *machine)
{
	struct left *l = arg;
	char name[STORE_NAME_MAX];
	struct err e;
	int rc = catalog_machine_removed(l->app->home.catalog, machine, &e);

	if (rc > 0)
		rc = store_remove_tree(l->app->home.store, name_machine(name, machine), &e);
	if (rc < 0)
		log_warning("what is left of machine %s, which was removed, is removed later: %s",
			    machine, e.text);
	return l->stop(l->arg);
}

/*
 * `remove` is another process: a request that had begun before may make a folder again after it, whatever locks it holds here. A later round finds that. Only
 * of machines that are known to be removed: to a catalog that was restored from an older copy, one that enrolled since looks just like them.
 */
static void remove_all_left(struct left *l)
{
	struct err e;

	if (store_list(l->app->home.store, "machines", remove_left, l, &e) < 0)
		log_warning("%s", e.text);
}

void policy_remove_data(struct appliance *app, bool (*stop)(void *arg), void *arg)
{
	_cleanup_free_ struct gone_row *gone = NULL;
	struct err e;
	int n = catalog_gone(app->home.catalog, &gone, &e);

	if (n < 0)
		log_warning("data of disks that are gone is removed later: %s", e.text);
	for (int i = 0; i < n && !stop(arg); i++) {
		if (remove_data(app, &gone[i], &e) < 0)
			log_warning("the data of disk %s (%s), which is gone, is removed later: %s",
				    gone[i].name, gone[i].disk, e.text);
	}
	remove_all_left(&(struct left){app, stop, arg});
}

/* `remove` is another process, which cannot tell us: files that we keep open would keep their space. */
void policy_release_removed(struct appliance *app)
{
	struct machine_row row;
	struct err e;

	for (struct live_machine *m = live_machines(app->live); m; m = m->next) {
		if (catalog_machine(app->home.catalog, m->id, &row, &e) != -ENOENT)
			continue;
		pthread_rwlock_wrlock(&m->lock);
		live_release(m);
		pthread_rwlock_unlock(&m->lock);
	}
}
