// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/churn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/source.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define SECTOR 512 /* of diskstats, whatever the disk's is */
#define DISKSTATS_MAX (4u << 20)

int churn_diskstats(const char *text, const char *name, uint64_t *written)
{
	uint64_t sectors;
	char found[64];

	for (; text && *text; text = strchr(text, '\n'), text += text ? 1 : 0) {
		/* major minor NAME reads merged sectors ms writes merged SECTORS … */
		if (sscanf(text, "%*u %*u %63s %*u %*u %*u %*u %*u %*u %" SCNu64, found,
			   &sectors) != 2)
			continue;
		if (strcmp(found, name) != 0)
			continue;
		*written = sectors * SECTOR;
		return 0;
	}
	return -ENOENT;
}

static int read_diskstats(struct watched *w, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = io_read_file("/proc/diskstats", DISKSTATS_MAX, &text, &len, e);

	if (r)
		return r;
	if (churn_diskstats(text, w->name, &w->written))
		return err_set(e, -ENODEV, "%s is not in /proc/diskstats: is it still there?",
			       w->name);
	return 0;
}

static int look(struct watched *w, struct err *e)
{
	struct source_status st;
	int r;

	if (!w->source)
		return read_diskstats(w, e);
	r = w->source->ops->status(w->source, &st, e);
	if (r)
		return r;
	if (st.events & SOURCE_GONE)
		return err_set(
			e, -ENODEV,
			"%s is gone, or was detached from the module: plan again when it is back",
			w->path);
	w->written = st.written_bytes;
	/* After a boundary, which a running agent takes, the bitmap begins anew. */
	w->distinct += st.dirty_bytes >= w->dirty ? st.dirty_bytes - w->dirty : st.dirty_bytes;
	w->dirty = st.dirty_bytes;
	return 0;
}

static int find_device(struct watched *w, const char *path, struct err *e)
{
	_cleanup_free_ char *sectors = NULL;
	char file[128];
	struct stat st;
	const char *base;
	size_t len;
	int r;

	if (!realpath(path, w->path))
		return err_errno(e, -errno, "cannot find %s", path);
	if (stat(w->path, &st) || !S_ISBLK(st.st_mode))
		return err_set(
			e, -ENOTBLK,
			"%s is not a disk: writes to a plain file cannot be watched, but those to "
			"the disk that it is on can",
			path);
	base = strrchr(w->path, '/') + 1;
	if (strlen(base) >= sizeof(w->name))
		return err_set(e, -ENAMETOOLONG, "%s has too long a name", path);
	strcpy(w->name, base);
	snprintf(file, sizeof(file), "/sys/class/block/%s/size", w->name);
	r = io_read_file(file, 64, &sectors, &len, e);
	if (!r)
		w->size = strtoull(sectors, NULL, 10) * SECTOR;
	return r;
}

int churn_open(struct watched *w, const char *path, struct kmod *module, struct err *e)
{
	int r;

	memset(w, 0, sizeof(*w));
	r = find_device(w, path, e);
	if (r)
		return r;
	/* What the module cannot track, diskstats can count. */
	if (module && !source_kmod_open(module, w->path, &w->source, NULL))
		w->attached = w->source->fresh;
	r = look(w, e);
	w->distinct = 0;
	if (r)
		churn_close(w, true);
	return r;
}

int churn_sample(struct watched *w, struct err *e)
{
	uint64_t before = w->written;
	int r = look(w, e);

	if (r)
		return r;
	if (w->count == w->capacity) {
		size_t capacity = w->capacity ? 2 * w->capacity : 64;
		uint64_t *bytes = realloc(w->bytes, capacity * sizeof(*bytes));

		if (!bytes)
			return err_set(e, -ENOMEM, "out of memory");
		w->bytes = bytes;
		w->capacity = capacity;
	}
	/* A counter that went backwards is of another attachment: nothing is known of this interval. */
	w->bytes[w->count++] = w->written >= before ? w->written - before : 0;
	return 0;
}

void churn_close(struct watched *w, bool detach)
{
	struct err e;

	if (w->source) {
		if (w->attached && detach && w->source->ops->detach(w->source, &e))
			fprintf(stderr, "mobilityctl: %s\n", e.text);
		w->source->ops->close(w->source);
	}
	free(w->bytes);
	memset(w, 0, sizeof(*w));
}
