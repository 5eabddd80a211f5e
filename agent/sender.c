// SPDX-License-Identifier: Apache-2.0
#include "agent/sender.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "agent/queue.h"
#include "agent/scan_digests.h"
#include "agent/split.h"
#include "agent/uplink.h"
#include "lib/clock.h"

#define CONNECTIONS_MAX 16
#define PARCELS_MAX 256

struct senders {
	struct agent *agent;
	struct sender_events events;
	struct queue empty, filled;
	struct cds_wfcq_node end;
	_Atomic unsigned int idle; /* threads with nothing to do */
	sem_t ended; /* a thread has seen the end */
	unsigned int parcel_count, thread_count;
	pthread_t thread[CONNECTIONS_MAX];
	struct parcel parcel[PARCELS_MAX];
};

struct put {
	struct agent *agent;
	struct split split;
};

static int put_once(struct api *api, void *request, struct err *e)
{
	struct put *q = request;
	struct split *x = &q->split;
	const struct parcel *p = x->parcel;
	struct put_outcome out = {0};
	uint64_t began = clock_monotonic_ns();
	int r = api_put_segment(api, p->disk->id, p->epoch, x->number, x->data, x->len, &out, e);

	atomic_fetch_add(&q->agent->totals.sent_bytes, out.sent);
	if (!r) {
		stage_add(&q->agent->stages, STAGE_SEND, clock_monotonic_ns() - began, x->len);
		stages_add_timing(&q->agent->stages, out.timing);
		return 0;
	}
	if (r == -EILSEQ)
		err_prefix(e, "%s", p->disk->name);
	if (split_failed(x, r, out.sent))
		atomic_fetch_add(&q->agent->stages.broken, 1);
	return r;
}

static int send_parcel(struct uplink *u, struct put *q, struct parcel *p, struct err *e)
{
	int r;

	split_begin(&q->split, p);
	do
		r = uplink_until(u, put_once, q, e);
	while (!r && split_next(&q->split));
	return r;
}

static struct cds_wfcq_node *next_filled(struct senders *s)
{
	struct cds_wfcq_node *node;

	atomic_fetch_add(&s->idle, 1);
	node = queue_take(&s->filled);
	atomic_fetch_sub(&s->idle, 1);
	return node;
}

static void *sender_main(void *arg)
{
	struct senders *s = arg;
	struct uplink u = {.agent = s->agent, .given_up = s->events.given_up, .arg = s->events.arg};
	struct cds_wfcq_node *node;
	struct put q = {.agent = s->agent};

	/* A node without a parcel says that the end has come. */
	while ((node = next_filled(s)) != &s->end) {
		struct parcel *p = caa_container_of(node, struct parcel, node);
		struct err e = {0};
		int r = send_parcel(&u, &q, p, &e);

		queue_put(&s->empty, &p->node);
		s->events.ended(s->events.arg, r, &e);
	}
	sem_post(&s->ended);
	split_clear(&q.split);
	uplink_clear(&u);
	return NULL;
}

/* What the workers' read buffers, and parts of segments, leave of the budget. */
static unsigned int parcels_in_budget(const struct config *c)
{
	uint64_t buffers = c->workers * SCAN_CHUNK + c->connections * SPLIT_MAX, n;

	n = c->memory_limit > buffers ? (c->memory_limit - buffers) / PARCEL_BYTES : 0;
	/* Each worker may hold one; with another the data goes on moving. */
	if (n < c->workers + 1)
		n = c->workers + 1;
	return n < PARCELS_MAX ? (unsigned int)n : PARCELS_MAX;
}

static int make_parcels(struct senders *s, struct err *e)
{
	unsigned int count = parcels_in_budget(&s->agent->config);

	while (s->parcel_count < count) {
		struct parcel *p = &s->parcel[s->parcel_count];

		p->builder = frame_builder_new(SEGMENT_PAYLOAD);
		if (!p->builder)
			return err_set(e, -ENOMEM, "out of memory");
		s->parcel_count++;
		queue_put(&s->empty, &p->node);
	}
	return 0;
}

int senders_new(struct agent *a, const struct sender_events *events, struct senders **out,
		struct err *e)
{
	struct senders *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->agent = a;
	s->events = *events;
	queue_init(&s->empty);
	queue_init(&s->filled);
	sem_init(&s->ended, 0, 0);
	r = make_parcels(s, e);
	while (!r && s->thread_count < a->config.connections && s->thread_count < CONNECTIONS_MAX) {
		r = -pthread_create(&s->thread[s->thread_count], NULL, sender_main, s);
		if (r)
			err_errno(e, r, "cannot start a sender thread");
		else
			s->thread_count++;
	}
	if (r) {
		senders_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void senders_free(struct senders *s)
{
	if (!s)
		return;
	/* One after the other: there is one such node. */
	for (unsigned int i = 0; i < s->thread_count; i++) {
		queue_put(&s->filled, &s->end);
		while (sem_wait(&s->ended) && errno == EINTR)
			;
	}
	for (unsigned int i = 0; i < s->thread_count; i++)
		pthread_join(s->thread[i], NULL);
	while (queue_try(&s->empty))
		;
	for (unsigned int i = 0; i < s->parcel_count; i++)
		frame_builder_free(s->parcel[i].builder);
	queue_destroy(&s->empty);
	queue_destroy(&s->filled);
	sem_destroy(&s->ended);
	free(s);
}

struct parcel *senders_take(struct senders *s, bool *waited)
{
	struct cds_wfcq_node *node = queue_try(&s->empty);
	uint64_t began;

	*waited = !node;
	if (!node) {
		began = clock_monotonic_ns();
		node = queue_take(&s->empty);
		stage_add(&s->agent->stages, STAGE_WAIT_MEMORY, clock_monotonic_ns() - began, 0);
	}
	return caa_container_of(node, struct parcel, node);
}

void senders_put(struct senders *s, struct parcel *p)
{
	queue_put(&s->filled, &p->node);
}

bool senders_idle(const struct senders *s)
{
	return atomic_load(&s->idle) > 0;
}

void senders_back(struct senders *s, struct parcel *p)
{
	queue_put(&s->empty, &p->node);
}
