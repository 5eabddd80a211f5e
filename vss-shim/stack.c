// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/stack.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define DEPTH_MAX 16

struct disks {
	const dev_t *disk;
	size_t count;
	bool exact; /* not what they are on */
};

static bool on(dev_t dev, const struct disks *d, int depth);

static void cleanup_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* The number in a sysfs file "dev"; 0 if there is none. */
static dev_t read_dev(const char *path)
{
	_cleanup_free_ char *text = NULL;
	unsigned int major, minor;

	if (io_read_file(path, 64, &text, NULL, NULL) || sscanf(text, "%u:%u", &major, &minor) != 2)
		return 0;
	return makedev(major, minor);
}

/* Any of the devices in the folder of links (slaves of a device, devices of a btrfs). */
static bool any_below(const char *folder, const struct disks *d, int depth)
{
	_cleanup_(cleanup_closedirp) DIR *dir = opendir(folder);
	char path[PATH_MAX];
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		dev_t dev;

		if (entry->d_name[0] == '.' || snprintf(path, sizeof(path), "%s/%s/dev", folder,
							entry->d_name) >= (int)sizeof(path))
			continue;
		dev = read_dev(path);
		if (dev && on(dev, d, depth + 1))
			return true;
	}
	return false;
}

/* A loop device is where its file is. */
static bool on_file(const char *sys, const struct disks *d, int depth)
{
	_cleanup_free_ char *file = NULL;
	char path[PATH_MAX];
	struct stat st;
	size_t len;

	if (snprintf(path, sizeof(path), "%s/loop/backing_file", sys) >= (int)sizeof(path) ||
	    io_read_file(path, PATH_MAX, &file, &len, NULL))
		return false;
	file[strcspn(file, "\n")] = '\0';
	/* Deleted, or on a btrfs: it cannot be told. */
	return stat(file, &st) || !major(st.st_dev) || on(st.st_dev, d, depth + 1);
}

static bool on(dev_t dev, const struct disks *d, int depth)
{
	char link[64], path[PATH_MAX];
	_cleanup_free_ char *sys = NULL;

	for (size_t i = 0; i < d->count; i++) {
		if (d->disk[i] == dev)
			return true;
	}
	if (d->exact)
		return false;
	if (depth > DEPTH_MAX)
		return true;
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	sys = realpath(link, NULL);
	if (!sys)
		return false; /* it has vanished */
	/* A partition is inside its disk's folder. */
	if (snprintf(path, sizeof(path), "%s/partition", sys) < (int)sizeof(path)) {
		struct stat st;

		if (!stat(path, &st)) {
			dev_t whole;

			*strrchr(sys, '/') = '\0';
			snprintf(path, sizeof(path), "%.4000s/dev", sys);
			whole = read_dev(path);
			return whole && on(whole, d, depth + 1);
		}
	}
	if (on_file(sys, d, depth))
		return true;
	return snprintf(path, sizeof(path), "%s/slaves", sys) < (int)sizeof(path) &&
	       any_below(path, d, depth);
}

/* /sys/fs/btrfs/UUID/devices of the filesystem that has this device; false: none. */
static bool btrfs_devices(dev_t dev, char out[PATH_MAX])
{
	_cleanup_(cleanup_closedirp) DIR *dir = opendir("/sys/fs/btrfs");
	const struct disks only = {&dev, 1, true};
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    snprintf(out, PATH_MAX, "/sys/fs/btrfs/%s/devices", entry->d_name) >= PATH_MAX)
			continue;
		if (any_below(out, &only, 0))
			return true;
	}
	return false;
}

bool stack_on(const struct mounted *m, const dev_t *disk, size_t count)
{
	const struct disks d = {disk, count, false};
	char devices[PATH_MAX];
	struct stat st;

	if (major(m->dev))
		return on(m->dev, &d, 0);
	if (stat(m->source, &st) || !S_ISBLK(st.st_mode))
		return true;
	if (btrfs_devices(st.st_rdev, devices))
		return any_below(devices, &d, 0);
	return on(st.st_rdev, &d, 0);
}
