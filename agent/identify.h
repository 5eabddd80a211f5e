/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk is called, stably: its serial number, else the UUID of its partition table, else
 * that of the filesystem on the whole disk, else its path. Reads sysfs and, where there is no serial
 * number, (libblkid) the disk itself and all others but those that udev knows to have another UUID. A
 * disk that does not answer is waited for without end; any thread, but the session looks for disks through finder.h.
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
	char old_key[256]; /* what an earlier version would have called it; "" the same */
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
 * Is what path names the disk or plain file of this key? Reads no other disk. Another may have the
 * same key.
 */
bool identify_is(const char *path, const char *key);

/*
 * Find a block device again by its key: path is where it is now. hint is where it was; with
 * hint_holds (names have not been given out anew since, as they are when the machine starts) it
 * decides when several match; of several with one serial number also the size (0: not known), where one alone has it.
 * -ENODEV: no such disk. -ENOTUNIQ: several, and nothing tells which.
 */
int identify_find(const char *key, const char *hint, bool hint_holds, uint64_t size,
		  char path[PATH_MAX], struct err *e);

/* Does it read disks to find this one? */
bool identify_reads(const char *key);
/* Is it called by its serial number? */
bool identify_by_serial(const char *key);

/* Replace what a name on the appliance may not contain. In place. */
void identify_clean(char *text);

#endif
