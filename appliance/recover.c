/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash left behind, put right before anybody is served; but nothing is touched where catalog and store do not belong together. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/fold.h"
#include "appliance/names.h"
#include "appliance/policy.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct sweep {
	struct home *home;
	const struct machine_row *machine;
	const struct disk_row *disk;
	struct journal_row *journals; /* ascending */
	size_t count;
	struct err *e;
};

static int by_epoch(const void *key, const void *row)
{
	const uint64_t *epoch = key;
	const struct journal_row *j = row;

	return *epoch < j->epoch ? -1 : *epoch > j->epoch;
}

static bool is_committed(const struct sweep *s, uint64_t epoch)
{
	return bsearch(&epoch, s->journals, s->count, sizeof(*s->journals), by_epoch);
}

/* Journals of epochs that were abandoned, or folded, just before a crash. */
static int sweep_file(void *arg, const char *element)
{
	struct sweep *s = arg;
	char name[STORE_NAME_MAX];
	uint64_t epoch;
	int rc;

	if (!name_epoch(element, &epoch) || epoch == s->machine->open_epoch ||
	    is_committed(s, epoch))
		return 0;
	if (epoch > s->machine->used_epoch)
		return err_set(s->e, -EUCLEAN,
			       "the store has epoch %llu of machine %s, which the catalog does not "
			       "know: catalog.db is older than the store; restore the right one",
			       (unsigned long long)epoch, s->machine->id);
	name_journal(name, s->disk->machine, s->disk->id, epoch);
	rc = store_remove(s->home->store, name, s->e);
	if (rc == 0)
		rc = store_remove(s->home->store,
				  name_index(name, s->disk->machine, s->disk->id, epoch), s->e);
	return rc;
}

static int sweep_disk(struct home *h, const struct machine_row *m, const struct disk_row *d,
		      struct err *e)
{
	struct sweep s = {.home = h, .machine = m, .disk = d, .e = e};
	char folder[STORE_NAME_MAX];
	int rc = catalog_journals(h->catalog, d->id, UINT64_MAX, &s.journals, e);

	if (rc >= 0) {
		s.count = (size_t)rc;
		rc = store_list(h->store, name_journals(folder, d->machine, d->id), sweep_file, &s,
				e);
	}
	free(s.journals);
	return rc;
}

/* Each disk of the machine, until something fails. */
static int each_disk(struct home *h, const struct machine_row *m,
		     int (*fn)(struct home *h, const struct machine_row *m,
			       const struct disk_row *d, struct err *e),
		     struct err *e)
{
	_cleanup_free_ struct disk_row *disks = NULL;
	int n = catalog_disks(h->catalog, m->id, false, &disks, e), rc = 0;

	for (int i = 0; i < n && rc == 0; i++)
		rc = fn(h, m, &disks[i], e);
	return n < 0 ? n : rc;
}

/* 1: the catalog says that the store has something of the disk. */
static int has_data(struct home *h, const struct machine_row *m, const struct disk_row *d,
		    struct err *e)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	int n = d->base_epoch ? 1 : catalog_journals(h->catalog, d->id, UINT64_MAX, &journals, e);

	(void)m;
	return n < 0 ? n : n > 0;
}

static int check_base(struct home *h, const struct machine_row *m, const struct disk_row *d,
		      struct err *e)
{
	const struct base_of of = base_of_disk(h->store, d);

	(void)m;
	return base_check_epoch(&of, d->fold_target, e);
}

static int recover_disk(struct home *h, const struct machine_row *m, const struct disk_row *d,
			struct err *e)
{
	struct err why;
	int rc = sweep_disk(h, m, d, e);

	if (rc == 0 && fold_recover(h->catalog, h->store, d, &why) < 0)
		log_error("disk %s (%s): folding cannot go on: %s", d->name, d->id, why.text);
	return rc;
}

struct folders {
	const struct machine_row *machines;
	int n;
	bool *there;
};

static int note_folder(void *arg, const char *element)
{
	struct folders *f = arg;

	for (int i = 0; i < f->n; i++)
		f->there[i] |= !strcmp(f->machines[i].id, element);
	return 0;
}

/* A store that is not mounted, or not restored yet, has no folder of any machine; one that lost some serves the others. */
static int check_folders(struct home *h, const struct folders *f, struct err *e)
{
	int there = 0, missing = 0,
	    rc = store_list(h->store, "machines", note_folder, (void *)f, e);

	for (int i = 0; i < f->n && rc >= 0; i++) {
		there += f->there[i];
		rc = f->there[i] ? 0 : each_disk(h, &f->machines[i], has_data, e);
		if (rc > 0)
			log_error("machine %s (%s): its folder is missing from %s/machines",
				  f->machines[i].hostname, f->machines[i].id, h->dir);
		missing += rc > 0;
	}
	if (rc < 0 || !missing || there)
		return rc < 0 ? rc : 0;
	return err_set(
		e, -EUCLEAN,
		"%s/machines has nothing of what catalog.db has recovery points of: is its "
		"filesystem mounted, and its restore complete? If the data is lost, forget the "
		"machines with `mobility-appliance remove` and enrol them again",
		h->dir);
}

int policy_recover(struct appliance *app, struct err *e)
{
	struct home *h = &app->home;
	_cleanup_free_ struct machine_row *machines = NULL;
	_cleanup_free_ bool *there = NULL;
	int n = catalog_machines(h->catalog, &machines, e), rc;

	if (n < 0)
		return n;
	there = calloc((size_t)n + 1, sizeof(*there));
	if (!there)
		return err_set(e, -ENOMEM, "out of memory");
	rc = check_folders(h, &(struct folders){machines, n, there}, e);
	for (int i = 0; i < n && rc == 0; i++)
		rc = each_disk(h, &machines[i], check_base, e);
	for (int i = 0; i < n && rc == 0; i++)
		rc = each_disk(h, &machines[i], recover_disk, e);
	return rc;
}
