/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for bodies: small ones first, large ones by machine in turn, nobody for ever, and nobody all of it. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "appliance/admission.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "tests/unit/run_tcase.h"

#define MIB (1ull << 20)
#define LONG (20 * NSEC_PER_SEC)

static struct admission a;
static unsigned int order; /* of being let in; a.lock protects it */

struct guest {
	pthread_t thread;
	struct admission_flow *flow;
	uint64_t bytes;
	unsigned int place;
	int rc;
};

static void *come_in(void *arg)
{
	struct guest *g = arg;

	g->rc = admission_enter(&a, g->flow, g->bytes, LONG);
	pthread_mutex_lock(&a.lock);
	g->place = ++order;
	pthread_mutex_unlock(&a.lock);
	admission_leave(&a, g->flow, g->bytes);
	return NULL;
}

static unsigned int waiting(void)
{
	unsigned int n = 0;

	pthread_mutex_lock(&a.lock);
	for (void *const *w = (void *)a.small; w; w = *w)
		n++;
	for (void *const *w = (void *)a.large; w; w = *w)
		n++;
	pthread_mutex_unlock(&a.lock);
	return n;
}

/* Returns when the guest waits. */
static void queue(struct guest *g, struct admission_flow *flow, uint64_t bytes)
{
	unsigned int before = waiting();

	*g = (struct guest){.flow = flow, .bytes = bytes};
	ck_assert_int_eq(pthread_create(&g->thread, NULL, come_in, g), 0);
	while (waiting() == before)
		sched_yield();
}

START_TEST(small_ones_have_a_part_to_themselves)
{
	struct admission_flow f = {0};

	admission_init(&a, 8 * MIB);
	ck_assert_int_eq(admission_enter(&a, &f, 7 * MIB, 0), 0);
	ck_assert_int_eq(admission_enter(&a, &f, MIB, 0), -EBUSY);
	ck_assert_int_eq(admission_enter(&a, &f, ADMISSION_SMALL, 0), 0);
	admission_leave(&a, &f, ADMISSION_SMALL);
	admission_leave(&a, &f, 7 * MIB);
	ck_assert_uint_eq(a.free, 8 * MIB);
	ck_assert_int_eq(admission_enter(&a, &f, 7 * MIB, 0), 0);
	admission_clear(&a);
}
END_TEST

START_TEST(machines_in_turn)
{
	struct admission_flow greedy = {0}, modest = {0}, holder = {0}, second = {0};
	struct guest g[4], m, s;

	order = 0;
	admission_init(&a, 8 * MIB);
	ck_assert_int_eq(admission_enter(&a, &holder, 7 * MIB, 0), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(g); i++)
		queue(&g[i], &greedy, 7 * MIB);
	queue(&m, &modest, 7 * MIB);
	admission_leave(&a, &holder, 7 * MIB);
	for (unsigned int i = 0; i < ARRAY_SIZE(g); i++)
		pthread_join(g[i].thread, NULL);
	pthread_join(m.thread, NULL);
	/* It came last, and only what came before it of the other's first turn goes ahead of it. */
	ck_assert_uint_le(m.place, 2);
	ck_assert_int_eq(m.rc, 0);

	ck_assert_int_eq(admission_enter(&a, &holder, 7 * MIB, 0), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(admission_enter(&a, i % 2 ? &second : &holder, ADMISSION_SMALL, 0),
				 0);
	order = 0;
	queue(&g[0], &greedy, 7 * MIB);
	queue(&s, &modest, ADMISSION_SMALL);
	for (int i = 0; i < 4; i++)
		admission_leave(&a, i % 2 ? &second : &holder, ADMISSION_SMALL);
	pthread_join(s.thread, NULL);
	ck_assert_uint_eq(s.place, 1);
	admission_leave(&a, &holder, 7 * MIB);
	pthread_join(g[0].thread, NULL);
	ck_assert_uint_eq(a.free, 8 * MIB);
	admission_clear(&a);
}
END_TEST

static uint64_t fake_ns;

static uint64_t fake_now(void)
{
	return fake_ns;
}

static void fake_init(uint64_t bytes)
{
	order = 0;
	fake_ns = NSEC_PER_SEC;
	admission_init(&a, bytes);
	a.now = fake_now;
}

static void join(struct guest *g, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		pthread_join(g[i].thread, NULL);
		ck_assert_int_eq(g[i].rc, 0);
	}
}

