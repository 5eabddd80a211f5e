// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/cleanup.h"
#include "lib/io.h"

#define MOUNTINFO_MAX (16u << 20)
#define FIELDS_MAX 32

/* \040 and the like, in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* Cut line at its spaces. A field may be empty: the source that mount(2) was given is. */
static size_t split(char *line, char *field[FIELDS_MAX])
{
	size_t n = 0;
	char *f = strsep(&line, " ");

	for (; f && n < FIELDS_MAX; f = strsep(&line, " "))
		field[n++] = f;
	return n;
}

static bool has_option(const char *options, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = options; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, name, len) && (at[len] == ',' || !at[len]))
			return true;
	}
	return false;
}

const struct mounted *mounts_find(const struct mounts *m, dev_t dev)
{
	for (size_t i = 0; i < m->count; i++) {
		if (m->fs[i].dev == dev)
			return &m->fs[i];
	}
	return NULL;
}

static int add_again(struct mounted *fs, const char *point, unsigned int id)
{
	struct mount_point *more = reallocarray(fs->again, fs->again_count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	fs->again = more;
	more[fs->again_count] = (struct mount_point){strdup(point), id};
	return more[fs->again_count].path ? (int)(fs->again_count++, 0) : -ENOMEM;
}

static int add(struct mounts *m, const struct mounted *fs)
{
	const struct mounted *known = mounts_find(m, fs->dev);
	struct mounted *more, *at;

	if (known)
		return add_again(&m->fs[known - m->fs], fs->point, fs->id);
	more = reallocarray(m->fs, m->count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	m->fs = more;
	at = &more[m->count++];
	*at = (struct mounted){.dev = fs->dev, .id = fs->id, .read_only = fs->read_only};
	at->point = strdup(fs->point);
	at->type = strdup(fs->type);
	at->source = strdup(fs->source);
	return at->point && at->type && at->source ? 0 : -ENOMEM;
}

/* 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue */
static int parse_line(char *line, struct mounts *m)
{
	char *field[FIELDS_MAX];
	size_t n = split(line, field), dash = 6;
	unsigned int major, minor;
	struct mounted fs = {0};
	char rest;

	while (dash < n && strcmp(field[dash], "-") != 0)
		dash++;
	if (dash + 3 >= n || sscanf(field[2], "%u:%u%c", &major, &minor, &rest) != 2 ||
	    sscanf(field[0], "%u%c", &fs.id, &rest) != 1)
		return -EBADMSG;
	unescape(field[4]);
	unescape(field[dash + 1]);
	unescape(field[dash + 2]);
	fs.dev = makedev(major, minor);
	fs.point = field[4];
	fs.type = field[dash + 1];
	fs.source = field[dash + 2];
	fs.read_only = has_option(field[dash + 3], "ro");
	return add(m, &fs);
}

int mounts_parse(const char *text, size_t len, struct mounts *out, struct err *e)
{
	_cleanup_free_ char *copy = strndup(text, len);
	char *save = NULL;
	int r = copy ? 0 : -ENOMEM;

	*out = (struct mounts){0};
	for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line && !r;
	     line = strtok_r(NULL, "\n", &save))
		r = parse_line(line, out);
	if (!r)
		return 0;
	mounts_clear(out);
	return r == -ENOMEM ? err_set(e, r, "out of memory")
			    : err_set(e, r, "the kernel's list of mounts cannot be understood");
}

int mounts_read(struct mounts *out, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = io_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, &len, e);

	return r ? r : mounts_parse(text, len, out, e);
}

void mounts_clear(struct mounts *m)
{
	for (size_t i = 0; i < m->count; i++) {
		struct mounted *fs = &m->fs[i];

		for (size_t j = 0; j < fs->again_count; j++)
			free(fs->again[j].path);
		free(fs->again);
		free(fs->point);
		free(fs->type);
		free(fs->source);
	}
	free(m->fs);
	*m = (struct mounts){0};
}

bool mounted_on_block(const struct mounted *m)
{
	/*
	 * These have an anonymous number and are on devices nevertheless, also when their source
	 * cannot be looked up: /dev/root, a list of devices, or the name of a dataset.
	 */
	static const char *const anonymous[] = {"btrfs", "bcachefs", "zfs"};

	for (size_t i = 0; i < ARRAY_SIZE(anonymous); i++) {
		if (!strcmp(m->type, anonymous[i]))
			return true;
	}
	return major(m->dev) != 0;
}

static int open_any(const char *path)
{
	return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

/* Another filesystem may be mounted over the mount point since; its number alone does not tell. */
static int open_point(const char *point, unsigned int id, const struct mounted *m)
{
	_cleanup_close_ int fd = open_any(point);
	struct statx st;

	if (fd < 0)
		return -errno;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MNT_ID, &st))
		return -errno;
	if (!S_ISDIR(st.stx_mode) && !S_ISREG(st.stx_mode))
		return -ENOTDIR;
	/* Each subvolume of btrfs has a number of its own, which is anonymous as well. */
	if (makedev(st.stx_dev_major, st.stx_dev_minor) != m->dev &&
	    (major(m->dev) || st.stx_dev_major))
		return -ENXIO;
	if ((st.stx_mask & STATX_MNT_ID) && st.stx_mnt_id != id)
		return -ENXIO;
	return cleanup_steal_fd(&fd);
}

int mounted_open(const struct mounted *m)
{
	int fd = open_point(m->point, m->id, m);

	for (size_t i = 0; fd < 0 && i < m->again_count; i++)
		fd = open_point(m->again[i].path, m->again[i].id, m);
	return fd;
}
