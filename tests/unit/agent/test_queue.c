// SPDX-License-Identifier: Apache-2.0
#include "agent/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/unit/agent/support.h"

#define PRODUCERS 3
#define CONSUMERS 3
#define EACH 20000

struct item {
	struct cds_wfcq_node node;
	unsigned int producer, number;
	_Atomic unsigned int taken;
};

static struct queue q;

static struct item *item_of(struct cds_wfcq_node *node)
{
	return node ? caa_container_of(node, struct item, node) : NULL;
}

START_TEST(first_in_first_out)
{
	struct item a = {0}, b = {0}, c = {0};

	queue_init(&q);
	ck_assert_ptr_null(queue_try(&q));
	queue_put(&q, &a.node);
	queue_put(&q, &b.node);
	ck_assert_ptr_eq(item_of(queue_take(&q)), &a);
	queue_put(&q, &c.node);
	ck_assert_ptr_eq(item_of(queue_try(&q)), &b);
	/* What went round once goes round again. */
	queue_put(&q, &a.node);
	ck_assert_ptr_eq(item_of(queue_take(&q)), &c);
	ck_assert_ptr_eq(item_of(queue_take(&q)), &a);
	ck_assert_ptr_null(queue_try(&q));
	queue_destroy(&q);
}
END_TEST

static _Atomic bool got;

static void *take_one(void *arg)
{
	struct cds_wfcq_node *node = queue_take(&q);

	(void)arg;
	atomic_store(&got, true);
	return item_of(node);
}

START_TEST(who_takes_of_an_empty_queue_sleeps)
{
	struct item a = {0};
	pthread_t t;
	void *result;

	queue_init(&q);
	ck_assert_int_eq(pthread_create(&t, NULL, take_one, NULL), 0);
	usleep(50000);
	ck_assert(!atomic_load(&got));
	queue_put(&q, &a.node);
	pthread_join(t, &result);
	ck_assert_ptr_eq(result, &a);
	queue_destroy(&q);
}
END_TEST

static struct item items[PRODUCERS][EACH], end[CONSUMERS];
static _Atomic unsigned int taken;

static void *produce(void *arg)
{
	struct item *mine = arg;

	for (unsigned int i = 0; i < EACH; i++)
		queue_put(&q, &mine[i].node);
	return NULL;
}

/* Each producer's nodes come in the order in which it put them; NULL if not. */
static void *consume(void *arg)
{
	int last[PRODUCERS] = {-1, -1, -1};
	struct item *i;

	while ((i = item_of(queue_take(&q)))->producer < PRODUCERS) {
		if (last[i->producer] >= (int)i->number || atomic_fetch_add(&i->taken, 1))
			return NULL;
		last[i->producer] = (int)i->number;
		atomic_fetch_add(&taken, 1);
	}
	return arg;
}

START_TEST(nothing_is_lost_or_taken_twice)
{
	pthread_t producer[PRODUCERS], consumer[CONSUMERS];
	void *result;

	queue_init(&q);
	for (unsigned int p = 0; p < PRODUCERS; p++) {
		for (unsigned int i = 0; i < EACH; i++)
			items[p][i] = (struct item){.producer = p, .number = i};
	}
	for (unsigned int c = 0; c < CONSUMERS; c++)
		ck_assert_int_eq(pthread_create(&consumer[c], NULL, consume, &q), 0);
	for (unsigned int p = 0; p < PRODUCERS; p++)
		ck_assert_int_eq(pthread_create(&producer[p], NULL, produce, items[p]), 0);
	for (unsigned int p = 0; p < PRODUCERS; p++)
		pthread_join(producer[p], NULL);
	for (unsigned int c = 0; c < CONSUMERS; c++) {
		end[c].producer = PRODUCERS;
		queue_put(&q, &end[c].node);
	}
	for (unsigned int c = 0; c < CONSUMERS; c++) {
		pthread_join(consumer[c], &result);
		ck_assert_ptr_nonnull(result);
	}
	ck_assert_uint_eq(atomic_load(&taken), PRODUCERS * EACH);
	ck_assert_ptr_null(queue_try(&q));
	queue_destroy(&q);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("queue");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, first_in_first_out);
	tcase_add_test(tc, who_takes_of_an_empty_queue_sleeps);
	tcase_add_test(tc, nothing_is_lost_or_taken_twice);
	return run_tcase("queue", tc);
}
