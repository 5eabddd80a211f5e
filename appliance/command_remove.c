/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "appliance/command.h"
#include "appliance/lease.h"
#include "appliance/names.h"
#include "lib/cleanup.h"

/* The rows go first: from then on the machine's certificate opens nothing, and what is left of its data is nobody's. */
static int remove_machine(struct home *h, const struct machine_row *m, struct err *e)
{
	char folder[STORE_NAME_MAX];
	struct lease lease;
	int rc = lease_take(h, m->id, &lease, e);

	if (rc < 0)
		return rc;
	rc = catalog_machine_remove(h->catalog, m->id, e);
	if (rc < 0) {
		lease_drop(&lease);
		return rc;
	}
	return store_remove_tree(h->store, name_machine(folder, m->id), e);
}

int command_remove(const char *dir, int argc, char **argv)
{
	_cleanup_(home_close) struct home h = {0};
	struct machine_row m;
	struct err e;
	int rc;

	if (argc != 1)
		return command_error(EXIT_USAGE, "remove takes one MACHINE");
	rc = home_open(&h, dir, &e);
	if (rc == 0)
		rc = command_find_machine(&h, argv[0], &m, &e);
	if (rc == 0)
		rc = remove_machine(&h, &m, &e);
	if (rc < 0)
		return command_failed(&e);
	printf("%s (%s) is forgotten, with its disks and recovery points\n", m.hostname, m.id);
	return EXIT_DONE;
}
