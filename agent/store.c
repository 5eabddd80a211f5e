// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/state.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/io.h"
#include "lib/log.h"

#define RETRY_NS (10 * NSEC_PER_SEC)

struct store {
	pthread_mutex_t lock; /* guards the next four, and orders the writes of the file */
	struct state current;
	uint64_t generation;
	struct err failure; /* of the last write; code 0: it did not fail */
	uint64_t retry_ns; /* monotonic: when it is to be tried again */
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
	int r = io_read_file(s->state_file, STATE_FILE_MAX, &text, &len, e);

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
	s->state_file = join(dir, STATE_FILE);
	s->ca_file = join(dir, "ca.pem");
	s->cert_file = join(dir, "cert.pem");
	s->key_file = join(dir, "key.pem");
	s->new_key_file = join(dir, "key.new.pem");
	r = io_mkdirs(dir, 0700, e);
	if (!r) {
		s->lock_fd = io_lock_file(lock_file, e);
		r = s->lock_fd < 0 ? s->lock_fd : 0;
		if (r == -EBUSY)
			err_prefix(e, "another mobilityd may be running with this state_dir");
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

/* One line when it fails and one when it works again, however often it is tried between. */
static void note_outcome(struct store *s, int r)
{
	if (r)
		s->retry_ns = clock_monotonic_ns() + RETRY_NS;
	if (r == s->failure.code)
		return;
	if (!r)
		log_info("%s is written again", s->state_file);
	s->failure = (struct err){0};
	if (!r) {
		/* What could not be remembered meanwhile is gone through again. */
		s->generation++;
		return;
	}
	err_errno(&s->failure, r, "%s cannot be written", s->state_file);
	log_error("%s", s->failure.text);
}

static int write_locked(struct store *s, const struct state *st, struct err *e)
{
	_cleanup_free_ char *text = state_to_text(st);
	int r;

	if (!text)
		return err_set(
			e, -ENOMEM,
			"the state cannot be written down: out of memory, or something in it is not UTF-8");
	r = io_write_file_atomic(s->state_file, text, strlen(text), 0600, e);
	note_outcome(s, r);
	return r;
}

static int update_locked(struct store *s, bool announce,
			 int (*edit)(struct state *st, void *arg, struct err *e), void *arg,
			 struct err *e)
{
	struct state next;
	int r = duplicate(&s->current, &next, e);

	if (r)
		return r;
	r = edit(&next, arg, e);
	if (!r)
		r = write_locked(s, &next, e);
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

bool store_failing(struct store *s, struct err *e)
{
	bool failing;

	pthread_mutex_lock(&s->lock);
	failing = s->failure.code != 0;
	if (e)
		*e = s->failure;
	pthread_mutex_unlock(&s->lock);
	return failing;
}

void store_retry(struct store *s)
{
	pthread_mutex_lock(&s->lock);
	if (s->failure.code && clock_monotonic_ns() >= s->retry_ns)
		write_locked(s, &s->current, NULL);
	pthread_mutex_unlock(&s->lock);
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
