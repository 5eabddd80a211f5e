/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for large bodies, some of which is kept when it is given back: to have the kernel map and clear new pages for each segment costs
 * as much as to check it. How many buffers are in use at once is bounded elsewhere (admission.h). Any thread.
 */
#ifndef APPLIANCE_BUFFERS_H
#define APPLIANCE_BUFFERS_H

#include <pthread.h>
#include <stddef.h>

#define BUFFERS_LARGE (256u << 10) /* smaller ones are malloc's matter */
#define BUFFERS_STEP (512u << 10) /* large ones are multiples of it */

struct buffer;

struct buffers {
	pthread_mutex_t lock;
	struct buffer *idle; /* given back last first */
	size_t idle_bytes, idle_max;
};

/* At most idle_max bytes are kept. */
void buffers_init(struct buffers *b, size_t idle_max);
void buffers_clear(struct buffers *b); /* all are given back */

/* Room for `bytes`, of at most twice as many or a step; NULL: out of memory. */
void *buffers_take(struct buffers *b, size_t bytes);
void buffers_give(struct buffers *b, void *data); /* NULL is fine */

#endif
