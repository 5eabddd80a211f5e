/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash left behind, put right before anybody is served. */
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

int policy_recover(struct appliance *app, struct err *e)
{
	struct home *h = &app->home;
	_cleanup_free_ struct machine_row *machines = NULL;
	int n = catalog_machines(h->catalog, &machines, e), rc = 0;

	for (int i = 0; i < n && rc == 0; i++) {
		_cleanup_free_ struct disk_row *disks = NULL;
		int count = catalog_disks(h->catalog, machines[i].id, false, &disks, e);

		if (count < 0)
			return count;
		for (int k = 0; k < count && rc == 0; k++) {
			struct err why;

			rc = sweep_disk(h, &machines[i], &disks[k], e);
			if (rc == 0 && fold_recover(h->catalog, h->store, &disks[k], &why) < 0)
				log_error("disk %s (%s): folding cannot go on: %s", disks[k].name,
					  disks[k].id, why.text);
		}
	}
	return n < 0 ? n : rc;
}
