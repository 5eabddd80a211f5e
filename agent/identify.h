/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk is called, stably: its serial number, else the UUID of its partition table, else
 * that of the filesystem on the whole disk, else its path. Reads sysfs and (libblkid) the disk
 * itself; may sleep; any thread.
 */
#ifndef MOBILITY_AGENT_IDENTIFY_H
#define MOBILITY_AGENT_IDENTIFY_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

struct identity {
	char path[PATH_MAX]; /* canonical: /dev/NAME, or the file's real path */
	char name[256]; /* vda, dm-0; the file's basename, as the appliance takes it */
	char key[256]; /* "serial:…" "ptuuid:…" "fsuuid:…" "path:…" */
	bool file;
	dev_t rdev; /* of a block device */
	uint64_t size;
};

/*
 * Identify what path names. Refuses (with the remedy in the sentence) what cannot be protected:
 * partitions, directories, empty disks, sizes that are not a multiple of 512. Where another disk
 * of this machine has the same serial number or UUID the next kind of key is taken.
 */
int identify(const char *path, struct identity *id, struct err *e);

/*
 * Find a block device again by its key: path is where it is now. hint is where it was; with
 * hint_holds (names have not been given out anew since, as they are when the machine starts) it
 * decides when several match. -ENODEV: no such disk. -ENOTUNIQ: several, and nothing tells which.
 */
int identify_find(const char *key, const char *hint, bool hint_holds, char path[PATH_MAX],
		  struct err *e);

/* Replace what a name on the appliance may not contain. In place. */
void identify_clean(char *text);

#endif
