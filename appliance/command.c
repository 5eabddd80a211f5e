/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/command.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

int command_error(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("mobility-appliance: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

int command_failed(const struct err *e)
{
	return command_error(EXIT_FAILED, "%s", e->text);
}

bool command_json(int *argc, char **argv)
{
	bool json = false;
	int n = 0;

	for (int i = 0; i < *argc; i++) {
		if (!strcmp(argv[i], "--json"))
			json = true;
		else
			argv[n++] = argv[i];
	}
	*argc = n;
	return json;
}

int command_find_machine(struct home *h, const char *name, struct machine_row *m, struct err *e)
{
	_cleanup_free_ struct machine_row *list = NULL;
	int n = catalog_machines(h->catalog, &list, e), found = 0;

	if (n < 0)
		return n;
	for (int i = 0; i < n; i++) {
		if (!strcmp(list[i].id, name)) {
			*m = list[i];
			return 0;
		}
		if (!strcmp(list[i].hostname, name)) {
			*m = list[i];
			found++;
		}
	}
	if (found == 1)
		return 0;
	if (found)
		return err_set(e, -EEXIST,
			       "%d machines have the name %s: give the id, which "
			       "`mobility-appliance machines` shows",
			       found, name);
	return err_set(e, -ENOENT,
		       "there is no machine %s; `mobility-appliance machines` lists them", name);
}

int command_find_point(struct home *h, const struct machine_row *m, const char *name,
		       struct point_row *p, struct err *e)
{
	_cleanup_free_ struct point_row *list = NULL;
	int n = catalog_points(h->catalog, m->id, 0, &list, e);

	if (n < 0)
		return n;
	if (n && !strcmp(name, "latest")) {
		*p = list[0];
		return 0;
	}
	/* Ids first: names are the machine's choice, and one that looks like an id must not stand for another point. */
	for (int i = 0; i < n; i++) {
		char id[32];

		snprintf(id, sizeof(id), "%" PRIu64, list[i].epoch);
		if (!strcmp(id, name)) {
			*p = list[i];
			return 0;
		}
	}
	for (int i = 0; i < n && *name; i++) {
		if (!strcmp(list[i].name, name)) {
			*p = list[i];
			return 0;
		}
	}
	if (n == 0)
		return err_set(e, -ENOENT, "machine %s has no recovery point yet", m->hostname);
	return err_set(e, -ENOENT,
		       "machine %s has no recovery point %s, or it has expired; "
		       "`mobility-appliance points` lists them",
		       m->hostname, name);
}

void command_say_point(const char *what, const struct machine_row *m, const struct point_row *p)
{
	char when[32];

	printf("%s recovery point %" PRIu64 " of %s, %s%s%s\n", what, p->epoch, m->hostname,
	       clock_format_utc(p->time, when), *p->name ? ", named " : "", p->name);
	fflush(stdout);
	if (p->doubt[0])
		fprintf(stderr,
			"mobility-appliance: warning: this recovery point is in doubt: %s. It may be right even so: verify what "
			"you need of it, or take another; `mobility-appliance points` tells which are not in doubt\n",
			p->doubt);
}
