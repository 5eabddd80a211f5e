// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/state.h"
#include "lib/cleanup.h"
#include "lib/io.h"

struct store {
	pthread_mutex_t lock; /* guards current and generation, and orders the writes of the file */
	struct state current;
	uint64_t generation;
	int lock_fd;
	char *state_file, *ca_file, *cert_file, *key_file, *new_key_file;
};

static char *join(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static int load(struct store *s, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = io_read_file(s->state_file, 8u << 20, &text, &len, e);

	if (r == -ENOENT)
		return 0;
	if (!r)
		r = state_from_text(text, len, &s->current, e);
	if (r)
		err_prefix(
			e,
			"cannot use %s (restore it from a backup, or move it away and enrol again)",
			s->state_file);
	return r;
}

int store_open(const char *dir, struct store **out, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	_cleanup_free_ char *lock_file = join(dir, "lock");
	int r;

	*out = NULL;
	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&s->lock, NULL);
	s->lock_fd = -1;
	s->generation = 1;
	s->state_file = join(dir, "state.json");
	s->ca_file = join(dir, "ca.pem");
	s->cert_file = join(dir, "cert.pem");
	s->key_file = join(dir, "key.pem");
	s->new_key_file = join(dir, "key.new.pem");
	r = io_mkdirs(dir, 0700, e);
	if (!r) {
		s->lock_fd = io_lock_file(lock_file, e);
		if (s->lock_fd < 0)
			r = err_prefix(e, "another mobilityd may be running with this state_dir");
	}
	if (!r)
		r = load(s, e);
	if (r)
		store_close(s);
	else
		*out = s;
	return r;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	state_clear(&s->current);
	free(s->state_file);
	free(s->ca_file);
	free(s->cert_file);
	free(s->key_file);
	free(s->new_key_file);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int duplicate(const struct state *from, struct state *to, struct err *e)
{
	*to = *from;
	to->disk = NULL;
	if (!from->disk_count)
		return 0;
	to->disk = malloc(from->disk_count * sizeof(*to->disk));
	if (!to->disk) {
		memset(to, 0, sizeof(*to));
		return err_set(e, -ENOMEM, "out of memory");
	}
	memcpy(to->disk, from->disk, from->disk_count * sizeof(*to->disk));
	return 0;
}

int store_copy(struct store *s, struct state *out, struct err *e)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = duplicate(&s->current, out, e);
	pthread_mutex_unlock(&s->lock);
	return r;
}

static int update_locked(struct store *s, bool announce,
			 int (*edit)(struct state *st, void *arg, struct err *e), void *arg,
			 struct err *e)
{
	_cleanup_free_ char *text = NULL;
	struct state next;
	int r = duplicate(&s->current, &next, e);

	if (r)
		return r;
	r = edit(&next, arg, e);
	if (!r) {
		text = state_to_text(&next);
		r = text ? io_write_file_atomic(s->state_file, text, strlen(text), 0600, e)
			 : err_set(e, -ENOMEM, "out of memory");
	}
	if (r) {
		state_clear(&next);
		return r;
	}
	state_clear(&s->current);
	s->current = next;
	if (announce)
		s->generation++;
	return 0;
}

int store_update(struct store *s, bool announce,
		 int (*edit)(struct state *st, void *arg, struct err *e), void *arg, struct err *e)
{
	int r;

	pthread_mutex_lock(&s->lock);
	r = update_locked(s, announce, edit, arg, e);
	pthread_mutex_unlock(&s->lock);
	return r;
}

uint64_t store_generation(struct store *s)
{
	uint64_t g;

	pthread_mutex_lock(&s->lock);
	g = s->generation;
	pthread_mutex_unlock(&s->lock);
	return g;
}

const char *store_ca_file(struct store *s)
{
	return s->ca_file;
}

const char *store_cert_file(struct store *s)
{
	return s->cert_file;
}

const char *store_key_file(struct store *s)
{
	return s->key_file;
}

const char *store_new_key_file(struct store *s)
{
	return s->new_key_file;
}
