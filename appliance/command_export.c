/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/export.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/io.h"

struct target {
	struct home home;
	struct machine_row machine;
	struct point_row point;
	struct lease lease;
	const char *folder;
};

#define FILE_NAME_MAX (NAME_MAX - sizeof(".raw.part") + 1)

/* The disk's name is taken already, or as a file's too long. */
static bool needs_id(const struct point_disk *disks, int n, int i)
{
	for (int k = 0; k < n; k++) {
		if (k != i && !strcmp(disks[k].name, disks[i].name))
			return true;
	}
	return strlen(disks[i].name) > FILE_NAME_MAX;
}

/* The file's name: the disk's, with the id where that is not enough. */
static int file_name(const struct point_disk *disks, int n, int i, char **name)
{
	const struct point_disk *d = &disks[i];
	size_t len = strlen(d->name), most = FILE_NAME_MAX - strlen("-") - strlen(d->disk);

	if (!needs_id(disks, n, i)) {
		*name = strdup(d->name);
		return *name ? 0 : -ENOMEM;
	}
	if (len > most)
		len = most;
	/* Not in the middle of a character. */
	while (((unsigned char)d->name[len] & 0xc0) == 0x80)
		len--;
	return asprintf(name, "%.*s-%s", (int)len, d->name, d->disk) < 0 ? -ENOMEM : 0;
}

/* The disk as of the point. It may have journals for minutes of reading. */
static int make_image(struct target *t, const struct disk_row *d, struct image *im, struct err *e)
{
	_cleanup_free_ struct journal_row *journals = NULL;
	int n = catalog_journals(t->home.catalog, d->id, t->point.epoch, &journals, e);
	int rc = n < 0 ? n : image_open(t->home.store, d, NULL, 0, im, e);

	for (int i = 0; rc == 0 && i < n; i++) {
		rc = lease_keep(&t->lease, false, e);
		if (rc == 0)
			rc = image_add(im, &journals[i], e);
	}
	if (rc == 0 && map_collapse(&im->map) < 0)
		rc = err_set(e, -ENOMEM, "out of memory");
	return rc;
}

static int export_disk(struct target *t, const struct point_disk *d, const char *name,
		       struct err *e)
{
	_cleanup_(image_clear) struct image image = {0};
	char size[32], some[32];
	struct disk_row row;
	uint64_t data = 0;
	int rc = catalog_disk(t->home.catalog, d->disk, &row, e);

	if (rc == 0 && row.base_epoch > t->point.epoch)
		rc = err_set(e, -ENOENT, "the recovery point has expired");
	if (rc == 0) {
		const struct base_of of = base_of_disk(t->home.store, &row);

		rc = base_check_epoch(&of, row.fold_target, e);
	}
	if (rc == 0)
		rc = make_image(t, &row, &image, e);
	if (rc == 0)
		rc = export_raw(&image, &t->lease, d->size, t->folder, name, &data, e);
	if (rc < 0)
		return err_prefix(e, "disk %s", d->name);
	printf("%s: %s, %s of it data, written to %s/%s.raw\n", d->name, size_format(d->size, size),
	       size_format(data, some), t->folder, name);
	fflush(stdout);
	return 0;
}

static int export_point(struct target *t, struct err *e)
{
	_cleanup_free_ struct point_disk *disks = NULL;
	int n = catalog_point_disks(t->home.catalog, t->machine.id, t->point.epoch, &disks, e);
	int rc = 0;

	if (n < 0)
		return n;
	if (n == 0)
		return err_set(e, -ENOENT, "the recovery point has expired");
	for (int i = 0; i < n && rc == 0; i++) {
		_cleanup_free_ char *name = NULL;

		rc = file_name(disks, n, i, &name);
		rc = rc < 0 ? err_set(e, rc, "out of memory") : export_disk(t, &disks[i], name, e);
	}
	return rc;
}

/* MACHINE POINT --format raw OUTDIR, the option anywhere. */
static int parse(int argc, char **argv, const char *plain[3])
{
	const char *format = NULL;
	int n = 0;

	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--format")) {
			if (++i == argc)
				return command_error(EXIT_USAGE, "--format needs a value: raw");
			format = argv[i];
		} else if (n == 3) {
			return command_error(EXIT_USAGE,
					     "export takes MACHINE POINT --format raw OUTDIR");
		} else {
			plain[n++] = argv[i];
		}
	}
	if (n != 3 || !format)
		return command_error(EXIT_USAGE, "export takes MACHINE POINT --format raw OUTDIR");
	if (strcmp(format, "raw"))
		return command_error(EXIT_USAGE, "the format is raw, not %s", format);
	return EXIT_DONE;
}

int command_export(const char *dir, int argc, char **argv)
{
	const char *plain[3];
	struct target t = {0};
	struct err e;
	int rc = parse(argc, argv, plain);

	if (rc)
		return rc;
	t.folder = plain[2];
	rc = home_open(&t.home, dir, &e);
	if (rc < 0)
		return command_failed(&e);
	rc = command_find_machine(&t.home, plain[0], &t.machine, &e);
	if (rc == 0)
		rc = lease_take(&t.home, t.machine.id, &t.lease, &e);
	if (rc == 0)
		rc = command_find_point(&t.home, &t.machine, plain[1], &t.point, &e);
	if (rc == 0)
		rc = io_mkdirs(t.folder, 0700, &e);
	if (rc == 0)
		command_say_point("exporting", &t.machine, &t.point);
	if (rc == 0)
		rc = export_point(&t, &e);
	lease_drop(&t.lease);
	home_close(&t.home);
	if (rc == -EILSEQ || rc == -EBADMSG)
		return command_error(
			EXIT_FAILED,
			"%s; `mobility-appliance verify` tells which points are harmed", e.text);
	return rc < 0 ? command_failed(&e) : EXIT_DONE;
}
