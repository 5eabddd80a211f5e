// SPDX-License-Identifier: Apache-2.0
/* wraps: clock_monotonic_ns */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "agent/backoff.h"
#include "agent/bookmark.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

static uint64_t later_ns;

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_monotonic_ns(void)
{
	return __real_clock_monotonic_ns() + later_ns;
}

struct asker {
	struct bookmarks *q;
	const char *name;
	bool app;
	uint64_t timeout_ns;
	pthread_t thread;
	int r;
	struct bookmark_result result;
	struct err e;
};

static void ignore(void *arg)
{
	(void)arg;
}

static void *ask(void *arg)
{
	struct asker *a = arg;

	a->r = bookmarks_ask(a->q, a->name, a->app, a->timeout_ns, ignore, NULL, &a->result, &a->e);
	return NULL;
}

static void start(struct asker *a)
{
	ck_assert_int_eq(pthread_create(&a->thread, NULL, ask, a), 0);
}

static void wait_waiting(struct bookmarks *q)
{
	const volatile bool never = false;

	while (!bookmarks_waiting(q))
		backoff_sleep(NSEC_PER_SEC / 1000, &never);
}

START_TEST(asked_taken_and_answered)
{
	struct bookmarks *q = bookmarks_new();
	struct asker a = {.q = q, .name = "one", .app = true, .timeout_ns = 30 * NSEC_PER_SEC};
	struct bookmark_result point = {.id = 7, .time_ns = 9, .consistency = "crash"};
	const char *name;
	struct bookmark *b;

	ck_assert_ptr_null(bookmarks_take(q, &name));
	start(&a);
	wait_waiting(q);
	b = bookmarks_take(q, &name);
	ck_assert_str_eq(name, "one");
	ck_assert(bookmark_is_app(b));
	ck_assert(!bookmarks_waiting(q));
	/* The epoch was torn: it goes with the next one. */
	bookmarks_retry(q, b, "torn");
	ck_assert(bookmarks_waiting(q));
	b = bookmarks_take(q, &name);
	bookmarks_done(q, b, &point);
	pthread_join(a.thread, NULL);
	ck_assert_int_eq(a.r, 0);
	ck_assert_uint_eq(a.result.id, 7);
	ck_assert_str_eq(a.result.consistency, "crash");
	bookmarks_free(q);
}
END_TEST

START_TEST(time_runs_out)
{
	struct bookmarks *q = bookmarks_new();
	struct asker a = {.q = q, .name = "a", .timeout_ns = NSEC_PER_SEC / 50};
	struct bookmark_result point = {.id = 1};
	const char *name;
	struct bookmark *b;

	/* Never taken */
	ask(&a);
	ck_assert_int_eq(a.r, -ETIMEDOUT);
	ck_assert(!bookmarks_waiting(q));
	/* Refused by an epoch, and why is told */
	a.timeout_ns = NSEC_PER_SEC / 2;
	start(&a);
	wait_waiting(q);
	b = bookmarks_take(q, &name);
	bookmarks_retry(q, b, "the epoch was torn");
	pthread_join(a.thread, NULL);
	ck_assert_int_eq(a.r, -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(a.e.text, "the epoch was torn"));
	/* Under way when nobody waits any more: the answer finds nobody and harms nothing. */
	for (int how = 0; how < 3; how++) {
		start(&a);
		wait_waiting(q);
		b = bookmarks_take(q, &name);
		pthread_join(a.thread, NULL);
		ck_assert_int_eq(a.r, -ETIMEDOUT);
		if (how == 0)
			bookmarks_done(q, b, &point);
		else if (how == 1)
			bookmarks_refuse(q, b, -EBUSY, "no");
		else
			bookmarks_retry(q, b, "no");
		ck_assert(!bookmarks_waiting(q));
	}
	bookmarks_free(q);
}
END_TEST

/* Who was put off waits, each time twice as long, and lets others go before. */
START_TEST(pauses_grow_and_hold_up_nobody_else)
{
	static const uint64_t pauses[] = {30, 60, 120, 240};
	struct bookmarks *q = bookmarks_new();
	struct asker a = {.q = q, .name = "a", .app = true, .timeout_ns = 3600 * NSEC_PER_SEC};
	struct asker other = {.q = q, .name = "other", .timeout_ns = 60 * NSEC_PER_SEC};
	struct bookmark_result point = {.id = 1};
	const char *name;
	struct bookmark *b;

	start(&a);
	wait_waiting(q);
	for (size_t i = 0; i < ARRAY_SIZE(pauses); i++) {
		b = bookmarks_take(q, &name);
		ck_assert_ptr_nonnull(b);
		bookmarks_put_off(q, b, "torn");
		later_ns += (pauses[i] - 5) * NSEC_PER_SEC;
		ck_assert(!bookmarks_waiting(q));
		ck_assert_ptr_null(bookmarks_take(q, &name));
		later_ns += 5 * NSEC_PER_SEC;
		ck_assert(bookmarks_waiting(q));
	}
	b = bookmarks_take(q, &name);
	bookmarks_put_off(q, b, "torn");
	start(&other);
	wait_waiting(q);
	b = bookmarks_take(q, &name);
	ck_assert_str_eq(name, "other");
	bookmarks_done(q, b, &point);
	pthread_join(other.thread, NULL);
	ck_assert_int_eq(other.r, 0);
	bookmarks_end(q);
	pthread_join(a.thread, NULL);
	ck_assert_int_eq(a.r, -ECANCELED);
	bookmarks_free(q);
}
END_TEST

START_TEST(the_end_wakes_everybody)
{
	struct bookmarks *q = bookmarks_new();
	struct asker a = {.q = q, .name = "a", .timeout_ns = 60 * NSEC_PER_SEC}, b = a;
	struct bookmark *taken;
	const char *name;

	start(&a);
	wait_waiting(q);
	taken = bookmarks_take(q, &name);
	start(&b);
	wait_waiting(q);
	bookmarks_end(q);
	pthread_join(b.thread, NULL);
	ck_assert_int_eq(b.r, -ECANCELED);
	bookmarks_retry(q, taken, "canceled");
	pthread_join(a.thread, NULL);
	ck_assert_int_eq(a.r, -ECANCELED);
	ask(&a);
	ck_assert_int_eq(a.r, -ECANCELED);
	bookmarks_free(q);
}
END_TEST

START_TEST(waits_grow_and_are_bounded)
{
	struct backoff b = {0};
	const volatile bool cancelled = true;
	uint64_t ns, most = 0;

	for (int i = 0; i < 50; i++) {
		ns = backoff_next(&b, 0);
		ck_assert_uint_ge(ns, NSEC_PER_SEC / 20);
		ck_assert_uint_le(ns, 15 * NSEC_PER_SEC);
		ck_assert(i > 0 || ns <= NSEC_PER_SEC / 4);
		most = ns > most ? ns : most;
	}
	ck_assert_uint_gt(most, 5 * NSEC_PER_SEC);
	ck_assert_uint_ge(backoff_next(&b, 60), 60 * NSEC_PER_SEC);
	ck_assert_uint_le(backoff_next(&b, UINT64_MAX / 2), 120 * NSEC_PER_SEC);
	ck_assert(backoff_sleep(3600 * NSEC_PER_SEC, &cancelled));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("bookmark");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, asked_taken_and_answered);
	tcase_add_test(tc, time_runs_out);
	tcase_add_test(tc, pauses_grow_and_hold_up_nobody_else);
	tcase_add_test(tc, the_end_wakes_everybody);
	tcase_add_test(tc, waits_grow_and_are_bounded);
	return run_tcase("bookmark", tc);
}
