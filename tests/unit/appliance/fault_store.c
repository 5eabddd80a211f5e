/* SPDX-License-Identifier: Apache-2.0 */
/* A store that fails, dies or loses power on demand: see helpers.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/appliance/helpers.h"

#define PAGE 4096u

/* What a page of an object was before a write that is not synced yet. */
struct undo {
	struct undo *next;
	struct fault_object *object;
	uint64_t off;
	size_t len;
	uint8_t old[PAGE];
};

struct fault_store {
	struct store store;
	struct store *inner;
	unsigned int at, calls;
	enum fault how;
	int error;
	uint64_t seed;
	struct undo *undo; /* newest first */
	pthread_mutex_t lock;
	char denied[STORE_NAME_MAX];
	uint64_t denied_off, denied_len;
	char refused[STORE_NAME_MAX];
	int refusal;
	uint64_t space; /* 0: the inner store's */
};

struct fault_object {
	struct store_object object;
	struct store_object *inner;
	char name[STORE_NAME_MAX];
};

static struct fault_store *store_of(struct store *s)
{
	return (struct fault_store *)s;
}

static struct fault_object *object_of(struct store_object *o)
{
	return (struct fault_object *)o;
}

static void lose_power(struct fault_store *f)
{
	for (struct undo *u = f->undo; u; u = u->next) {
		if (random_next(&f->seed) % 2)
			store_write(u->object->inner, u->old, u->len, u->off, NULL);
	}
}

/* Counts a call; what it must return, 1: go on, 2: do half of it and die. */
static int strike(struct fault_store *f, struct err *e)
{
	int rc = 1;

	pthread_mutex_lock(&f->lock);
	f->calls++;
	if (f->at && f->calls >= f->at && (f->how == FAULT_FAIL || f->calls == f->at))
		rc = f->how == FAULT_KILL || f->how == FAULT_POWER ? 2 : f->error;
	pthread_mutex_unlock(&f->lock);
	return rc < 0 ? err_set(e, rc, "injected failure") : rc;
}

static void die(struct fault_store *f)
{
	if (f->how == FAULT_POWER)
		lose_power(f);
	_exit(42);
}

static void remember(struct fault_store *f, struct fault_object *o, uint64_t off, uint64_t len)
{
	uint64_t size = 0;

	if (f->how != FAULT_POWER)
		return;
	store_size(o->inner, &size, NULL);
	while (len) {
		struct undo *u = calloc(1, sizeof(*u));
		size_t in = PAGE - off % PAGE;

		u->object = o;
		u->off = off;
		u->len = len < in ? (size_t)len : in;
		if (off < size)
			store_read(o->inner, u->old,
				   size - off < u->len ? (size_t)(size - off) : u->len, off, NULL);
		u->next = f->undo;
		f->undo = u;
		off += u->len;
		len -= u->len;
	}
}

static int fault_open(struct store *s, const char *name, unsigned int flags,
		      struct store_object **out, struct err *e)
{
	struct fault_object *o = calloc(1, sizeof(*o));
	int rc = store_open(store_of(s)->inner, name, flags, &o->inner, e);

	o->object.store = s;
	strcpy(o->name, name);
	if (rc < 0)
		free(o);
	else
		*out = &o->object;
	return rc;
}

static void forget(struct fault_store *f, struct fault_object *o)
{
	struct undo **p = &f->undo;

	while (*p) {
		struct undo *u = *p;

		if (u->object == o) {
			*p = u->next;
			free(u);
		} else {
			p = &u->next;
		}
	}
}

static void fault_close(struct store_object *object)
{
	struct fault_object *o = object_of(object);

	forget(store_of(object->store), o);
	store_close(o->inner);
	free(o);
}

static int fault_read(struct store_object *o, void *buf, size_t len, uint64_t off, struct err *e)
{
	struct fault_store *f = store_of(o->store);

	if (f->denied_len && !strcmp(f->denied, object_of(o)->name) &&
	    off < f->denied_off + f->denied_len && f->denied_off < off + len)
		return err_set(e, -EIO, "injected failure to read %s", f->denied);
	return store_read(object_of(o)->inner, buf, len, off, e);
}

/* How much of a write is done when it fails: a part, but of a digest all or nothing, as it lies within one sector. */
static size_t part_of(size_t len)
{
	return len > DIGEST_BYTES ? len / 2 : 0;
}

static int fault_write(struct store_object *object, const void *buf, size_t len, uint64_t off,
		       struct err *e)
{
	struct fault_store *f = store_of(object->store);
	struct fault_object *o = object_of(object);
	int rc = strike(f, e);

	if (!strcmp(f->refused, o->name))
		rc = err_set(e, f->refusal, "injected failure to write %s", f->refused);
	if (rc < 0) {
		/* A disk that fills up takes a part. */
		store_write(o->inner, buf, part_of(len), off, NULL);
		return rc;
	}
	remember(f, o, off, len);
	if (rc == 2) {
		store_write(o->inner, buf, part_of(len), off, NULL);
		die(f);
	}
	return store_write(o->inner, buf, len, off, e);
}

