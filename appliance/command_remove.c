/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

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
	rc = store_remove_tree(h->store, name_machine(folder, m->id), e);
	return rc < 0 ? err_prefix(e,
				   "%s is forgotten, but not all of its data is removed: run "
				   "`mobility-appliance remove %s` again",
				   m->hostname, m->id)
		      : 0;
}

struct look {
	const char *machine;
	bool found;
};

static int is_machine(void *arg, const char *element)
{
	struct look *l = arg;

	l->found |= !strcmp(element, l->machine);
	return 0;
}

/*
 * What a removal that was cut short left. `serve` does the same (forget.c) where the catalog says that the machine was removed; here it is enough that there
 * is none: a catalog from before that was noted, or a restored one. -ENOENT: there is nothing, or it is no id.
 */
static int remove_left(struct home *h, const char *id, struct err *e)
{
	uint8_t uuid[UUID_BYTES];
	char folder[STORE_NAME_MAX];
	struct look look = {.machine = id};
	int rc;

	if (uuid_parse_text(id, uuid) < 0)
		return -ENOENT;
	rc = store_list(h->store, "machines", is_machine, &look, e);
	if (rc < 0)
		return rc;
	return look.found ? store_remove_tree(h->store, name_machine(folder, id), e) : -ENOENT;
}

static int remove_named(struct home *h, const char *name, struct err *e)
{
	struct machine_row m;
	struct err why;
	int rc = command_find_machine(h, name, &m, e);

	if (rc == 0) {
		rc = remove_machine(h, &m, e);
		if (rc == 0)
			printf("%s (%s) is forgotten, with its disks and recovery points\n",
			       m.hostname, m.id);
		return rc;
	}
	if (rc != -ENOENT)
		return rc;
	rc = remove_left(h, name, &why);
	if (rc == 0)
		printf("%s was forgotten before; what was left of its data is removed\n", name);
	else if (rc != -ENOENT)
		*e = why;
	return rc;
}

int command_remove(const char *dir, int argc, char **argv)
{
	_cleanup_(home_close) struct home h = {0};
	struct err e;
	int rc;

	if (argc != 1)
		return command_error(EXIT_USAGE, "remove takes one MACHINE");
	rc = home_open(&h, dir, &e);
	if (rc == 0)
		rc = remove_named(&h, argv[0], &e);
	return rc < 0 ? command_failed(&e) : EXIT_DONE;
}
