/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a disk has that it can be called by. For identify.c alone, whose rules hold. sys_name is the name in sysfs, in which
 * / is written !.
 */
#ifndef MOBILITY_AGENT_IDENTIFY_KEY_H
#define MOBILITY_AGENT_IDENTIFY_KEY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define SYS_BLOCK "/sys/block"

enum key_kind { KEY_SERIAL, KEY_PTUUID, KEY_FSUUID, KEY_PATH };

enum key_kind key_kind_of(const char *key);
/* False: it has none of this kind. path: of its device, or of a plain file. */
bool key_make(enum key_kind kind, const char *sys_name, const char *path, char out[256]);
/* The serial number as earlier versions took it: of an NVMe namespace, its controller's. */
bool key_make_old(const char *sys_name, char out[256]);
/* Is it the key of this disk, or was it in an earlier version? */
bool key_is(const char *key, const char *sys_name, const char *path);
/*
 * Does udev know that the disk has another UUID? Then it need not be read, which for a disk that
 * does not answer takes for ever. Of a disk on which it found nothing at all it knows nothing.
 */
bool key_known_other(enum key_kind kind, const char *sys_name, const char *key);

/* An attribute of /sys/block/NAME without surrounding space; false if it is absent or empty. */
bool key_attribute(const char *sys_name, const char *attribute, char *out, size_t size);
void key_device_path(const char *sys_name, char out[PATH_MAX]);

#endif
