/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "appliance/buffers.h"

/* In front of what is handed out, which stays aligned as malloc's memory is. */
struct buffer {
	struct buffer *next;
	size_t room;
	_Alignas(16) uint8_t data[];
};

void buffers_init(struct buffers *b, size_t idle_max)
{
	*b = (struct buffers){.idle_max = idle_max};
	pthread_mutex_init(&b->lock, NULL);
}

void buffers_clear(struct buffers *b)
{
	while (b->idle) {
		struct buffer *i = b->idle;

		b->idle = i->next;
		free(i);
	}
	pthread_mutex_destroy(&b->lock);
}

/* The smallest idle one that is large enough, and not much larger. */
static struct buffer *take_idle(struct buffers *b, size_t bytes)
{
	struct buffer **best = NULL, *taken;

	for (struct buffer **p = &b->idle; *p; p = &(*p)->next) {
		if ((*p)->room >= bytes && (*p)->room <= 2 * bytes &&
		    (!best || (*p)->room < (*best)->room))
			best = p;
	}
	if (!best)
		return NULL;
	taken = *best;
	*best = taken->next;
	b->idle_bytes -= taken->room;
	return taken;
}

void *buffers_take(struct buffers *b, size_t bytes)
{
	struct buffer *taken = NULL;
	size_t room = bytes;

	if (bytes >= BUFFERS_LARGE) {
		pthread_mutex_lock(&b->lock);
		taken = take_idle(b, bytes);
		pthread_mutex_unlock(&b->lock);
		room = (bytes + BUFFERS_STEP - 1) / BUFFERS_STEP * BUFFERS_STEP;
	}
	if (!taken) {
		taken = malloc(sizeof(*taken) + room);
		if (!taken)
			return NULL;
		taken->room = room;
	}
	return taken->data;
}

/* Those that were not wanted for the longest time, until the rest is within the bound. */
static struct buffer *surplus(struct buffers *b)
{
	struct buffer **p = &b->idle, *rest;
	size_t sum = 0;

	while (*p && sum + (*p)->room <= b->idle_max) {
		sum += (*p)->room;
		p = &(*p)->next;
	}
	rest = *p;
	*p = NULL;
	b->idle_bytes = sum;
	return rest;
}

void buffers_give(struct buffers *b, void *data)
{
	struct buffer *given, *drop = NULL, *next;

	if (!data)
		return;
	given = (struct buffer *)((uint8_t *)data - offsetof(struct buffer, data));
	if (given->room < BUFFERS_LARGE) {
		free(given);
		return;
	}
	pthread_mutex_lock(&b->lock);
	given->next = b->idle;
	b->idle = given;
	b->idle_bytes += given->room;
	if (b->idle_bytes > b->idle_max)
		drop = surplus(b);
	pthread_mutex_unlock(&b->lock);
	for (; drop; drop = next) {
		next = drop->next;
		free(drop);
	}
}
