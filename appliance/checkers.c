/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "appliance/checkers.h"

struct checker {
	struct codec *codec;
	uint8_t out[WIRE_EXTENT_DATA_MAX];
};

static void checker_free(struct checker *k)
{
	if (!k)
		return;
	codec_free(k->codec);
	free(k);
}

static struct checker *checker_new(void)
{
	struct checker *k = malloc(sizeof(*k));

	if (!k)
		return NULL;
	k->codec = codec_new();
	if (!k->codec) {
		checker_free(k);
		return NULL;
	}
	return k;
}

void checkers_init(struct checkers *c)
{
	*c = (struct checkers){0};
	pthread_mutex_init(&c->lock, NULL);
}

void checkers_clear(struct checkers *c)
{
	while (c->count)
		checker_free(c->idle[--c->count]);
	pthread_mutex_destroy(&c->lock);
}

static struct checker *take(struct checkers *c)
{
	struct checker *k = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->count)
		k = c->idle[--c->count];
	pthread_mutex_unlock(&c->lock);
	return k ? k : checker_new();
}

static void give(struct checkers *c, struct checker *k)
{
	pthread_mutex_lock(&c->lock);
	if (c->count < CHECKERS_KEPT) {
		c->idle[c->count++] = k;
		k = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	checker_free(k);
}

int checkers_check(struct checkers *c, const struct frame *f, struct err *e)
{
	struct checker *k = take(c);
	int rc;

	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	rc = frame_check(k->codec, f, k->out, e);
	give(c, k);
	return rc;
}
