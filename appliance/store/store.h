/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the appliance keeps the bytes of disks: a small interface, so that another kind of store can take the place of
 * the embedded one. A store holds objects by name ("machines/M/disks/D/base.img": elements of letters, digits, '-', '.'
 * and '_', separated by '/'). All functions return 0 or a negative errno with a sentence in *e, and may be called from
 * any thread; two calls on one object at a time are fine when they do not write the same bytes. All may sleep.
 *
 *	open	flags: STORE_CREATE makes the object when it is not there; STORE_READ: it will not be written. The name of one that may be written is
 *		durable, whoever made it; of one that another thread is just making it is when that one's open returns.
 *		-ENOENT without STORE_CREATE.
 *	read	exactly len bytes; what is past the end of the object: -ENODATA.
 *	write	grows the object; -ENOSPC may leave a part written.
 *	zero	[off, off + len) reads as zeros after, and takes no space where the store can do that.
 *	sync	everything written so far outlives a power cut.
 *	release	a hint: what is durable of [off, off + len) is not read soon, and need not be kept in memory.
 *	next_data	offset of the first byte at or after off that may differ from zero; the object's size if none.
 *	remove	an object, durably; fine when it does not exist. Open ones can be read on.
 *	remove_tree	every object whose name begins with folder + "/"; several may do this at once.
 *	list	calls fn with the last element of the name of each object directly in folder; a missing folder is empty.
 *	space	bytes that can still be written.
 */
#ifndef APPLIANCE_STORE_H
#define APPLIANCE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define STORE_NAME_MAX 256

enum store_flags {
	STORE_READ = 0,
	STORE_WRITE = 1,
	STORE_CREATE = 2,
};

struct store;
struct store_object {
	struct store *store;
};

typedef int (*store_list_fn)(void *arg, const char *element);

struct store_ops {
	int (*open)(struct store *s, const char *name, unsigned int flags,
		    struct store_object **out, struct err *e);
	void (*close)(struct store_object *o);
	int (*read)(struct store_object *o, void *buf, size_t len, uint64_t off, struct err *e);
	int (*write)(struct store_object *o, const void *buf, size_t len, uint64_t off,
		     struct err *e);
	int (*zero)(struct store_object *o, uint64_t off, uint64_t len, struct err *e);
	int (*truncate)(struct store_object *o, uint64_t size, struct err *e);
	int (*sync)(struct store_object *o, struct err *e);
	void (*release)(struct store_object *o, uint64_t off, uint64_t len);
	int (*size)(struct store_object *o, uint64_t *size, struct err *e);
	int (*next_data)(struct store_object *o, uint64_t off, uint64_t *at, struct err *e);
	int (*remove)(struct store *s, const char *name, struct err *e);
	int (*remove_tree)(struct store *s, const char *folder, struct err *e);
	int (*list)(struct store *s, const char *folder, store_list_fn fn, void *arg,
		    struct err *e);
	int (*space)(struct store *s, uint64_t *bytes, struct err *e);
	void (*destroy)(struct store *s);
};

struct store {
	const struct store_ops *ops;
};

/* The embedded store: files below the folder dir, which exists. Destroy with store_destroy(). */
int store_dir_open(const char *dir, struct store **out, struct err *e);
void store_destroy(struct store *s); /* NULL is fine; all objects must be closed */

int store_open(struct store *s, const char *name, unsigned int flags, struct store_object **out,
	       struct err *e);
void store_close(struct store_object *o); /* NULL is fine */
void store_closep(struct store_object **o);
int store_read(struct store_object *o, void *buf, size_t len, uint64_t off, struct err *e);
int store_write(struct store_object *o, const void *buf, size_t len, uint64_t off, struct err *e);
int store_zero(struct store_object *o, uint64_t off, uint64_t len, struct err *e);
int store_truncate(struct store_object *o, uint64_t size, struct err *e);
int store_sync(struct store_object *o, struct err *e);
void store_release(struct store_object *o, uint64_t off, uint64_t len);
int store_size(struct store_object *o, uint64_t *size, struct err *e);
int store_next_data(struct store_object *o, uint64_t off, uint64_t *at, struct err *e);
int store_remove(struct store *s, const char *name, struct err *e);
int store_remove_tree(struct store *s, const char *folder, struct err *e);
int store_list(struct store *s, const char *folder, store_list_fn fn, void *arg, struct err *e);
int store_space(struct store *s, uint64_t *bytes, struct err *e);

#endif
