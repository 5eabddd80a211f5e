// SPDX-License-Identifier: Apache-2.0
#include "agent/identify.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/identify_key.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/text.h"

#define SECTOR 512 /* of sysfs, whatever the disk's is */

void identify_clean(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		unsigned char c = (unsigned char)*from;

		*to++ = isalnum(c) || strchr("._:+/@,=-", c) ? (char)c : '_';
	}
	*to = '\0';
}

static int fill_device(const char *sys_name, struct identity *id, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	memset(id, 0, sizeof(*id));
	key_device_path(sys_name, id->path);
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
	uint64_t size; /* 0: not known */
	char found[PATH_MAX], found_by_size[PATH_MAX];
	unsigned int matches, of_size;
	bool at_hint;
};

static bool match_key(const char *sys_name, void *arg)
{
	struct search *s = arg;
	char path[PATH_MAX], size[32], hidden[8];

	if (s->except && !strcmp(s->except, sys_name))
		return false;
	/* Probing opens the device: leave out those that hold nothing. */
	if (!key_attribute(sys_name, "size", size, sizeof(size)) || !strcmp(size, "0"))
		return false;
	if (key_known_other(s->kind, sys_name, s->key))
		return false;
	/* A path to an NVMe namespace with several: nobody can open it. */
	if (key_attribute(sys_name, "hidden", hidden, sizeof(hidden)) && !strcmp(hidden, "1"))
		return false;
	key_device_path(sys_name, path);
	if (!key_is(s->key, sys_name, path))
		return false;
	s->matches++;
	if (s->size && strtoull(size, NULL, 10) * SECTOR == s->size && !s->of_size++)
		strcpy(s->found_by_size, path);
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

		if (!key_make((enum key_kind)kind, sys_name, id->path, id->key))
			continue;
		each_disk(match_key, &s);
		if (s.matches)
			continue;
		if (kind != KEY_SERIAL || !key_make_old(sys_name, id->old_key) ||
		    !strcmp(id->old_key, id->key))
			id->old_key[0] = '\0';
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
		key_device_path(strrchr(real, '/') + 1, probe);
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
	if (!key_make(KEY_PATH, "", real, id->key))
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
		return key_make(KEY_PATH, "", real, own) && !strcmp(own, key);
	if (!S_ISBLK(st.st_mode) || whole_disk(st.st_rdev, path, sys_name, NULL))
		return false;
	key_device_path(sys_name, device);
	return !key_known_other(key_kind_of(key), sys_name, key) && key_is(key, sys_name, device);
}

bool identify_reads(const char *key)
{
	enum key_kind kind = key_kind_of(key);

	return kind == KEY_PTUUID || kind == KEY_FSUUID;
}

bool identify_by_serial(const char *key)
{
	return key_kind_of(key) == KEY_SERIAL;
}

int identify_find(const char *key, const char *hint, bool hint_holds, uint64_t size,
		  char path[PATH_MAX], struct err *e)
{
	struct search s = {.kind = key_kind_of(key),
			   .key = key,
			   .hint = hint_holds ? hint : NULL,
			   .size = size};

	each_disk(match_key, &s);
	if (!s.matches)
		return err_set(e, -ENODEV, "no disk of this machine is %s (last seen as %s)", key,
			       hint);
	/* A copy has the size of the original, but another namespace seldom that of this one. */
	if (s.matches > 1 && !s.at_hint && s.kind == KEY_SERIAL && s.of_size == 1)
		strcpy(s.found, s.found_by_size);
	else if (s.matches > 1 && !s.at_hint)
		return err_set(
			e, -ENOTUNIQ,
			"%u disks of this machine are %s, and which of them was %s cannot be "
			"told",
			s.matches, key, hint);
	strcpy(path, s.found);
	return 0;
}
