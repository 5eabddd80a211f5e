/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "appliance/export.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define CHUNK (2u << 20) /* what a thread reads, checks and writes at a time */
#define THREADS_MAX 8
#define TRIES 16 /* to lock the file under its name */
#define DIRECT_ALIGN 4096u /* of place, size and memory; no disk has larger logical blocks */

struct output {
	int fd; /* locked against other exports until it is closed */
	int direct; /* the same file past the page cache, which would only cost time; -1: it cannot be had */
	_Atomic bool direct_failed;
	const char *path;
	_Atomic uint64_t data;
};

/* What the threads share. Each takes the next chunk that nobody has; the first failure ends all. */
struct copy {
	const struct image *image;
	struct output *out;
	uint64_t size;
	_Atomic uint64_t next; /* chunk */
	_Atomic bool stop;
	pthread_mutex_t lock; /* protects the lease, rc and e */
	struct lease *lease;
	int rc;
	struct err *e;
};

/* How much from the beginning of buf, in blocks, is zero throughout or not zero anywhere. */
static size_t run_length(const uint8_t *buf, size_t len, bool *zero)
{
	size_t in = 0;

	while (in < len) {
		size_t n = len - in < BASE_BLOCK ? len - in : BASE_BLOCK;
		bool z = mem_is_zero(buf + in, n);

		if (in == 0)
			*zero = z;
		else if (z != *zero)
			break;
		in += n;
	}
	return in;
}

static bool aligned(const void *buf, size_t len, uint64_t at)
{
	return ((uintptr_t)buf | len | at) % DIRECT_ALIGN == 0;
}

/* A filesystem may refuse what it has opened: then it is written as any other file. */
static int write_run(struct output *o, const uint8_t *buf, size_t len, uint64_t at)
{
	if (o->direct >= 0 && !o->direct_failed && aligned(buf, len, at)) {
		int rc = io_pwrite_full(o->direct, buf, len, at);

		if (rc != -EINVAL && rc != -EOPNOTSUPP)
			return rc;
		o->direct_failed = true;
	}
	return io_pwrite_full(o->fd, buf, len, at);
}

