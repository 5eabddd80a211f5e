/* SPDX-License-Identifier: Apache-2.0 */
/* machines, disks, points: a table for people, or JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api.h"
#include "appliance/command.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"

/* Print {"member": list}; takes list. */
static int print_json(const char *member, json_t *list, const struct err *e)
{
	_cleanup_json_ json_t *o = list ? json_pack("{s:o}", member, list) : NULL;
	_cleanup_free_ char *text = o ? json_text(o) : NULL;

	if (!text)
		return list ? command_error(EXIT_FAILED, "out of memory") : command_failed(e);
	puts(text);
	return EXIT_DONE;
}

/* The optional MACHINE argument of a command; *id is NULL without. */
static int one_machine(struct home *h, const char *command, int argc, char **argv,
		       struct machine_row *m, const char **id)
{
	struct err e;

	*id = NULL;
	if (argc > 1)
		return command_error(EXIT_USAGE, "%s takes one MACHINE at most", command);
	if (argc == 0)
		return EXIT_DONE;
	if (command_find_machine(h, argv[0], m, &e) < 0)
		return command_failed(&e);
	*id = m->id;
	return EXIT_DONE;
}

static json_t *json_of_machine(struct home *h, const struct machine_row *m, struct err *e)
{
	_cleanup_json_ json_t *points = json_of_points(h->catalog, m->id, 1, e);
	_cleanup_free_ struct disk_row *disks = NULL;
	int n = catalog_disks(h->catalog, m->id, true, &disks, e);

	if (!points || n < 0)
		return NULL;
	return json_pack("{s:s, s:s, s:I, s:I, s:i, s:O?}", "id", m->id, "hostname", m->hostname,
			 "enrolled", (json_int_t)m->enrolled, "epoch", (json_int_t)m->committed,
			 "disks", n, "last_point", json_array_get(points, 0));
}

/* A segment of the usual size is refused when less than this is free beyond the reserve. */
#define FULL_BELOW (4u << 20)

static bool store_full(const struct home *h, uint64_t space)
{
	return space < h->config.reserve + FULL_BELOW;
}

static json_t *json_of_store(struct home *h, struct err *e)
{
	uint64_t space;

	if (store_space(h->store, &space, e) < 0)
		return NULL;
	return json_pack("{s:I, s:I, s:b}", "free", (json_int_t)space, "reserve",
			 (json_int_t)h->config.reserve, "full", store_full(h, space));
}

static int print_store(struct home *h)
{
	char left[32], reserve[32];
	uint64_t space;
	struct err e;

	if (store_space(h->store, &space, &e) < 0)
		return command_failed(&e);
	if (store_full(h, space))
		printf("The store is full: %s are free and %s are the reserve, so segments are refused until there is "
		       "room. Give it more space, or shorten the retention.\n",
		       size_format(space, left), size_format(h->config.reserve, reserve));
	return EXIT_DONE;
}

static int machines_json(struct home *h, const struct machine_row *list, int n)
{
	_cleanup_json_ json_t *o = NULL;
	_cleanup_free_ char *text = NULL;
	json_t *all = json_array();
	struct err e = {0};
	json_t *store;

	for (int i = 0; i < n && all; i++) {
		if (json_array_append_new(all, json_of_machine(h, &list[i], &e)) < 0) {
			json_decref(all);
			all = NULL;
		}
	}
	store = all ? json_of_store(h, &e) : NULL;
	o = json_pack("{s:o, s:o}", "machines", all, "store", store);
	text = o ? json_text(o) : NULL;
	if (!text)
		return e.code ? command_failed(&e) : command_error(EXIT_FAILED, "out of memory");
	puts(text);
	return EXIT_DONE;
}

static int machines_table(struct home *h, const struct machine_row *list, int n)
{
	char when[32];
	struct err e;

	printf("%-36s  %-20s  %5s  %10s  %s\n", "MACHINE", "HOST NAME", "DISKS", "EPOCH",
	       "LAST RECOVERY POINT");
	for (int i = 0; i < n; i++) {
		_cleanup_free_ struct point_row *point = NULL;
		_cleanup_free_ struct disk_row *disks = NULL;
		int points = catalog_points(h->catalog, list[i].id, 1, &point, &e);
		int count = points < 0 ? points
				       : catalog_disks(h->catalog, list[i].id, true, &disks, &e);

		if (count < 0)
			return command_failed(&e);
		printf("%-36s  %-20s  %5d  %10" PRIu64 "  %s\n", list[i].id, list[i].hostname,
		       count, list[i].committed,
		       points ? clock_format_utc(point[0].time, when) : "none yet");
	}
	return print_store(h);
}