/* Machines that send slowly hold everything and wait for more; whatever one of them frees goes to the machine that gives it back. */
START_TEST(memory_goes_to_those_who_give_it_back)
{
	struct admission_flow slow[3] = {0}, fast = {0};
	struct guest s[3], f[4];

	fake_init(8 * MIB);
	for (unsigned int i = 0; i < 6; i++)
		ck_assert_int_eq(admission_enter(&a, &slow[i / 2], MIB, 0), 0);
	ck_assert_int_eq(admission_enter(&a, &slow[0], MIB, 0), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(s); i++)
		queue(&s[i], &slow[i], MIB);
	fake_ns += 140 * NSEC_PER_SEC;
	for (unsigned int i = 0; i < ARRAY_SIZE(f); i++)
		queue(&f[i], &fast, MIB);
	admission_leave(&a, &slow[2], MIB);
	join(f, ARRAY_SIZE(f));
	join(s, ARRAY_SIZE(s));
	for (unsigned int i = 0; i < ARRAY_SIZE(f); i++)
		ck_assert_uint_le(f[i].place, ARRAY_SIZE(f));
	/* 560 times its bytes, as promised, and no more. */
	ck_assert_uint_ge(slow[1].finish, 2 * 561 * MIB);
	ck_assert_uint_le(slow[1].finish, 2 * 561 * MIB + 8 * MIB);
	for (unsigned int i = 0; i < 6; i++)
		admission_leave(&a, &slow[i < 5 ? i / 2 : 0], MIB);
	ck_assert_uint_eq(a.free, 8 * MIB);
	admission_clear(&a);
}
END_TEST

/* What was held for 5 s costs 20 times its bytes: then it is the slow machine's turn again, whoever else waits. */
START_TEST(a_slow_machine_gets_its_share)
{
	struct admission_flow slow = {0}, fast = {0};
	struct guest s, f[30];

	fake_init(8 * MIB);
	ck_assert_int_eq(admission_enter(&a, &slow, 7 * MIB, 0), 0);
	queue(&s, &slow, 7 * MIB);
	for (unsigned int i = 0; i < ARRAY_SIZE(f); i++)
		queue(&f[i], &fast, 7 * MIB);
	fake_ns += 5 * NSEC_PER_SEC;
	admission_leave(&a, &slow, 7 * MIB);
	join(&s, 1);
	join(f, ARRAY_SIZE(f));
	ck_assert_uint_ge(s.place, 21);
	ck_assert_uint_le(s.place, 23);
	admission_clear(&a);
}
END_TEST

/* A machine that held it all for an hour is not kept away for that long, and a machine alone has no turns to wait for. */
START_TEST(debt_is_bounded)
{
	struct admission_flow slow = {0}, fast = {0};
	uint64_t turn;

	fake_init(8 * MIB);
	ck_assert_int_eq(admission_enter(&a, &slow, 7 * MIB, 0), 0);
	fake_ns += 3600 * NSEC_PER_SEC;
	admission_leave(&a, &slow, 7 * MIB);
	ck_assert_uint_eq(slow.finish, a.turn + 60 * 4 * 8 * MIB);
	ck_assert_int_eq(admission_enter(&a, &slow, 7 * MIB, 0), 0);
	admission_leave(&a, &slow, 7 * MIB);
	turn = a.turn;
	/* A small body of a machine in debt takes nobody's turn. */
	ck_assert_int_eq(admission_enter(&a, &slow, ADMISSION_SMALL, 0), 0);
	fake_ns += 3600 * NSEC_PER_SEC;
	admission_leave(&a, &slow, ADMISSION_SMALL);
	ck_assert_uint_eq(a.turn, turn);
	ck_assert_uint_eq(slow.finish, turn + 7 * MIB);
	ck_assert_int_eq(admission_enter(&a, &fast, 7 * MIB, 0), 0);
	ck_assert_uint_eq(fast.finish, turn + 7 * MIB);
	admission_leave(&a, &fast, 7 * MIB);
	admission_clear(&a);
}
END_TEST

