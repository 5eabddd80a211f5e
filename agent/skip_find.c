// SPDX-License-Identifier: Apache-2.0
#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/skip.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define SECTOR 512
#define SWAP_HEADER 65536 /* the first page, however large pages are */
#define MOUNTINFO_MAX (16u << 20)
#define SWAPS_MAX (1u << 20)

/* The disk itself, or one of its partitions. */
struct part {
	char name[NAME_MAX + 1]; /* in /dev and /sys/class/block */
	dev_t dev;
	uint64_t start, size; /* bytes, of the disk */
};

typedef int (*part_fn)(const struct part *p, const struct skip_wish *w, struct skip_set *out,
		       struct err *e);

static bool number_of(const char *dir, const char *attribute, uint64_t *out)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX + NAME_MAX + 32], *end;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, attribute);
	if (io_read_file(path, 64, &text, &len, NULL))
		return false;
	*out = strtoull(text, &end, 10);
	return end != text;
}

static bool device_of(const char *dir, dev_t *out)
{
	_cleanup_free_ char *text = NULL;
	unsigned int major, minor;
	char path[PATH_MAX + NAME_MAX + 32];
	size_t len;

	snprintf(path, sizeof(path), "%s/dev", dir);
	if (io_read_file(path, 64, &text, &len, NULL) || sscanf(text, "%u:%u", &major, &minor) != 2)
		return false;
	*out = makedev(major, minor);
	return true;
}

static bool read_part(const char *dir, const char *name, struct part *p)
{
	uint64_t start = 0, size;

	memset(p, 0, sizeof(*p));
	if (strlen(name) >= sizeof(p->name) || !device_of(dir, &p->dev) ||
	    !number_of(dir, "size", &size))
		return false;
	number_of(dir, "start", &start); /* a whole disk has none */
	strcpy(p->name, name);
	p->start = start * SECTOR;
	p->size = size * SECTOR;
	return true;
}

static bool overlaps(const struct part *p, const struct skip_wish *w)
{
	return p->start < w->to && p->start + p->size > w->from;
}

/* The kernel's lists write blanks and backslashes as octal numbers. In place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* --- swap ------------------------------------------------------------------------------------- */

/* An image of hibernation is another type to libblkid, and is sent. */
static bool is_swap(const char *name)
{
	char path[PATH_MAX];
	const char *type = NULL;
	blkid_probe pr;
	bool yes;

	snprintf(path, sizeof(path), "/dev/%s", name);
	pr = blkid_new_probe_from_filename(path);
	if (!pr)
		return false;
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE);
	yes = blkid_do_safeprobe(pr) == 0 &&
	      blkid_probe_lookup_value(pr, "TYPE", &type, NULL) == 0 && !strcmp(type, "swap");
	blkid_free_probe(pr);
	return yes;
}

/*
 * Up to where the device is in use as swap; 0: it is not. The list counts the pages that are used: all but the header and bad
 * ones, so that it never says more than the header does.
 */
static uint64_t swap_in_use(dev_t dev)
{
	_cleanup_free_ char *text = NULL;
	char name[PATH_MAX];
	struct stat st;
	uint64_t kib;
	size_t len;

	if (io_read_file("/proc/swaps", SWAPS_MAX, &text, &len, NULL))
		return 0;
	for (char *next = text, *line; (line = strsep(&next, "\n"));) {
		if (sscanf(line, "%4095s partition %" SCNu64, name, &kib) != 2)
			continue;
		unescape(name);
		if (!stat(name, &st) && S_ISBLK(st.st_mode) && st.st_rdev == dev)
			return (uint64_t)sysconf(_SC_PAGESIZE) + kib * 1024;
	}
	return 0;
}

static int add_swap(const struct part *p, const struct skip_wish *w, struct skip_set *out,
		    struct err *e)
{
	uint64_t end = swap_in_use(p->dev);

