// SPDX-License-Identifier: Apache-2.0
#include "agent/identify_key.h"

#include <blkid/blkid.h>
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/identify.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define UDEV_RECORDS "/run/udev/data"
#define UDEV_RECORD_MAX (1u << 20)

static const char *const key_prefix[] = {"serial:", "ptuuid:", "fsuuid:", "path:"};

enum key_kind key_kind_of(const char *key)
{
	for (int kind = KEY_SERIAL; kind < KEY_PATH; kind++) {
		if (!strncmp(key, key_prefix[kind], strlen(key_prefix[kind])))
			return (enum key_kind)kind;
	}
	return KEY_PATH;
}

bool key_attribute(const char *name, const char *attribute, char *out, size_t size)
{
	_cleanup_free_ char *raw = NULL;
	char path[600], *s;
	size_t n;

	snprintf(path, sizeof(path), SYS_BLOCK "/%s/%s", name, attribute);
	if (io_read_file(path, 4096, &raw, &n, NULL))
		return false;
	s = raw + strspn(raw, " \t\n");
	n = strlen(s);
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		s[--n] = '\0';
	snprintf(out, size, "%s", s);
	return out[0] != '\0';
}

/* As it was named before namespaces had names of their own: keys that exist are found by that. */
static bool old_serial_of(const char *name, char *out, size_t size)
{
	static const char *const attributes[] = {"serial",	"device/serial", "wwid",
						 "device/wwid", "dm/uuid",	 "md/uuid"};

	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (key_attribute(name, attributes[i], out, size))
			return true;
	}
	return false;
}

/* The serial number of an NVMe namespace is its controller's, which all of them have. */
static bool serial_of(const char *name, char *out, size_t size)
{
	if (!strncmp(name, "nvme", 4) && key_attribute(name, "wwid", out, size))
		return true;
	return old_serial_of(name, out, size);
}

/*
 * The UUID of the partition table (want PTUUID) or of the filesystem (want UUID) on the whole
 * disk.
 */
static bool probe_uuid(const char *path, const char *want, char *out, size_t size)
{
	blkid_probe pr = blkid_new_probe_from_filename(path);
	const char *value = NULL;
	bool found = false;

	if (!pr)
		return false;
	blkid_probe_enable_partitions(pr, 1);
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_UUID);
	if (blkid_do_safeprobe(pr) == 0 && blkid_probe_lookup_value(pr, want, &value, NULL) == 0 &&
	    value && *value) {
		snprintf(out, size, "%s", value);
		found = true;
	}
	blkid_free_probe(pr);
	return found;
}

/* The value of a property in a record of udev, whose lines are E:NAME=VALUE; false if it has none. */
static bool udev_property(const char *record, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);

	for (const char *line = record; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, "E:", 2) != 0 || strncmp(line + 2, name, len) != 0 ||
		    line[2 + len] != '=')
			continue;
		line += 3 + len;
		snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
		return true;
	}
	return false;
}

/* What udev has written down of a disk, when it appeared and whenever somebody had written to it. */
static char *udev_record(const char *sys_name)
{
	char dev[32], path[64], *text = NULL;
	size_t n;

	if (!key_attribute(sys_name, "dev", dev, sizeof(dev)))
		return NULL;
	snprintf(path, sizeof(path), UDEV_RECORDS "/b%s", dev);
	return io_read_file(path, UDEV_RECORD_MAX, &text, &n, NULL) ? NULL : text;
}

bool key_known_other(enum key_kind kind, const char *sys_name, const char *key)
{
	_cleanup_free_ char *record = NULL;
	char value[200];

	if (kind != KEY_PTUUID && kind != KEY_FSUUID)
		return false;
	record = udev_record(sys_name);
	if (!record)
		return false;
	if (udev_property(record, kind == KEY_PTUUID ? "ID_PART_TABLE_UUID" : "ID_FS_UUID", value,
			  sizeof(value))) {
		identify_clean(value);
		return strcmp(value, key + strlen(key_prefix[kind])) != 0;
	}
	return udev_property(record, "ID_PART_TABLE_TYPE", value, sizeof(value)) ||
	       udev_property(record, "ID_FS_TYPE", value, sizeof(value));
}

static bool value_of(enum key_kind kind, const char *name, const char *path, char *out, size_t size)
{
	switch (kind) {
	case KEY_SERIAL:
		return serial_of(name, out, size);
	case KEY_PTUUID:
		return probe_uuid(path, "PTUUID", out, size);
	case KEY_FSUUID:
		return probe_uuid(path, "UUID", out, size);
	case KEY_PATH:
		if (strlen(path) >= size)
			return false;
		strcpy(out, path);
		break;
	}
	return true;
}

static void write_key(enum key_kind kind, char *value, char out[256])
{
	identify_clean(value);
	snprintf(out, 256, "%s%s", key_prefix[kind], value);
}

bool key_make(enum key_kind kind, const char *sys_name, const char *path, char out[256])
{
	char value[200];

	if (!value_of(kind, sys_name, path, value, sizeof(value)))
		return false;
	write_key(kind, value, out);
	return true;
}

bool key_make_old(const char *sys_name, char out[256])
{
	char value[200];

	if (!old_serial_of(sys_name, value, sizeof(value)))
		return false;
	write_key(KEY_SERIAL, value, out);
	return true;
}

bool key_is(const char *key, const char *sys_name, const char *path)
{
	enum key_kind kind = key_kind_of(key);
	char own[256];

	if (key_make(kind, sys_name, path, own) && !strcmp(own, key))
		return true;
	return kind == KEY_SERIAL && key_make_old(sys_name, own) && !strcmp(own, key);
}

void key_device_path(const char *sys_name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "/dev/%s", sys_name);
	for (char *c = out; *c; c++) {
		if (*c == '!')
			*c = '/';
	}
}