int command_machines(const char *dir, int argc, char **argv)
{
	_cleanup_(home_close) struct home h = {0};
	_cleanup_free_ struct machine_row *list = NULL;
	bool json = command_json(&argc, argv);
	struct err e;
	int n;

	if (argc)
		return command_error(EXIT_USAGE, "machines takes --json only");
	if (home_open(&h, dir, &e) < 0)
		return command_failed(&e);
	n = catalog_machines(h.catalog, &list, &e);
	if (n < 0)
		return command_failed(&e);
	return json ? machines_json(&h, list, n) : machines_table(&h, list, n);
}

static int disks_json(const struct disk_row *list, int n)
{
	json_t *all = json_array();
	struct err e = {0};

	for (int i = 0; i < n; i++) {
		json_t *o = json_of_disk(&list[i]);

		json_object_set_new(o, "machine", json_string(list[i].machine));
		json_object_set_new(o, "active", json_boolean(list[i].active));
		json_array_append_new(all, o);
	}
	return print_json("disks", all, &e);
}

static int disks_table(const struct disk_row *list, int n)
{
	char size[32], done[32];

	printf("%-36s  %-12s  %-36s  %10s  %-10s  %-10s  %10s\n", "MACHINE", "NAME", "DISK", "SIZE",
	       "STATE", "REPLICATED", "EPOCH");
	for (int i = 0; i < n; i++) {
		snprintf(done, sizeof(done), "%.1f %%",
			 100.0 * (double)list[i].replicated / (double)list[i].size);
		printf("%-36s  %-12s  %-36s  %10s  %-10s  %-10s  %10" PRIu64 "\n", list[i].machine,
		       list[i].name, list[i].id, size_format(list[i].size, size),
		       list[i].active ? disk_state_name(list[i].state) : "ended", done,
		       list[i].epoch);
	}
	return EXIT_DONE;
}

int command_disks(const char *dir, int argc, char **argv)
{
	_cleanup_(home_close) struct home h = {0};
	_cleanup_free_ struct disk_row *list = NULL;
	bool json = command_json(&argc, argv);
	struct machine_row m;
	const char *machine;
	struct err e;
	int n, rc;

	if (home_open(&h, dir, &e) < 0)
		return command_failed(&e);
	rc = one_machine(&h, "disks", argc, argv, &m, &machine);
	if (rc)
		return rc;
	n = catalog_disks(h.catalog, machine, false, &list, &e);
	if (n < 0)
		return command_failed(&e);
	return json ? disks_json(list, n) : disks_table(list, n);
}

static int points_table(struct home *h, const char *machine)
{
	_cleanup_free_ struct point_row *list = NULL;
	char when[32], kept[32];
	struct err e;
	int n = catalog_points(h->catalog, machine, 0, &list, &e);

	if (n < 0)
		return command_failed(&e);
	printf("%-36s  %10s  %-20s  %-20s  %-11s  %-8s  %s\n", "MACHINE", "POINT", "TIME",
	       "RECEIVED", "CONSISTENCY", "BOOKMARK", "WHY NOT APPLICATION");
	for (int i = 0; i < n; i++) {
		printf("%-36s  %10" PRIu64 "  %-20s  %-20s  %-11s  %-8s  %s\n", list[i].machine,
		       list[i].epoch, clock_format_utc(list[i].time, when),
		       clock_format_utc(list[i].committed_at, kept), list[i].consistency,
		       list[i].name, list[i].reason);
		if (list[i].doubt[0])
			printf("    in doubt: %s\n", list[i].doubt);
	}
	return EXIT_DONE;
}

int command_points(const char *dir, int argc, char **argv)
{
	_cleanup_(home_close) struct home h = {0};
	bool json = command_json(&argc, argv);
	struct machine_row m;
	const char *machine;
	struct err e = {0};
	int rc;

	if (home_open(&h, dir, &e) < 0)
		return command_failed(&e);
	rc = one_machine(&h, "points", argc, argv, &m, &machine);
	if (rc)
		return rc;
	if (json)
		return print_json("points", json_of_points(h.catalog, machine, 0, &e), &e);
	return points_table(&h, machine);
}
