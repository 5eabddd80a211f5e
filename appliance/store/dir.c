/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded store: one sparse file for each object. Names are resolved below a folder that stays open, so the
 * store goes on when the process changes its working directory.
 *
 * An object outlives a power cut only when its folder does, with the object's name in it, and so on up to the store's folder. What is found there
 * may have been made by a process that died before it synced that. So each folder is synced once by each process before it writes anything
 * that it found in it, and whenever it made something there; when that is so, and all folders above it are durable, the folder is settled.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "appliance/store/store.h"
#include "lib/cleanup.h"
#include "lib/io.h"

struct dir_store {
	struct store store;
	int fd;
	pthread_mutex_t
		making; /* folders: nobody uses one that another thread has made and not synced yet */
	pthread_mutex_t lock; /* protects settled */
	void *settled; /* names of folders, a tree of tsearch(3) */
};

struct dir_object {
	struct store_object object;
	int fd;
	char name[]; /* for messages */
};

static struct dir_store *dir_of(struct store *s)
{
	return (struct dir_store *)s;
}

static struct dir_object *object_of(struct store_object *o)
{
	return (struct dir_object *)o;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool is_settled(struct dir_store *d, const char *folder)
{
	bool found;

	pthread_mutex_lock(&d->lock);
	found = tfind(folder, &d->settled, by_name);
	pthread_mutex_unlock(&d->lock);
	return found;
}

/* Without memory for it the folder is synced again next time. */
static void settle(struct dir_store *d, const char *folder)
{
	char *own = strdup(folder);
	void *node;

	pthread_mutex_lock(&d->lock);
	node = own ? tsearch(own, &d->settled, by_name) : NULL;
	if (!node || *(char **)node != own)
		free(own);
	pthread_mutex_unlock(&d->lock);
}

static void unsettle(struct dir_store *d, const char *folder)
{
	void *node;
	char *own;

	pthread_mutex_lock(&d->lock);
	node = tfind(folder, &d->settled, by_name);
	if (node) {
		own = *(char **)node;
		tdelete(folder, &d->settled, by_name);
		free(own);
	}
	pthread_mutex_unlock(&d->lock);
}

static void unsettle_all(struct dir_store *d)
{
	pthread_mutex_lock(&d->lock);
	tdestroy(d->settled, free);
	d->settled = NULL;
	pthread_mutex_unlock(&d->lock);
}

static int sync_folder(struct dir_store *d, const char *folder, struct err *e)
{
	int fd = openat(d->fd, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd < 0 || fsync(fd) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc ? err_errno(e, rc, "cannot make the folder %s of the store durable", folder) : 0;
}

/* A folder whose own parents are settled. */
static int settle_folder(struct dir_store *d, const char *folder, struct err *e)
{
	int rc = sync_folder(d, folder, e);

	if (rc < 0)
		unsettle(d, folder);
	else
		settle(d, folder);
	return rc;
}

/* The folder part of name into out; "" when there is none. */
static void folder_of(const char *name, char out[STORE_NAME_MAX])
{
	const char *slash = strrchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : 0;

	memcpy(out, name, len);
	out[len] = 0;
}

/* Make the folders above name where they are not there; all but the last of them are settled then. */
static int make_folders(struct dir_store *d, const char *name, struct err *e)
{
	char folder[STORE_NAME_MAX], parent[STORE_NAME_MAX];
	int rc = 0;

	for (const char *p = strchr(name, '/'); rc == 0 && p; p = strchr(p + 1, '/')) {
		bool made;

		memcpy(folder, name, (size_t)(p - name));
		folder[p - name] = 0;
		made = mkdirat(d->fd, folder, 0700) == 0;
		if (!made && errno != EEXIST)
			return err_errno(e, -errno, "cannot create the folder %s in the store",
					 folder);
		folder_of(folder, parent);
		if (made || !is_settled(d, parent))
			rc = settle_folder(d, parent, e);
	}
	return rc;
}

static int settle_parents(struct dir_store *d, const char *name, struct err *e)
{
	int rc;

	pthread_mutex_lock(&d->making);
	rc = make_folders(d, name, e);
	pthread_mutex_unlock(&d->making);
	return rc;
}

static int create_file(struct dir_store *d, const char *name, struct err *e)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC;
	char folder[STORE_NAME_MAX];
	int fd = -1, rc;

	folder_of(name, folder);
	if (is_settled(d, folder))
		fd = openat(d->fd, name, flags, 0600);
	if (fd < 0) {
		rc = settle_parents(d, name, e);
		if (rc < 0)
			return rc;
		fd = openat(d->fd, name, flags, 0600);
	}
	if (fd < 0)
		return err_errno(e, -errno, "cannot create %s in the store", name);
	rc = settle_folder(d, folder, e);
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Of an object that was found: its name is durable after. */
static int settle_found(struct dir_store *d, const char *name, struct err *e)
{
	char folder[STORE_NAME_MAX];
	int rc;

	folder_of(name, folder);
	if (is_settled(d, folder))
		return 0;
	rc = settle_parents(d, name, e);
	return rc < 0 ? rc : settle_folder(d, folder, e);
}

static int open_file(struct dir_store *d, const char *name, unsigned int flags, struct err *e)
{
	int fd = openat(d->fd, name, (flags ? O_RDWR : O_RDONLY) | O_CLOEXEC), rc;

	if (fd < 0 && errno == ENOENT && (flags & STORE_CREATE))
		return create_file(d, name, e);
	if (fd < 0)
		return err_errno(e, -errno, "cannot open %s in the store", name);
	rc = flags ? settle_found(d, name, e) : 0;
	if (rc < 0) {
		close(fd);
		return rc;
	}
	return fd;
}

static int dir_open(struct store *s, const char *name, unsigned int flags,
		    struct store_object **out, struct err *e)
{
	struct dir_store *d = dir_of(s);
	struct dir_object *o;
	int fd;

	if (strlen(name) >= STORE_NAME_MAX)
		return err_set(e, -ENAMETOOLONG, "the name %s is too long for the store", name);
	fd = open_file(d, name, flags, e);
	if (fd < 0)
		return fd;
	o = malloc(sizeof(*o) + strlen(name) + 1);
	if (!o) {
		close(fd);
		return err_set(e, -ENOMEM, "out of memory");
	}
	o->object.store = s;
	o->fd = fd;
	strcpy(o->name, name);
	*out = &o->object;
	return 0;
}

static void dir_close(struct store_object *object)
{
	struct dir_object *o = object_of(object);

	close(o->fd);
	free(o);
}

static int dir_read(struct store_object *object, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct dir_object *o = object_of(object);
	int rc = io_pread_full(o->fd, buf, len, off);

	if (rc < 0)
		return err_errno(e, rc, "cannot read %zu bytes at %llu of %s in the store", len,
				 (unsigned long long)off, o->name);
	return 0;
}

static int dir_write(struct store_object *object, const void *buf, size_t len, uint64_t off,
		     struct err *e)
{
	struct dir_object *o = object_of(object);
	int rc = io_pwrite_full(o->fd, buf, len, off);

	if (rc < 0)
		return err_errno(e, rc, "cannot write %zu bytes at %llu of %s in the store", len,
				 (unsigned long long)off, o->name);
	return 0;
}

/* For filesystems that cannot punch holes. */
static int write_zeros(struct dir_object *o, uint64_t off, uint64_t len)
{
	static const uint8_t zeros[65536];
	int rc = 0;

	while (rc == 0 && len) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);

		rc = io_pwrite_full(o->fd, zeros, n, off);
		off += n;
		len -= n;
	}
	return rc;
}