static int fault_zero(struct store_object *object, uint64_t off, uint64_t len, struct err *e)
{
	struct fault_store *f = store_of(object->store);
	struct fault_object *o = object_of(object);
	int rc = strike(f, e);

	if (rc < 0)
		return rc;
	remember(f, o, off, len);
	if (rc == 2) {
		store_zero(o->inner, off, len / 2, NULL);
		die(f);
	}
	return store_zero(o->inner, off, len, e);
}

static int fault_truncate(struct store_object *o, uint64_t size, struct err *e)
{
	int rc = strike(store_of(o->store), e);

	if (rc == 2)
		die(store_of(o->store));
	return rc < 0 ? rc : store_truncate(object_of(o)->inner, size, e);
}

static int fault_sync(struct store_object *object, struct err *e)
{
	struct fault_store *f = store_of(object->store);
	int rc = strike(f, e);

	if (rc == 2)
		die(f);
	if (rc < 0)
		return rc;
	if (f->how == FAULT_POWER)
		forget(f, object_of(object));
	return store_sync(object_of(object)->inner, e);
}

static void fault_release(struct store_object *o, uint64_t off, uint64_t len)
{
	store_release(object_of(o)->inner, off, len);
}

static int fault_size(struct store_object *o, uint64_t *size, struct err *e)
{
	return store_size(object_of(o)->inner, size, e);
}

static int fault_next_data(struct store_object *o, uint64_t off, uint64_t *at, struct err *e)
{
	return store_next_data(object_of(o)->inner, off, at, e);
}

static int fault_remove(struct store *s, const char *name, struct err *e)
{
	int rc = strike(store_of(s), e);

	if (rc == 2)
		die(store_of(s));
	return rc < 0 ? rc : store_remove(store_of(s)->inner, name, e);
}

static int fault_remove_tree(struct store *s, const char *folder, struct err *e)
{
	int rc = strike(store_of(s), e);

	if (rc == 2)
		die(store_of(s));
	return rc < 0 ? rc : store_remove_tree(store_of(s)->inner, folder, e);
}

static int fault_list(struct store *s, const char *folder, store_list_fn fn, void *arg,
		      struct err *e)
{
	return store_list(store_of(s)->inner, folder, fn, arg, e);
}

static int fault_space(struct store *s, uint64_t *bytes, struct err *e)
{
	*bytes = store_of(s)->space;
	return *bytes ? 0 : store_space(store_of(s)->inner, bytes, e);
}

static void fault_destroy(struct store *s)
{
	struct fault_store *f = store_of(s);

	while (f->undo) {
		struct undo *u = f->undo;

		f->undo = u->next;
		free(u);
	}
	store_destroy(f->inner);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static const struct store_ops fault_ops = {
	.open = fault_open,
	.close = fault_close,
	.read = fault_read,
	.write = fault_write,
	.zero = fault_zero,
	.truncate = fault_truncate,
	.sync = fault_sync,
	.release = fault_release,
	.size = fault_size,
	.next_data = fault_next_data,
	.remove = fault_remove,
	.remove_tree = fault_remove_tree,
	.list = fault_list,
	.space = fault_space,
	.destroy = fault_destroy,
};

struct store *fault_store_new(struct store *inner, unsigned int at, enum fault how, int error,
			      uint64_t seed)
{
	struct fault_store *f = calloc(1, sizeof(*f));

	f->store.ops = &fault_ops;
	f->inner = inner;
	f->at = at;
	f->how = how;
	f->error = error;
	f->seed = seed;
	pthread_mutex_init(&f->lock, NULL);
	return &f->store;
}

unsigned int fault_store_calls(struct store *s)
{
	unsigned int calls;

	pthread_mutex_lock(&store_of(s)->lock);
	calls = store_of(s)->calls;
	pthread_mutex_unlock(&store_of(s)->lock);
	return calls;
}

void fault_store_arm(struct store *s, unsigned int at)
{
	pthread_mutex_lock(&store_of(s)->lock);
	store_of(s)->calls = 0;
	store_of(s)->at = at;
	pthread_mutex_unlock(&store_of(s)->lock);
}

void fault_store_deny(struct store *s, const char *name, uint64_t off, uint64_t len)
{
	strcpy(store_of(s)->denied, name ? name : "");
	store_of(s)->denied_off = off;
	store_of(s)->denied_len = name ? len : 0;
}

void fault_store_refuse(struct store *s, const char *name, int error)
{
	strcpy(store_of(s)->refused, name ? name : "");
	store_of(s)->refusal = error;
}

void fault_store_space(struct store *s, uint64_t bytes)
{
	store_of(s)->space = bytes;
}
