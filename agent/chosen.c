// SPDX-License-Identifier: Apache-2.0
#include "agent/chosen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/rcu.h"
#include "lib/cleanup.h"
#include "lib/json.h"

static void none(const char *text, struct err *e)
{
	err_set(e, -ENOENT, "%s is not protected (see mobilityctl status)", text);
}

enum place { NOT_OPEN, OPEN_THERE, OPEN_ELSEWHERE };

/* What the agent has open is where its path says. */
static enum place place_of(struct agent *a, const char *path, const struct state_disk *known)
{
	enum place place = NOT_OPEN;
	struct disk *d;

	agent_rcu_lock();
	d = disk_table_find(agent_rcu_read(a->disks), known->key);
	if (d) {
		pthread_mutex_lock(&d->lock);
		if (d->source)
			place = strcmp(d->path, path) ? OPEN_ELSEWHERE : OPEN_THERE;
		pthread_mutex_unlock(&d->lock);
	}
	agent_rcu_unlock();
	return place;
}

static bool open_at(struct agent *a, const char *path, const struct state_disk *known)
{
	return place_of(a, path, known) == OPEN_THERE;
}

/* A copy has its key too, and so had every namespace of an NVMe controller. */
static bool has_key(struct agent *a, const char *path, const struct state_disk *known)
{
	return place_of(a, path, known) != OPEN_ELSEWHERE && identify_is(path, known->key);
}

static bool was_at(struct agent *a, const char *path, const struct state_disk *known)
{
	(void)a;
	return !strcmp(known->path, path);
}

struct candidates {
	struct state_disk *first, *second;
};

static struct candidates candidates(struct agent *a, struct state *st, const char *path,
				    bool (*is)(struct agent *a, const char *path,
					       const struct state_disk *known))
{
	struct candidates c = {0};

	for (size_t i = 0; !c.second && i < st->disk_count; i++) {
		struct state_disk *d = &st->disk[i];

		if (d->removing || !is(a, path, d))
			continue;
		if (c.first)
			c.second = d;
		else
			c.first = d;
	}
	return c;
}

/* NULL: e is filled. */
static struct state_disk *by_path(struct agent *a, struct state *st, const char *text,
				  struct err *e)
{
	_cleanup_free_ char *real = realpath(text, NULL);
	struct candidates c = {0};

	if (real)
		c = candidates(a, st, real, open_at);
	if (real && !c.first)
		c = candidates(a, st, real, has_key);
	if (!c.first) {
		c = candidates(a, st, real ? real : text, was_at);
		if (real && c.first) {
			err_set(e, -ENOENT,
				"%s was the disk %s when that was last seen, and is not known to be "
				"it now: if you mean it, say %s",
				text, c.first->name, c.first->name);
			return NULL;
		}
	}
	if (c.second) {
		err_set(e, -ENOTUNIQ,
			"%s may be the disk %s or the disk %s: say which of the two names you mean",
			text, c.first->name, c.second->name);
		return NULL;
	}
	if (!c.first)
		none(text, e);
	return c.first;
}

/* NULL: e is filled. */
static struct state_disk *find(struct agent *a, struct state *st, const char *text, struct err *e)
{
	/* No name has a slash, and no key begins with one. */
	if (*text == '/')
		return by_path(a, st, text, e);
	for (size_t i = 0; i < st->disk_count; i++) {
		struct state_disk *d = &st->disk[i];

		if (!d->removing && (!strcmp(d->key, text) || !strcmp(d->name, text)))
			return d;
	}
	none(text, e);
	return NULL;
}

void chosen_clear(struct chosen *c)
{
	free(c->key);
	json_decref(c->answer);
}

static void answer(struct chosen *c, const struct state_disk *d)
{
	json_array_append_new(c->answer, json_pack("{s:s, s:s, s:s}", "name", d->name, "path",
						   d->path, "key", d->key));
}

/* The request names none. */
static int choose_all(struct chosen *c, const struct state *st, struct err *e)
{
	for (size_t i = 0; i < st->disk_count; i++) {
		if (!st->disk[i].removing)
			answer(c, &st->disk[i]);
	}
	if (json_array_size(c->answer))
		return 0;
	return err_set(e, -ENODEV, "no disk is protected: mobilityctl protect DISK");
}

static int choose(struct agent *a, struct chosen *c, struct state *st, struct err *e)
{
	if (!c->q->disk_count)
		return choose_all(c, st, e);
	for (size_t i = 0; i < c->q->disk_count; i++) {
		const struct state_disk *d = find(a, st, c->q->disk[i], e);

		if (!d)
			return e->code;
		strcpy(c->key[i], d->key);
		answer(c, d);
	}
	return 0;
}

int chosen_disks(struct agent *a, const struct request *q, struct chosen *c, struct err *e)
{
	struct state st;
	int r;

	*c = (struct chosen){.q = q,
			     .key = calloc(q->disk_count + 1, sizeof(*c->key)),
			     .answer = json_array()};
	if (!c->key || !c->answer)
		return err_set(e, -ENOMEM, "out of memory");
	r = store_copy(a->store, &st, e);
	if (r)
		return r;
	r = choose(a, c, &st, e);
	state_clear(&st);
	return r;
}

struct state_disk *chosen_disk(struct state *st, const struct chosen *c, size_t i, struct err *e)
{
	struct state_disk *d = state_find(st, c->key[i]);

	if (d && !d->removing)
		return d;
	none(c->q->disk[i], e);
	return NULL;
}

struct state_disk *chosen_identity(struct state *st, const struct identity *id)
{
	struct state_disk *d = state_find(st, id->key);

	if (d || !id->old_key[0])
		return d;
	/* Others had that key too, so that the path tells. */
	d = state_find(st, id->old_key);
	return d && !strcmp(d->path, id->path) ? d : NULL;
}