static int dir_zero(struct store_object *object, uint64_t off, uint64_t len, struct err *e)
{
	struct dir_object *o = object_of(object);
	int rc = 0;

	if (fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) <
	    0)
		rc = errno == EOPNOTSUPP ? write_zeros(o, off, len) : -errno;
	if (rc < 0)
		return err_errno(e, rc, "cannot zero %llu bytes at %llu of %s in the store",
				 (unsigned long long)len, (unsigned long long)off, o->name);
	return 0;
}

static int dir_truncate(struct store_object *object, uint64_t size, struct err *e)
{
	struct dir_object *o = object_of(object);

	if (ftruncate(o->fd, (off_t)size) < 0)
		return err_errno(e, -errno, "cannot set the size of %s in the store to %llu bytes",
				 o->name, (unsigned long long)size);
	return 0;
}

static int dir_sync(struct store_object *object, struct err *e)
{
	struct dir_object *o = object_of(object);

	if (fdatasync(o->fd) < 0)
		return err_errno(e, -errno, "cannot make %s in the store durable", o->name);
	return 0;
}

static void dir_release(struct store_object *object, uint64_t off, uint64_t len)
{
	posix_fadvise(object_of(object)->fd, (off_t)off, (off_t)len, POSIX_FADV_DONTNEED);
}

static int dir_size(struct store_object *object, uint64_t *size, struct err *e)
{
	struct dir_object *o = object_of(object);
	int rc = io_size(o->fd, size);

	return rc < 0 ? err_errno(e, rc, "cannot get the size of %s in the store", o->name) : 0;
}

