/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/live.h"
#include "appliance/names.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"

struct live {
	struct home *home;
	pthread_mutex_t lock; /* protects the lists */
	struct live_machine *machines;
	struct live_disk *disks;
};

int live_new(struct home *home, struct live **out, struct err *e)
{
	struct live *l = calloc(1, sizeof(*l));

	if (!l)
		return err_set(e, -ENOMEM, "out of memory");
	l->home = home;
	pthread_mutex_init(&l->lock, NULL);
	*out = l;
	return 0;
}

static void rwlock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	/* A stream of segments must not keep a commit waiting for ever. */
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

struct live_machine *live_machine(struct live *l, const char *id)
{
	struct live_machine *m;

	pthread_mutex_lock(&l->lock);
	for (m = l->machines; m && strcmp(m->id, id); m = m->next)
		;
	if (!m) {
		m = calloc(1, sizeof(*m));
		if (m) {
			strcpy(m->id, id);
			rwlock_init(&m->lock);
			pthread_mutex_init(&m->journals, NULL);
			m->live = l;
			m->next = l->machines;
			l->machines = m;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return m;
}

struct live_disk *live_disk(struct live *l, const char *machine, const char *id)
{
	struct live_disk *d;

	pthread_mutex_lock(&l->lock);
	for (d = l->disks; d && strcmp(d->id, id); d = d->next)
		;
	if (!d) {
		d = calloc(1, sizeof(*d));
		if (d) {
			strcpy(d->id, id);
			strcpy(d->machine, machine);
			d->live = l;
			rwlock_init(&d->lock);
			d->next = l->disks;
			l->disks = d;
		}
	}
	pthread_mutex_unlock(&l->lock);
	return d;
}

void live_free(struct live *l)
{
	if (!l)
		return;
	while (l->disks) {
		struct live_disk *d = l->disks;

		l->disks = d->next;
		journal_close(d->journal);
		image_clear(&d->image);
		pthread_rwlock_destroy(&d->lock);
		free(d);
	}
	while (l->machines) {
		struct live_machine *m = l->machines;

		l->machines = m->next;
		pthread_rwlock_destroy(&m->lock);
		pthread_mutex_destroy(&m->journals);
		free(m);
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int live_journal(struct live_machine *m, struct live_disk *d, uint64_t epoch, struct journal **out,
		 struct err *e)
{
	struct home *h = m->live->home;
	char name[STORE_NAME_MAX];
	int rc = 0;

	pthread_mutex_lock(&m->journals);
	if (!d->journal)
		rc = journal_open(h->store, name_journal(name, d->machine, d->id, epoch),
				  h->config.reserve, &d->journal, e);
	*out = d->journal;
	pthread_mutex_unlock(&m->journals);
	return rc;
}

/* Entries that are in a list stay there, and what follows one never changes: the lock is only for the first. */
static struct live_disk *first_disk(struct live *l)
{
	struct live_disk *d;

	pthread_mutex_lock(&l->lock);
	d = l->disks;
	pthread_mutex_unlock(&l->lock);
	return d;
}

struct live_machine *live_machines(struct live *l)
{
	struct live_machine *m;

	pthread_mutex_lock(&l->lock);
	m = l->machines;
	pthread_mutex_unlock(&l->lock);
	return m;
}

static void close_journal(struct live_disk *d)
{
	journal_close(d->journal);
	d->journal = NULL;
}

/* Without the lock of the lists: closing a file that was removed takes as long as giving back its space. */
void live_close_journals(struct live_machine *m)
{
	for (struct live_disk *d = first_disk(m->live); d; d = d->next) {
		if (!strcmp(d->machine, m->id))
			close_journal(d);
	}
}

void live_release_disk(struct live_disk *d)
{
	close_journal(d);
	live_drop_map(d);
}

void live_release(struct live_machine *m)
{
	for (struct live_disk *d = first_disk(m->live); d; d = d->next) {
		if (!strcmp(d->machine, m->id))
			live_release_disk(d);
	}
}

/* With d->lock held exclusively, as all up to refresh_map(). */
static void measure(struct live_disk *d)
{
	atomic_store(&d->map_bytes, d->mapped ? map_bytes(&d->image.map) : 0);
}

static void drop_map(struct live_disk *d)
{
	if (d->mapped)
		image_clear(&d->image);
	d->mapped = false;
	measure(d);
}

static int make_map(struct live *l, struct live_disk *d, struct err *e)
{
	struct journal_row *journals = NULL;
	struct disk_row row;
	int rc = catalog_disk(l->home->catalog, d->id, &row, e);

	/* Before the list is taken: what is committed from here on and is not in it says so again. */
	atomic_store(&d->map_behind, false);
	if (rc == 0)
		rc = catalog_journals(l->home->catalog, d->id, UINT64_MAX, &journals, e);
	if (rc < 0)
		return rc;
	d->map_epoch = rc ? journals[rc - 1].epoch : 0;
	rc = image_open(l->home->store, &row, journals, (size_t)rc, &d->image, e);
	d->mapped = rc == 0;
	measure(d);
	free(journals);
	return rc;
}

static int add_to_map(struct live_disk *d, const struct journal_row *j, struct err *e)
{
	int rc = image_add(&d->image, j, e);

	if (rc < 0) {
		log_warning("disk %s: the map in memory is made anew: %s", d->id, e->text);
		drop_map(d);
		return rc;
	}
	d->map_epoch = j->epoch;
	measure(d);
	return 0;
}

/* The map follows the commits that could not wait for its lock. */
static int catch_up(struct live *l, struct live_disk *d, struct err *e)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	int n, rc = 0;

	/* As in make_map(). */
	atomic_store(&d->map_behind, false);
	n = catalog_journals_after(l->home->catalog, d->id, d->map_epoch, &journals, e);
	if (n < 0) {
		atomic_store(&d->map_behind, true);
		return n;
	}
	for (int i = 0; rc == 0 && i < n; i++)
		rc = add_to_map(d, &journals[i], e);
	return rc;
}

/* Make the map as of the last committed epoch, with d->lock held exclusively. 1: it takes more than before. */
static int refresh_map(struct live *l, struct live_disk *d, struct err *e)
{
	int rc = 0;

	if (d->mapped && !atomic_load(&d->map_behind))
		return 0;
	if (d->mapped)
		rc = catch_up(l, d, e);
	/* Also when what was there could not be brought forward. */
	if (!d->mapped)
		rc = make_map(l, d, e);
	return rc < 0 ? rc : 1;
}

/* With l->lock held. */
static uint64_t sum_bytes(const struct live *l)
{
	uint64_t sum = 0;

	for (struct live_disk *d = l->disks; d; d = d->next)
		sum += atomic_load(&d->map_bytes);
	return sum;
}

/* The map that was used before this time, the longest ago; NULL: there is none. */
static struct live_disk *used_before(const struct live *l, uint64_t *before)
{
	struct live_disk *found = NULL;
	uint64_t newest = 0;

	for (struct live_disk *d = l->disks; d; d = d->next) {
		uint64_t used = __atomic_load_n(&d->map_used, __ATOMIC_RELAXED);

		if (atomic_load(&d->map_bytes) && used > *before && (!found || used < newest)) {
			found = d;
			newest = used;
		}
	}
	*before = newest;
	return found;
}

/* Back to what maps may take. What is being read stays: its readers would only have to make it again. */
static void keep_bound(struct live *l)
{
	uint64_t at = 0;
	struct live_disk *d;

	pthread_mutex_lock(&l->lock);
	while (sum_bytes(l) > l->home->config.map_memory && (d = used_before(l, &at)))
		live_drop_map(d);
	pthread_mutex_unlock(&l->lock);
}

uint64_t live_map_bytes(struct live *l)
{
	uint64_t sum;

	pthread_mutex_lock(&l->lock);
	sum = sum_bytes(l);
	pthread_mutex_unlock(&l->lock);
	return sum;
}

int live_read_begin(struct live *l, struct live_disk *d, struct err *e)
{
	bool grew = false;

	for (;;) {
		int rc;

		pthread_rwlock_rdlock(&d->lock);
		if (d->mapped && !atomic_load(&d->map_behind)) {
			__atomic_store_n(&d->map_used, clock_monotonic_ns(), __ATOMIC_RELAXED);
			/* Only now, when nobody can take this one away again. */
			if (grew)
				keep_bound(l);
			return 0;
		}
		pthread_rwlock_unlock(&d->lock);
		pthread_rwlock_wrlock(&d->lock);
		rc = refresh_map(l, d, e);
		grew |= rc > 0;
		__atomic_store_n(&d->map_used, clock_monotonic_ns(), __ATOMIC_RELAXED);
		pthread_rwlock_unlock(&d->lock);
		if (rc < 0)
			return rc;
	}
}

void live_committed(struct live_disk *d, const struct journal_row *j)
{
	bool grew = false;
	struct err e;

	if (pthread_rwlock_trywrlock(&d->lock)) {
		atomic_store(&d->map_behind, true);
		return;
	}
	/* A map that is behind takes no epoch before those that it lacks. */
	if (d->mapped && !atomic_load(&d->map_behind) && j->epoch > d->map_epoch)
		grew = add_to_map(d, j, &e) == 0;
	pthread_rwlock_unlock(&d->lock);
	if (grew)
		keep_bound(d->live);
}

void live_folded(struct live_disk *d, uint64_t epoch)
{
	if (d->mapped) {
		map_drop(&d->image.map, epoch);
		d->image.base_epoch = epoch;
	}
	measure(d);
}

bool live_mapped(struct live_disk *d)
{
	bool mapped;

	pthread_rwlock_rdlock(&d->lock);
	mapped = d->mapped;
	pthread_rwlock_unlock(&d->lock);
	return mapped;
}

void live_end_reading(struct live_disk *d)
{
	pthread_rwlock_wrlock(&d->lock);
	drop_map(d);
	pthread_rwlock_unlock(&d->lock);
}

void live_drop_map(struct live_disk *d)
{
	if (pthread_rwlock_trywrlock(&d->lock))
		return;
	drop_map(d);
	pthread_rwlock_unlock(&d->lock);
}

void live_trim(struct live *l, uint64_t idle_ns)
{
	uint64_t now = clock_monotonic_ns();

	pthread_mutex_lock(&l->lock);
	for (struct live_disk *d = l->disks; d; d = d->next) {
		uint64_t used = __atomic_load_n(&d->map_used, __ATOMIC_RELAXED);

		if (now - used >= idle_ns)
			live_drop_map(d);
	}
	pthread_mutex_unlock(&l->lock);
}
