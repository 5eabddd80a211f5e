// SPDX-License-Identifier: Apache-2.0
#include "agent/queue.h"

#include <errno.h>

void queue_init(struct queue *q)
{
	cds_wfcq_init(&q->head, &q->tail);
	sem_init(&q->ready, 0, 0);
}

void queue_destroy(struct queue *q)
{
	sem_destroy(&q->ready);
	cds_wfcq_destroy(&q->head, &q->tail);
}

void queue_put(struct queue *q, struct cds_wfcq_node *node)
{
	cds_wfcq_node_init(node);
	cds_wfcq_enqueue(&q->head, &q->tail, node);
	/* After the node: who gets past the semaphore finds one, and sees what is in it. */
	sem_post(&q->ready);
}

struct cds_wfcq_node *queue_take(struct queue *q)
{
	while (sem_wait(&q->ready) && errno == EINTR)
		;
	return cds_wfcq_dequeue_blocking(&q->head, &q->tail);
}

struct cds_wfcq_node *queue_try(struct queue *q)
{
	if (sem_trywait(&q->ready))
		return NULL;
	return cds_wfcq_dequeue_blocking(&q->head, &q->tail);
}
