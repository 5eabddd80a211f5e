// SPDX-License-Identifier: Apache-2.0
#include "agent/identify.h"

#include <blkid/blkid.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/text.h"

#define SYS_BLOCK "/sys/block"
#define UDEV_RECORDS "/run/udev/data"
#define UDEV_RECORD_MAX (1u << 20)

enum key_kind { KEY_SERIAL, KEY_PTUUID, KEY_FSUUID, KEY_PATH };

static const char *const key_prefix[] = {"serial:", "ptuuid:", "fsuuid:", "path:"};

static enum key_kind kind_of(const char *key)
{
	for (int kind = KEY_SERIAL; kind < KEY_PATH; kind++) {
		if (!strncmp(key, key_prefix[kind], strlen(key_prefix[kind])))
			return (enum key_kind)kind;
	}
	return KEY_PATH;
}

void identify_clean(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		unsigned char c = (unsigned char)*from;

		*to++ = isalnum(c) || strchr("._:+/@,=-", c) ? (char)c : '_';
	}
	*to = '\0';
}

/* An attribute of /sys/block/NAME without surrounding space; false if it is absent or empty. */
static bool sys_attribute(const char *name, const char *attribute, char *out, size_t size)
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

static bool serial_of(const char *name, char *out, size_t size)
{
	static const char *const attributes[] = {"serial",	"device/serial", "wwid",
						 "device/wwid", "dm/uuid",	 "md/uuid"};

	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		if (sys_attribute(name, attributes[i], out, size))
			return true;
	}
	return false;
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

	if (!sys_attribute(sys_name, "dev", dev, sizeof(dev)))
		return NULL;
	snprintf(path, sizeof(path), UDEV_RECORDS "/b%s", dev);
	return io_read_file(path, UDEV_RECORD_MAX, &text, &n, NULL) ? NULL : text;
}

/*
 * Does udev know that the disk has another UUID? Then it need not be read, which for a disk that
 * does not answer takes for ever. Of a disk on which it found nothing at all it knows nothing.
 */
static bool known_other(enum key_kind kind, const char *sys_name, const char *key)
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

/* name is that of sysfs, in which / is written ! */
static bool make_key(enum key_kind kind, const char *name, const char *path, char out[256])
{
	char value[200];
	bool found = true;

	switch (kind) {
	case KEY_SERIAL:
		found = serial_of(name, value, sizeof(value));
		break;
	case KEY_PTUUID:
		found = probe_uuid(path, "PTUUID", value, sizeof(value));
		break;
	case KEY_FSUUID:
		found = probe_uuid(path, "UUID", value, sizeof(value));
		break;
	case KEY_PATH:
		if (strlen(path) >= sizeof(value))
			return false;
		strcpy(value, path);
		break;
	}
	if (!found)
		return false;
	identify_clean(value);
	snprintf(out, 256, "%s%s", key_prefix[kind], value);
	return true;
}

static void device_path(const char *sys_name, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "/dev/%s", sys_name);
	for (char *c = out; *c; c++) {
		if (*c == '!')
			*c = '/';
	}
}

static int fill_device(const char *sys_name, struct identity *id, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	memset(id, 0, sizeof(*id));
	device_path(sys_name, id->path);
	snprintf(id->name, sizeof(id->name), "%s", sys_name);
	for (char *c = id->name; *c; c++) {
		if (*c == '!')
			*c = '-';
	}
	fd = open(id->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s", id->path);
	if (fstat(fd, &st) || !S_ISBLK(st.st_mode))
		return err_set(e, -ENOTBLK, "%s is not a block device", id->path);
	id->rdev = st.st_rdev;
	r = io_size(fd, &id->size);
	if (r)
		return err_errno(e, r, "cannot tell the size of %s", id->path);
	return 0;
}

/* Call match for each whole disk of the machine until it returns true. */
static bool each_disk(bool (*match)(const char *sys_name, void *arg), void *arg)
{
	DIR *dir = opendir(SYS_BLOCK);
	struct dirent *entry;
	bool stop = false;

	if (!dir)
		return false;
	while (!stop && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			stop = match(entry->d_name, arg);
	}
	closedir(dir);
	return stop;
}

struct search {
	enum key_kind kind;
	const char *key, *except, *hint;
	char found[PATH_MAX];
	unsigned int matches;
	bool at_hint;
};

static bool match_key(const char *sys_name, void *arg)
{
	struct search *s = arg;
	char path[PATH_MAX], key[256], size[32];

	if (s->except && !strcmp(s->except, sys_name))
		return false;
	/* Probing opens the device: leave out those that hold nothing. */
	if (!sys_attribute(sys_name, "size", size, sizeof(size)) || !strcmp(size, "0"))
		return false;
	if (known_other(s->kind, sys_name, s->key))
		return false;
	device_path(sys_name, path);
	if (!make_key(s->kind, sys_name, path, key) || strcmp(key, s->key) != 0)
		return false;
	s->matches++;
	if (!s->at_hint)
		strcpy(s->found, path);
	if (s->hint && !strcmp(path, s->hint))
		s->at_hint = true;
	return false;
}

static int choose_key(const char *sys_name, struct identity *id, struct err *e)
{
	for (int kind = KEY_SERIAL; kind <= KEY_PATH; kind++) {
		struct search s = {.kind = (enum key_kind)kind, .key = id->key, .except = sys_name};

		if (!make_key((enum key_kind)kind, sys_name, id->path, id->key))
			continue;
		each_disk(match_key, &s);
		if (!s.matches)
			return 0;
	}
	return err_set(e, -ENAMETOOLONG, "%s cannot be named: its path is too long", id->path);
}

/* The name in /sys/block of a block device; refuses partitions by naming their disk. */
static int whole_disk(dev_t rdev, const char *path, char out[256], struct err *e)
{
	char link[64], probe[PATH_MAX];
	_cleanup_free_ char *real = NULL;
	char *name;

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(rdev), minor(rdev));
	real = realpath(link, NULL);
	if (!real)
		return err_errno(e, -errno, "%s is not known to the kernel (%s)", path, link);
	snprintf(probe, sizeof(probe), "%s/partition", real);
	name = strrchr(real, '/');
	if (!access(probe, F_OK)) {
		*name = '\0';
		device_path(strrchr(real, '/') + 1, probe);
		return err_set(e, -ENXIO, "%s is a partition: protect the whole disk, %s", path,
			       probe);
	}
	snprintf(out, 256, "%s", name + 1);
	return 0;
}