/* What is not zero of the chunk; the rest stays a hole. */
static int write_chunk(struct output *o, const uint8_t *buf, size_t len, uint64_t at, struct err *e)
{
	size_t n;

	for (size_t in = 0; in < len; in += n) {
		bool zero;
		int rc;

		n = run_length(buf + in, len - in, &zero);
		if (zero)
			continue;
		rc = write_run(o, buf + in, n, at + in);
		if (rc < 0)
			return err_errno(e, rc, "cannot write %s", o->path);
		o->data += n;
	}
	/* Only a hint, where the page cache has it: less is left to wait for at the end. */
	sync_file_range(o->fd, (off_t)at, (off_t)len, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int copy_chunk(struct copy *c, struct reader *r, uint8_t *buf, uint64_t at, struct err *e)
{
	uint64_t end = c->size - at < CHUNK ? c->size : at + CHUNK, hole;
	int rc = 0;

	while (at < end && reader_is_hole(r, at, end - at, &hole, &rc, e))
		at += hole;
	if (rc == 0 && at < end)
		rc = reader_read(r, buf, (size_t)(end - at), at, e);
	if (rc == 0 && at < end)
		rc = write_chunk(c->out, buf, (size_t)(end - at), at, e);
	return rc;
}

static int keep(struct copy *c, struct err *e)
{
	int rc;

	pthread_mutex_lock(&c->lock);
	rc = lease_keep(c->lease, false, e);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

static int copy_chunks(struct copy *c, struct err *e)
{
	_cleanup_(reader_closep) struct reader *r = NULL;
	_cleanup_free_ uint8_t *buf = aligned_alloc(DIRECT_ALIGN, CHUNK);
	int rc = buf ? reader_open(c->image, &r, e) : err_set(e, -ENOMEM, "out of memory");

	while (rc == 0 && !c->stop) {
		uint64_t at = c->next++ * CHUNK;

		if (at >= c->size)
			break;
		rc = keep(c, e);
		if (rc == 0)
			rc = copy_chunk(c, r, buf, at, e);
	}
	return rc;
}

static void *copy_thread(void *arg)
{
	struct copy *c = arg;
	struct err e;
	int rc = copy_chunks(c, &e);

	if (rc < 0) {
		c->stop = true;
		pthread_mutex_lock(&c->lock);
		if (c->rc == 0) {
			c->rc = rc;
			*c->e = e;
		}
		pthread_mutex_unlock(&c->lock);
	}
	return NULL;
}

/* With two threads for each processor, this one among them: one of them waits for the disk. */
static int write_image(const struct image *im, struct lease *lease, uint64_t size, struct output *o,
		       struct err *e)
{
	struct copy c = {.image = im, .out = o, .size = size, .lease = lease, .e = e};
	long want = 2 * sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[THREADS_MAX];
	size_t n = 0;

	pthread_mutex_init(&c.lock, NULL);
	/* Where a thread cannot be had, fewer do it. */
	while (n < THREADS_MAX - 1 && (long)n + 1 < want &&
	       pthread_create(&threads[n], NULL, copy_thread, &c) == 0)
		n++;
	copy_thread(&c);
	while (n > 0)
		pthread_join(threads[--n], NULL);
	pthread_mutex_destroy(&c.lock);
	return c.rc;
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

/* Open the file and lock it: its descriptor. */
static int open_locked(const char *part, struct err *e)
{
	int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), rc;

	if (fd < 0)
		return err_errno(e, -errno, "cannot create %s", part);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	rc = errno == EWOULDBLOCK
		     ? err_set(e, -EBUSY,
			       "another export writes %s: wait for its end, or export into another folder",
			       part)
		     : err_errno(e, -errno, "cannot lock %s against other exports", part);
	close(fd);
	return rc;
}

/* Is the open file the one that has the name? */
static bool is_there(int fd, const char *path)
{
	struct stat own, there;

	return fstat(fd, &own) == 0 && stat(path, &there) == 0 && own.st_ino == there.st_ino &&
	       own.st_dev == there.st_dev;
}

/* Another export may have renamed or removed the file before it was locked here: then it is that one's image, or nobody's. */
static int open_part(struct output *o, uint64_t size, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		int fd = open_locked(o->path, e);

		if (fd < 0)
			return fd;
		if (is_there(fd, o->path)) {
			o->fd = fd;
			break;
		}
		close(fd);
	}
	if (o->fd < 0)
		return err_set(e, -EBUSY, "%s is replaced all the time: export into another folder",
			       o->path);
	/* What an export that was killed left behind goes. */
	if (ftruncate(o->fd, 0) < 0 || ftruncate(o->fd, (off_t)size) < 0)
		return err_errno(e, -errno, "cannot give %s its size", o->path);
	o->direct = open(o->path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	return 0;
}

int export_raw(const struct image *im, struct lease *lease, uint64_t size, const char *folder,
	       const char *name, uint64_t *data, struct err *e)
{
	_cleanup_free_ char *path = NULL, *part = NULL;
	struct output o = {.fd = -1, .direct = -1};
	int rc;

	if (asprintf(&path, "%s/%s.raw", folder, name) < 0 || asprintf(&part, "%s.part", path) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	o.path = part;
	rc = open_part(&o, size, e);
	if (rc == 0)
		rc = write_image(im, lease, size, &o, e);
	if (rc == 0)
		rc = lease_keep(lease, true, e);
	if (rc == 0)
		rc = finish(&o, path, folder, e);
	if (rc < 0 && o.fd >= 0)
		unlink(part);
	if (o.fd >= 0)
		close(o.fd);
	if (o.direct >= 0)
		close(o.direct);
	*data = o.data;
	return rc;
}
