/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "appliance/export.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define CHUNK (1u << 20)

struct output {
	int fd;
	const char *path;
	uint64_t data;
};

/* What is not zero of the chunk; the rest stays a hole. */
static int write_chunk(struct output *o, const uint8_t *buf, size_t len, uint64_t at, struct err *e)
{
	for (size_t in = 0; in < len; in += BASE_BLOCK) {
		size_t n = len - in < BASE_BLOCK ? len - in : BASE_BLOCK;
		int rc;

		if (mem_is_zero(buf + in, n))
			continue;
		rc = io_pwrite_full(o->fd, buf + in, n, at + in);
		if (rc < 0)
			return err_errno(e, rc, "cannot write %s", o->path);
		o->data += n;
	}
	return 0;
}

static int write_image(struct reader *r, struct lease *lease, uint64_t size, struct output *o,
		       struct err *e)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK);
	uint64_t at = 0, hole;
	int rc = 0;

	if (!buf)
		return err_set(e, -ENOMEM, "out of memory");
	while (rc == 0 && at < size) {
		size_t len = size - at < CHUNK ? (size_t)(size - at) : CHUNK;

		rc = lease_keep(lease, false, e);
		if (rc < 0)
			break;
		if (reader_is_hole(r, at, size - at, &hole, &rc, e)) {
			at += hole;
			continue;
		}
		if (rc == 0)
			rc = reader_read(r, buf, len, at, e);
		if (rc == 0)
			rc = write_chunk(o, buf, len, at, e);
		at += len;
	}
	return rc;
}

static int finish(struct output *o, const char *path, const char *folder, struct err *e)
{
	if (fsync(o->fd) < 0)
		return err_errno(e, -errno, "cannot make %s durable", o->path);
	if (rename(o->path, path) < 0)
		return err_errno(e, -errno, "cannot rename %s to %s", o->path, path);
	if (io_fsync_dir(folder) < 0)
		return err_errno(e, -EIO, "cannot make the folder %s durable", folder);
	return 0;
}

int export_raw(const struct image *im, struct lease *lease, uint64_t size, const char *folder,
	       const char *name, uint64_t *data, struct err *e)
{
	_cleanup_(reader_closep) struct reader *r = NULL;
	_cleanup_free_ char *path = NULL, *part = NULL;
	struct output o = {.fd = -1};
	int rc;

	if (asprintf(&path, "%s/%s.raw", folder, name) < 0 || asprintf(&part, "%s.part", path) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	o.path = part;
	o.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (o.fd < 0)
		return err_errno(e, -errno, "cannot create %s", part);
	rc = ftruncate(o.fd, (off_t)size) < 0
		     ? err_errno(e, -errno, "cannot give %s its size", part)
		     : 0;
	if (rc == 0)
		rc = reader_open(im, &r, e);
	if (rc == 0)
		rc = write_image(r, lease, size, &o, e);
	if (rc == 0)
		rc = lease_keep(lease, true, e);
	if (rc == 0)
		rc = finish(&o, path, folder, e);
	if (rc < 0)
		unlink(part);
	close(o.fd);
	*data = o.data;
	return rc;
}
