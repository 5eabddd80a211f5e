/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What joins two stages of the data path: a FIFO of intrusive nodes (liburcu's wfcqueue) that a
 * taker can sleep on. It has no bound of its own: what goes round in it is counted out beforehand.
 *
 *	queue_put	any number of threads, never waits
 *	queue_take	any number of threads, sleeps until there is a node
 *	init, destroy	one thread, nobody else inside
 */
#ifndef MOBILITY_AGENT_QUEUE_H
#define MOBILITY_AGENT_QUEUE_H

#include <semaphore.h>
#include <urcu/wfcqueue.h>

struct queue {
	struct cds_wfcq_head head;
	struct cds_wfcq_tail tail;
	sem_t ready; /* as many as there are nodes */
};

void queue_init(struct queue *q);
void queue_destroy(struct queue *q);
void queue_put(struct queue *q, struct cds_wfcq_node *node);
struct cds_wfcq_node *queue_take(struct queue *q);
/* NULL: there is none now. */
struct cds_wfcq_node *queue_try(struct queue *q);

#endif
