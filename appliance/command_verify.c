/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/harm.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

#define WAITING_MAX 4096

struct report {
	struct home *home;
	const struct machine_row *machine;
	const struct disk_row *disk;
	struct lease lease; /* on the machine */
	uint64_t *points; /* that have the disk, newest first */
	size_t point_count;
	struct harm *waiting; /* WAITING_MAX: found, and not told yet */
	size_t waiting_count;
	uint64_t tell_at; /* monotonic ns */
	struct damage_row *old; /* found by an earlier verification, and not again so far */
	size_t old_count;
	uint64_t damages, bytes; /* of all disks */
};

static void print_damage(const struct report *r, const struct harm *harm)
{
	const struct damage *d = &harm->damage;
	size_t harmed = 0;

	printf("damaged: %s, disk %s, %" PRIu64 " bytes at %" PRIu64 ": %s; harms recovery points ",
	       r->machine->hostname, r->disk->name, d->length ? d->length : r->disk->size,
	       d->offset, d->text);
	for (size_t i = 0; i < r->point_count; i++) {
		if (r->points[i] >= d->epoch && r->points[i] < harm->until)
			printf("%s%" PRIu64, harmed++ ? ", " : "", r->points[i]);
	}
	if (r->disk->active)
		printf("%s; remedy: run `mobilityctl resync --now %s` on the machine, points after that are whole\n",
		       harmed ? "" : "none", r->disk->name);
	else
		printf("%s; there is no remedy, as the disk is not protected any more\n",
		       harmed ? "" : "none");
}

/*
 * Which points are harmed takes a pass over all later journals. The first damage is told at once; where there are more, some are told together, so that
 * a fifth of the time goes there at most.
 */
static int tell_waiting(struct report *r, struct err *e)
{
	uint64_t began = clock_monotonic_ns(), now;
	int rc;

	if (!r->waiting_count)
		return 0;
	rc = harm_find(r->home, &r->lease, r->disk, r->point_count ? r->points[0] : 0, r->waiting,
		       r->waiting_count, e);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < r->waiting_count; i++)
		print_damage(r, &r->waiting[i]);
	fflush(stdout);
	r->waiting_count = 0;
	now = clock_monotonic_ns();
	r->tell_at = now + 4 * (now - began);
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct damage_row *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->length < y->length ? -1 : x->length > y->length;
}

static void found_again(struct report *r, const struct damage_row *row)
{
	struct damage_row *old =
		r->old_count ? bsearch(row, r->old, r->old_count, sizeof(*row), by_place) : NULL;

	if (old) {
		r->old_count--;
		memmove(old, old + 1, (size_t)(r->old + r->old_count - old) * sizeof(*old));
	}
}

static int found(void *arg, const struct damage *d, struct err *e)
{
	struct report *r = arg;
	struct damage *own = &r->waiting[r->waiting_count].damage;
	struct damage_row row;
	int rc;

	*own = *d;
	/* The last block of the base is a whole one, whatever the disk's size. */
	if (own->offset < r->disk->size && own->length > r->disk->size - own->offset)
		own->length = r->disk->size - own->offset;
	row = (struct damage_row){own->offset, own->length ? own->length : r->disk->size};
	rc = catalog_damage_add(r->home->catalog, r->disk->id, row.offset, row.length, e);
	if (rc < 0)
		return rc;
	found_again(r, &row);
	r->damages++;
	r->waiting_count++;
	if (r->waiting_count < WAITING_MAX && clock_monotonic_ns() < r->tell_at)
		return 0;
	return tell_waiting(r, e);
}

/* The points that have the disk: all of the machine, or the one asked for. */
static int find_points(struct report *r, const struct point_row *only, struct err *e)
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
				r->points[r->point_count++] = points[i].epoch;
		}
	}
	return 0;
}

/* What an earlier verification found: what is still damaged is found again, the rest is forgotten at the end, when all was looked at. */
static int load_old(struct report *r, struct err *e)
{
	int rc = catalog_damage(r->home->catalog, r->disk->id, &r->old, e);

	if (rc < 0)
		return rc;
	r->old_count = (size_t)rc;
	return 0;
}

static int verify_one(struct report *r, const struct point_row *only, struct err *e)
{
	struct verify v = {r->home, &r->lease, r->disk, found, r, 0};
	int rc = find_points(r, only, e), told;
	struct err why;

	if (rc == 0 && !only)
		rc = load_old(r, e);
	if (rc == 0 && (!only || r->point_count))
		rc = verify_disk(&v, only ? only->epoch : UINT64_MAX, e);
	/* What was found is told, whatever came after it. */
	told = tell_waiting(r, rc == 0 ? e : &why);
	if (rc == 0)
		rc = told;
	if (rc == 0)
		rc = catalog_damage_forget(r->home->catalog, r->disk->id, r->old, r->old_count, e);
	r->bytes += v.checked;
	free(r->points);
	free(r->old);
	r->points = NULL;
	r->old = NULL;
	r->point_count = r->old_count = r->waiting_count = 0;
	return rc;
}

static int verify_machine(struct report *r, const struct machine_row *m, const char *point,
			  struct err *e)
{
	_cleanup_free_ struct disk_row *disks = NULL;
	struct point_row only;
	int n, rc = lease_take(r->home, m->id, &r->lease, e);

	if (rc < 0)
		return rc;
	r->machine = m;
	if (point)
		rc = command_find_point(r->home, m, point, &only, e);
	if (rc == 0 && point)
		command_say_point("verifying", m, &only);
	n = rc < 0 ? rc : catalog_disks(r->home->catalog, m->id, false, &disks, e);
	for (int i = 0; i < n && rc == 0; i++) {
		r->disk = &disks[i];
		rc = verify_one(r, point ? &only : NULL, e);
	}
	lease_drop(&r->lease);
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
	r.waiting = calloc(WAITING_MAX, sizeof(*r.waiting));
	rc = r.waiting ? home_open(&h, dir, &e) : err_set(&e, -ENOMEM, "out of memory");
	if (rc == 0 && argc)
		rc = command_find_machine(&h, argv[0], &m, &e);
	if (rc == 0)
		rc = argc ? verify_machine(&r, &m, argc > 1 ? argv[1] : NULL, &e)
			  : verify_all(&r, &e);
	free(r.waiting);
	if (rc < 0)
		return command_failed(&e);
	if (r.damages) {
		fflush(stdout);
		return command_error(EXIT_FAILED, "%" PRIu64 " damage%s in %s that were checked",
				     r.damages, r.damages == 1 ? "" : "s",
				     size_format(r.bytes, size));
	}
	printf("no damage in %s that were checked\n", size_format(r.bytes, size));
	return EXIT_DONE;
}
