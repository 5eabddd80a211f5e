/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, whole and durable. Any thread. All return 0 or a negative errno and retry EINTR.
 */
#ifndef MOBILITY_IO_H
#define MOBILITY_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

int io_pread_full(int fd, void *buf, size_t len, uint64_t off); /* -ENODATA at end of file */
int io_pwrite_full(int fd, const void *buf, size_t len, uint64_t off);
int io_write_full(int fd, const void *buf, size_t len);

/*
 * Read a file of at most max bytes, with a terminating 0 after it; the caller frees *out. -EFBIG.
 */
int io_read_file(const char *path, size_t max, char **out, size_t *len, struct err *e);
/* Replace path with data: temporary file, fsync, rename, fsync of the folder. */
int io_write_file_atomic(const char *path, const void *data, size_t len, mode_t mode,
			 struct err *e);
int io_fsync_dir(const char *dir);
/* Like mkdir -p; what it made is durable. */
int io_mkdirs(const char *path, mode_t mode, struct err *e);
/* Size in bytes of a regular file or block device. */
int io_size(int fd, uint64_t *size);
/* Make room for a socket: what an earlier process left, but nothing else. -EEXIST */
int io_remove_socket(const char *path, struct err *e);
/*
 * Take the file's lock for this process's life; -EBUSY if another holds it. Returns a descriptor.
 */
int io_lock_file(const char *path, struct err *e);

#endif