static int enter(struct admission_flow *f, uint64_t bytes)
{
	return admission_enter(&a, f, bytes, 0);
}

/* Whatever a machine does not give back, another finds memory; but for what it took while it was alone. */
START_TEST(half_while_others_want_some)
{
	struct admission_flow hog = {0}, other = {0};
	struct guest more;

	fake_init(8 * MIB);
	for (int i = 0; i < 7; i++)
		ck_assert_int_eq(enter(&hog, MIB), 0);
	ck_assert_int_eq(enter(&other, MIB), -EBUSY);
	for (int i = 0; i < 7; i++)
		admission_leave(&a, &hog, MIB);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(enter(&hog, MIB), 0);
	ck_assert_int_eq(enter(&hog, MIB), -EBUSY);
	/* Who has its share and waits for more keeps nobody waiting. */
	queue(&more, &hog, MIB);
	ck_assert_int_eq(enter(&other, 3 * MIB), 0);
	admission_leave(&a, &other, 3 * MIB);
	admission_leave(&a, &hog, MIB);
	join(&more, 1);
	/* Alone again it may have all. */
	fake_ns += 59 * NSEC_PER_SEC;
	ck_assert_int_eq(enter(&hog, MIB), 0);
	ck_assert_int_eq(enter(&hog, MIB), -EBUSY);
	fake_ns += NSEC_PER_SEC;
	ck_assert_int_eq(enter(&hog, 3 * MIB), 0);
	admission_leave(&a, &hog, 7 * MIB);
	admission_clear(&a);
}
END_TEST

/* As for the part that small bodies have to themselves. */
START_TEST(half_of_what_is_for_small_ones)
{
	struct admission_flow hog = {0}, other = {0};
	struct guest more;

	fake_init(16 * MIB);
	ck_assert_int_eq(enter(&other, ADMISSION_SMALL), 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(enter(&hog, ADMISSION_SMALL), 0);
	ck_assert_int_eq(enter(&hog, ADMISSION_SMALL), -EBUSY);
	queue(&more, &hog, ADMISSION_SMALL);
	ck_assert_int_eq(enter(&other, ADMISSION_SMALL), 0);
	ck_assert_int_eq(enter(&other, MIB), 0);
	admission_leave(&a, &hog, ADMISSION_SMALL);
	join(&more, 1);
	ck_assert_uint_eq(hog.held_small, 3 * ADMISSION_SMALL);
	admission_clear(&a);
}
END_TEST

START_TEST(one_body_in_any_case)
{
	struct admission_flow large = {0}, other = {0};

	fake_init(8 * MIB);
	ck_assert_int_eq(enter(&other, ADMISSION_SMALL), 0);
	ck_assert_int_eq(enter(&large, 6 * MIB), 0);
	ck_assert_int_eq(enter(&large, ADMISSION_SMALL + 1), -EBUSY);
	admission_clear(&a);
}
END_TEST

START_TEST(a_wait_ends)
{
	struct admission_flow f = {0};
	uint64_t began = clock_monotonic_ns();

	admission_init(&a, 8 * MIB);
	ck_assert_int_eq(admission_enter(&a, &f, 4 * MIB, 0), 0);
	ck_assert_int_eq(admission_enter(&a, &f, 4 * MIB, 50000000), -EBUSY);
	ck_assert_uint_ge(clock_monotonic_ns() - began, 50000000);
	ck_assert_ptr_null(a.large);
	ck_assert_int_eq(admission_enter(&a, &f, 3 * MIB, 0), 0);
	admission_clear(&a);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("admission");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, small_ones_have_a_part_to_themselves);
	tcase_add_test(t, machines_in_turn);
	tcase_add_test(t, memory_goes_to_those_who_give_it_back);
	tcase_add_test(t, a_slow_machine_gets_its_share);
	tcase_add_test(t, debt_is_bounded);
	tcase_add_test(t, half_while_others_want_some);
	tcase_add_test(t, half_of_what_is_for_small_ones);
	tcase_add_test(t, one_body_in_any_case);
	tcase_add_test(t, a_wait_ends);
	return run_tcase("admission", t);
}