static int dir_next_data(struct store_object *object, uint64_t off, uint64_t *at, struct err *e)
{
	struct dir_object *o = object_of(object);
	off_t data = lseek(o->fd, (off_t)off, SEEK_DATA);

	if (data >= 0) {
		*at = (uint64_t)data;
		return 0;
	}
	if (errno == ENXIO)
		return dir_size(object, at, e);
	if (errno == EINVAL) {
		*at = off;
		return 0;
	}
	return err_errno(e, -errno, "cannot look for data in %s in the store", o->name);
}

static int dir_remove(struct store *s, const char *name, struct err *e)
{
	struct dir_store *d = dir_of(s);
	char folder[STORE_NAME_MAX];

	if (unlinkat(d->fd, name, 0) < 0) {
		if (errno == ENOENT)
			return 0;
		return err_errno(e, -errno, "cannot remove %s from the store", name);
	}
	folder_of(name, folder);
	return sync_folder(d, folder, e);
}

static int open_folder(struct dir_store *d, const char *folder, DIR **out, struct err *e)
{
	int fd = openat(d->fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*out = fd < 0 ? NULL : fdopendir(fd);
	if (*out)
		return 0;
	if (fd >= 0)
		close(fd);
	return err_errno(e, -errno, "cannot open the folder %s of the store", folder);
}

static int dir_remove_tree(struct store *s, const char *folder, struct err *e)
{
	struct dir_store *d = dir_of(s);
	_cleanup_(closedirp) DIR *dir = NULL;
	char path[STORE_NAME_MAX];
	struct dirent *ent;
	int rc = open_folder(d, folder, &dir, e);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	while (rc == 0 && (ent = readdir(dir))) {
		if (!strcmp(ent->d_name, ".") || !strcmp(ent->d_name, ".."))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", folder, ent->d_name) >= (int)sizeof(path))
			return err_set(e, -ENAMETOOLONG, "%s/%s: the name is too long", folder,
				       ent->d_name);
		/* Somebody else may be removing the same. */
		if (unlinkat(d->fd, path, 0) == 0 || errno == ENOENT)
			continue;
		rc = errno == EISDIR || errno == EPERM
			     ? dir_remove_tree(s, path, e)
			     : err_errno(e, -errno, "cannot remove %s from the store", path);
	}
	if (rc == 0 && unlinkat(d->fd, folder, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = err_errno(e, -errno, "cannot remove the folder %s from the store", folder);
	unsettle_all(d);
	folder_of(folder, path);
	if (rc == 0)
		rc = sync_folder(d, path, e);
	return rc == -ENOENT ? 0 : rc;
}

static int dir_list(struct store *s, const char *folder, store_list_fn fn, void *arg, struct err *e)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	struct dirent *ent;
	int rc = open_folder(dir_of(s), folder, &dir, e);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	while (rc == 0 && (ent = readdir(dir))) {
		if (strcmp(ent->d_name, ".") && strcmp(ent->d_name, ".."))
			rc = fn(arg, ent->d_name);
	}
	return rc;
}

static int dir_space(struct store *s, uint64_t *bytes, struct err *e)
{
	struct statvfs v;

	if (fstatvfs(dir_of(s)->fd, &v) < 0)
		return err_errno(e, -errno, "cannot learn the free space of the store");
	*bytes = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

static void dir_destroy(struct store *s)
{
	struct dir_store *d = dir_of(s);

	unsettle_all(d);
	pthread_mutex_destroy(&d->making);
	pthread_mutex_destroy(&d->lock);
	close(d->fd);
	free(d);
}

static const struct store_ops dir_ops = {
	.open = dir_open,
	.close = dir_close,
	.read = dir_read,
	.write = dir_write,
	.zero = dir_zero,
	.truncate = dir_truncate,
	.sync = dir_sync,
	.release = dir_release,
	.size = dir_size,
	.next_data = dir_next_data,
	.remove = dir_remove,
	.remove_tree = dir_remove_tree,
	.list = dir_list,
	.space = dir_space,
	.destroy = dir_destroy,
};

int store_dir_open(const char *dir, struct store **out, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dir_store *d;

	if (fd < 0)
		return err_errno(e, -errno, "cannot open the store %s", dir);
	d = malloc(sizeof(*d));
	if (!d) {
		close(fd);
		return err_set(e, -ENOMEM, "out of memory");
	}
	*d = (struct dir_store){.store.ops = &dir_ops, .fd = fd};
	pthread_mutex_init(&d->making, NULL);
	pthread_mutex_init(&d->lock, NULL);
	*out = &d->store;
	return 0;
}
