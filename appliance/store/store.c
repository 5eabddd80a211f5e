/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance/store/store.h"

void store_destroy(struct store *s)
{
	if (s)
		s->ops->destroy(s);
}

int store_open(struct store *s, const char *name, unsigned int flags, struct store_object **out,
	       struct err *e)
{
	return s->ops->open(s, name, flags, out, e);
}

void store_close(struct store_object *o)
{
	if (o)
		o->store->ops->close(o);
}

void store_closep(struct store_object **o)
{
	store_close(*o);
}

int store_read(struct store_object *o, void *buf, size_t len, uint64_t off, struct err *e)
{
	return o->store->ops->read(o, buf, len, off, e);
}

int store_write(struct store_object *o, const void *buf, size_t len, uint64_t off, struct err *e)
{
	return o->store->ops->write(o, buf, len, off, e);
}

int store_zero(struct store_object *o, uint64_t off, uint64_t len, struct err *e)
{
	return o->store->ops->zero(o, off, len, e);
}

int store_truncate(struct store_object *o, uint64_t size, struct err *e)
{
	return o->store->ops->truncate(o, size, e);
}

int store_sync(struct store_object *o, struct err *e)
{
	return o->store->ops->sync(o, e);
}

void store_release(struct store_object *o, uint64_t off, uint64_t len)
{
	o->store->ops->release(o, off, len);
}

int store_size(struct store_object *o, uint64_t *size, struct err *e)
{
	return o->store->ops->size(o, size, e);
}

int store_next_data(struct store_object *o, uint64_t off, uint64_t *at, struct err *e)
{
	return o->store->ops->next_data(o, off, at, e);
}

int store_remove(struct store *s, const char *name, struct err *e)
{
	return s->ops->remove(s, name, e);
}

int store_remove_tree(struct store *s, const char *folder, struct err *e)
{
	return s->ops->remove_tree(s, folder, e);
}

int store_list(struct store *s, const char *folder, store_list_fn fn, void *arg, struct err *e)
{
	return s->ops->list(s, folder, fn, arg, e);
}

int store_space(struct store *s, uint64_t *bytes, struct err *e)
{
	return s->ops->space(s, bytes, e);
}