static int identify_file(const char *real, uint64_t size, struct identity *id, struct err *e)
{
	memset(id, 0, sizeof(*id));
	id->file = true;
	id->size = size;
	snprintf(id->path, sizeof(id->path), "%s", real);
	snprintf(id->name, sizeof(id->name), "%s", strrchr(real, '/') + 1);
	if (!make_key(KEY_PATH, "", real, id->key))
		return err_set(e, -ENAMETOOLONG, "%s: the path is longer than 199 characters",
			       real);
	return 0;
}

int identify(const char *path, struct identity *id, struct err *e)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	char sys_name[256], shown[256];
	struct stat st;
	int r;

	if (!real || stat(real, &st))
		return err_errno(e, -errno, "cannot find %s", path);
	if (!text_utf8(real)) {
		text_escape(shown, sizeof(shown), real);
		return err_set(e, -EILSEQ, "the path %s is not UTF-8: rename it", shown);
	}
	if (S_ISREG(st.st_mode))
		r = identify_file(real, (uint64_t)st.st_size, id, e);
	else if (!S_ISBLK(st.st_mode))
		r = err_set(e, -ENOTBLK, "%s is neither a block device nor a plain file", path);
	else if (!(r = whole_disk(st.st_rdev, path, sys_name, e)) &&
		 !(r = fill_device(sys_name, id, e)))
		r = choose_key(sys_name, id, e);
	if (r)
		return r;
	identify_clean(id->name);
	/* Exports are files of this name: none may be hidden, nor be ".." */
	if (id->name[0] == '.')
		id->name[0] = '_';
	if (!id->size)
		return err_set(e, -ENOMEDIUM, "%s is empty (0 bytes): there is nothing to protect",
			       path);
	if (id->size % 512)
		return err_set(e, -EINVAL,
			       "the size of %s, %llu bytes, is not a multiple of 512: pad it first",
			       path, (unsigned long long)id->size);
	return 0;
}

bool identify_is(const char *path, const char *key)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	char sys_name[256], device[PATH_MAX], own[256];
	struct stat st;

	if (!real || stat(real, &st))
		return false;
	if (S_ISREG(st.st_mode))
		return make_key(KEY_PATH, "", real, own) && !strcmp(own, key);
	if (!S_ISBLK(st.st_mode) || whole_disk(st.st_rdev, path, sys_name, NULL))
		return false;
	device_path(sys_name, device);
	return !known_other(kind_of(key), sys_name, key) &&
	       make_key(kind_of(key), sys_name, device, own) && !strcmp(own, key);
}

bool identify_reads(const char *key)
{
	enum key_kind kind = kind_of(key);

	return kind == KEY_PTUUID || kind == KEY_FSUUID;
}

int identify_find(const char *key, const char *hint, bool hint_holds, char path[PATH_MAX],
		  struct err *e)
{
	struct search s = {.kind = kind_of(key), .key = key, .hint = hint_holds ? hint : NULL};

	each_disk(match_key, &s);
	if (!s.matches)
		return err_set(e, -ENODEV, "no disk of this machine is %s (last seen as %s)", key,
			       hint);
	if (s.matches > 1 && !s.at_hint)
		return err_set(
			e, -ENOTUNIQ,
			"%u disks of this machine are %s, and which of them was %s cannot be "
			"told",
			s.matches, key, hint);
	strcpy(path, s.found);
	return 0;
}