	(void)w;
	/* A signature alone may be a leftover on what is something else now. */
	if (!end || !is_swap(p->name))
		return 0;
	if (end > p->size)
		end = p->size;
	if (skip_add(out, p->start + SWAP_HEADER, p->start + end, SKIP_SWAP))
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* --- free blocks ------------------------------------------------------------------------------ */

struct mounted {
	unsigned int major, minor;
	char point[PATH_MAX], type[32], options[PATH_MAX];
};

static bool parse_mount(const char *line, struct mounted *m)
{
	const char *rest = strstr(line, " - ");

	if (!rest ||
	    sscanf(line, "%*u %*u %u:%u %*s %4095s", &m->major, &m->minor, m->point) != 3 ||
	    sscanf(rest + 3, "%31s %*s %4095s", m->type, m->options) != 2)
		return false;
	unescape(m->point);
	return true;
}

/*
 * A filesystem that was mounted without replaying its journal may replay it when it is mounted next:
 * what it calls free now tells nothing.
 */
static bool tells_what_is_free(const struct mounted *m)
{
	return (!strcmp(m->type, "ext4") || !strcmp(m->type, "xfs")) &&
	       !strstr(m->options, "noload") && !strstr(m->options, "norecovery");
}

static int add_free(const struct part *p, const struct skip_wish *w, struct skip_set *out,
		    struct err *e)
{
	uint64_t from = w->from > p->start ? w->from - p->start : 0;
	uint64_t to = (w->to < p->start + p->size ? w->to : p->start + p->size) - p->start;
	_cleanup_free_ struct mounted *m = malloc(sizeof(*m));
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r;

	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	r = io_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, &len, e);
	for (char *next = text, *line; (line = strsep(&next, "\n"));) {
		if (!parse_mount(line, m) || makedev(m->major, m->minor) != p->dev ||
		    !tells_what_is_free(m))
			continue;
		/* Mounted several times, it is one filesystem; where one is hidden another may not be. */
		r = skip_fsmap(m->point, p->dev, p->start, from, to, out, e);
		if (!r)
			return 0;
	}
	return r;
}

/* --- the disk and its partitions -------------------------------------------------------------- */

static int one_part(const struct part *p, const struct skip_wish *w, struct skip_set *out,
		    struct err *e)
{
	int r = 0;

	if (!overlaps(p, w))
		return 0;
	if (w->swap)
		r = add_swap(p, w, out, e);
	if (!r && w->free)
		r = add_free(p, w, out, e);
	return r;
}

static int all_parts(const char *dir, const char *disk, const struct skip_wish *w,
		     struct skip_set *out, struct err *e)
{
	DIR *d = opendir(dir);
	char child[PATH_MAX + NAME_MAX + 2];
	struct dirent *entry;
	struct part p;
	uint64_t number;
	int r = 0;

	if (!d)
		return err_errno(e, -errno, "cannot list the partitions of %s", disk);
	while (!r && (entry = readdir(d))) {
		snprintf(child, sizeof(child), "%s/%s", dir, entry->d_name);
		if (number_of(child, "partition", &number) && read_part(child, entry->d_name, &p))
			r = one_part(&p, w, out, e);
	}
	closedir(d);
	return r;
}

int skip_find(const struct skip_wish *w, struct skip_set *out, struct err *e)
{
	const char *name = strrchr(w->path, '/');
	char dir[PATH_MAX];
	struct part whole;
	int r;

	if (!name || (!w->swap && !w->free))
		return 0;
	snprintf(dir, sizeof(dir), "/sys/class/block/%s", name + 1);
	if (!read_part(dir, name + 1, &whole))
		return err_set(e, -ENODEV, "%s is not in %s", w->path, "/sys/class/block");
	r = one_part(&whole, w, out, e);
	if (!r)
		r = all_parts(dir, w->path, w, out, e);
	skip_settle(out, w->from, w->to, w->granule);
	return r;
}
