/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/verify.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

/* A point of the disk that is being verified, and its map when a damage made it necessary. */
struct candidate {
	uint64_t epoch;
	bool mapped;
	struct image image;
};

struct report {
	struct home *home;
	const struct machine_row *machine;
	const struct disk_row *disk;
	struct candidate *points;
	size_t count;
	uint64_t damages, bytes; /* of all disks */
};

/* Does the image take any byte of the range from that epoch's journal (0: from the base)? */
static bool image_uses(const struct image *im, uint64_t epoch, uint64_t offset, uint64_t length)
{
	while (length) {
		struct piece p;
		uint64_t n, from;

		from = map_find(&im->map, offset, length, &p, &n) ? p.epoch : 0;
		if (from == epoch)
			return true;
		offset += n;
		length -= n;
	}
	return false;
}

static int map_candidate(struct report *r, struct candidate *c, struct err *e)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	int n = catalog_journals(r->home->catalog, r->disk->id, c->epoch, &journals, e), rc;

	if (n < 0 || c->mapped)
		return n < 0 ? n : 0;
	rc = image_open(r->home->store, r->disk, journals, (size_t)n, &c->image, e);
	c->mapped = rc == 0;
	return rc;
}

static int print_harmed(struct report *r, const struct damage *d, uint64_t length, struct err *e)
{
	size_t harmed = 0;

	for (size_t i = 0; i < r->count; i++) {
		struct candidate *c = &r->points[i];
		int rc = map_candidate(r, c, e);

		if (rc < 0)
			return rc;
		if (image_uses(&c->image, d->epoch, d->offset, length))
			printf("%s%" PRIu64, harmed++ ? ", " : "", c->epoch);
	}
	if (!harmed)
		printf("none");
	return 0;
}

static int found(void *arg, const struct damage *d, struct err *e)
{
	struct report *r = arg;
	uint64_t length = d->length ? d->length : r->disk->size;
	int rc = catalog_damage_add(r->home->catalog, r->disk->id, d->offset, length, e);

	if (rc < 0)
		return rc;
	r->damages++;
	printf("damaged: %s, disk %s, %" PRIu64 " bytes at %" PRIu64 ": %s; harms recovery points ",
	       r->machine->hostname, r->disk->name, length, d->offset, d->text);
	rc = print_harmed(r, d, length, e);
	printf("; remedy: run `mobilityctl resync --now %s` on the machine, points after that are whole\n",
	       r->disk->name);
	return rc;
}

/* The points that have the disk: all of the machine, or the one asked for. */
static int find_candidates(struct report *r, const struct point_row *only, struct err *e)
{
	_cleanup_free_ struct point_row *points = NULL;
	int n = catalog_points(r->home->catalog, r->machine->id, 0, &points, e);

	if (n < 0)
		return n;
	r->points = calloc((size_t)n + 1, sizeof(*r->points));
	if (!r->points)
		return err_set(e, -ENOMEM, "out of memory");
	for (int i = 0; i < n; i++) {
		_cleanup_free_ struct point_disk *disks = NULL;
		int count;

		if (only && points[i].epoch != only->epoch)
			continue;
		count = catalog_point_disks(r->home->catalog, r->machine->id, points[i].epoch,
					    &disks, e);
		if (count < 0)
			return count;
		for (int k = 0; k < count; k++) {
			if (!strcmp(disks[k].disk, r->disk->id))
				r->points[r->count++].epoch = points[i].epoch;
		}
	}
	return 0;
}

static int verify_one(struct report *r, struct lease *lease, const struct point_row *only,
		      struct err *e)
{
	struct verify v = {r->home, lease, r->disk, found, r, 0};
	int rc = find_candidates(r, only, e);

	/* What is still damaged is found again. */
	if (rc == 0 && !only)
		rc = catalog_damage_clear(r->home->catalog, r->disk->id, e);
	if (rc == 0 && (!only || r->count))
		rc = verify_disk(&v, only ? only->epoch : UINT64_MAX, e);
	r->bytes += v.checked;
	for (size_t i = 0; i < r->count; i++)
		image_clear(&r->points[i].image);
	free(r->points);
	r->points = NULL;
	r->count = 0;
	return rc;
}

static int verify_machine(struct report *r, const struct machine_row *m, const char *point,
			  struct err *e)
{
	_cleanup_free_ struct disk_row *disks = NULL;
	struct point_row only;
	struct lease lease;
	int n, rc = lease_take(r->home, m->id, &lease, e);

	if (rc < 0)
		return rc;
	r->machine = m;
	if (point)
		rc = command_find_point(r->home, m, point, &only, e);
	n = rc < 0 ? rc : catalog_disks(r->home->catalog, m->id, false, &disks, e);
	for (int i = 0; i < n && rc == 0; i++) {
		r->disk = &disks[i];
		rc = verify_one(r, &lease, point ? &only : NULL, e);
	}
	lease_drop(&lease);
	return n < 0 ? n : rc;
}

static int verify_all(struct report *r, struct err *e)
{
	_cleanup_free_ struct machine_row *list = NULL;
	int n = catalog_machines(r->home->catalog, &list, e), rc = 0;

	for (int i = 0; i < n && rc == 0; i++)
		rc = verify_machine(r, &list[i], NULL, e);
	return n < 0 ? n : rc;
}

int command_verify(const char *dir, int argc, char **argv)
{
	_cleanup_(home_close) struct home h = {0};
	struct report r = {.home = &h};
	struct machine_row m;
	char size[32];
	struct err e;
	int rc;

	if (argc > 2)
		return command_error(EXIT_USAGE, "verify takes MACHINE and POINT at most");
	rc = home_open(&h, dir, &e);
	if (rc == 0 && argc)
		rc = command_find_machine(&h, argv[0], &m, &e);
	if (rc == 0)
		rc = argc ? verify_machine(&r, &m, argc > 1 ? argv[1] : NULL, &e)
			  : verify_all(&r, &e);
	if (rc < 0)
		return command_failed(&e);
	if (r.damages) {
		fflush(stdout);
		return command_error(EXIT_FAILED, "%" PRIu64 " damages in %s that were checked",
				     r.damages, size_format(r.bytes, size));
	}
	printf("no damage in %s that were checked\n", size_format(r.bytes, size));
	return EXIT_DONE;
}
