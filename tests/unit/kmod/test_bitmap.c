// SPDX-License-Identifier: GPL-2.0
/* sources: kmod/bitmap.c */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "bitmap.h"

unsigned int kshim_fail_alloc;

static unsigned int seed;

static u64 random_below(u64 n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 4) % n;
}

static bool bit(const struct mob_bitmap *bm, u64 nr)
{
	return test_bit(nr, bm->bits);
}

static void assert_same(const struct mob_bitmap *bm, const unsigned char *model)
{
	u64 i, count = 0;

	for (i = 0; i < bm->granules; i++) {
		/* An assertion for each bit would take most of the time. */
		if (bit(bm, i) != model[i])
			ck_abort_msg("bit %lu is %d", (unsigned long)i, bit(bm, i));
		count += model[i];
	}
	ck_assert_uint_eq(mob_bitmap_count(bm), count);
}

START_TEST(test_new_is_clear)
{
	struct mob_bitmap bm;

	ck_assert_int_eq(mob_bitmap_init(&bm, 100000), 0);
	ck_assert_uint_eq(bm.bytes % PAGE_SIZE, 0);
	ck_assert_uint_ge(bm.bytes * 8, 100000);
	ck_assert_uint_eq(mob_bitmap_count(&bm), 0);
	mob_bitmap_free(&bm);
}
END_TEST

START_TEST(test_no_memory)
{
	struct mob_bitmap bm;

	/* Either of the two allocations; nothing may leak (LeakSanitizer looks). */
	kshim_fail_alloc = _i;
	ck_assert_int_eq(mob_bitmap_init(&bm, 1), -ENOMEM);
	kshim_fail_alloc = 0;
	ck_assert_ptr_null(bm.bits);
}
END_TEST

START_TEST(test_byte_order_is_the_abi)
{
	struct mob_bitmap bm;
	const unsigned char *bytes;

	ck_assert_int_eq(mob_bitmap_init(&bm, 200), 0);
	mob_bitmap_set(&bm, 77, 1);
	bytes = (const unsigned char *)bm.bits;
	ck_assert_uint_eq(bytes[77 / 8], 1 << (77 % 8));
	mob_bitmap_free(&bm);
}
END_TEST

/* Ranges around word and chunk borders: exactly these bits, counted once. */
START_TEST(test_ranges)
{
	static const u64 edges[] = { 0, 1, 62, 63, 64, 65, 127, 128, 32766, 32767, 32768, 32769,
				     65535, 65536, 70000 };
	const unsigned int n = sizeof(edges) / sizeof(edges[0]);
	const u64 granules = 70001;
	unsigned int i, j;

	for (i = 0; i < n; i++) {
		for (j = i; j < n; j++) {
			u64 count = edges[j] - edges[i] + 1;
			struct mob_bitmap bm;

			ck_assert_int_eq(mob_bitmap_init(&bm, granules), 0);
			ck_assert_uint_eq(mob_bitmap_set(&bm, edges[i], count), count);
			ck_assert_uint_eq(mob_bitmap_set(&bm, edges[i], count), 0);
			ck_assert_uint_eq(mob_bitmap_count(&bm), count);
			ck_assert(bit(&bm, edges[i]) && bit(&bm, edges[j]));
			ck_assert(!edges[i] || !bit(&bm, edges[i] - 1));
			ck_assert(edges[j] == granules - 1 || !bit(&bm, edges[j] + 1));
			mob_bitmap_clear(&bm);
			ck_assert_uint_eq(mob_bitmap_count(&bm), 0);
			ck_assert(!bit(&bm, edges[i]) && !bit(&bm, edges[j]));
			mob_bitmap_free(&bm);
		}
	}
}
END_TEST

START_TEST(test_against_a_model)
{
	enum { GRANULES = 100003 };
	static unsigned char model[GRANULES];
	struct mob_bitmap bm;
	int op;

	seed = 1 + _i;
	memset(model, 0, sizeof(model));
	ck_assert_int_eq(mob_bitmap_init(&bm, GRANULES), 0);
	for (op = 0; op < 300; op++) {
		u64 first = random_below(GRANULES);
		u64 count = 1 + random_below(op % 3 ? 100 : GRANULES / 50);
		u64 added = 0, i;

		count = min(count, GRANULES - first);
		for (i = first; i < first + count; i++) {
			added += !model[i];
			model[i] = 1;
		}
		ck_assert_uint_eq(mob_bitmap_set(&bm, first, count), added);
	}
	assert_same(&bm, model);
	mob_bitmap_free(&bm);
}
END_TEST

START_TEST(test_unsafe_runs)
{
	enum { GRANULES = 5000 };
	struct mob_bitmap dirty, safe;
	u64 first, count, end, max, i;
	int round;

	seed = 7 + _i;
	ck_assert_int_eq(mob_bitmap_init(&dirty, GRANULES), 0);
	ck_assert_int_eq(mob_bitmap_init(&safe, GRANULES), 0);
	for (i = 0; i < 60; i++) {
		mob_bitmap_set(&dirty, random_below(GRANULES - 100), 1 + random_below(100));
		mob_bitmap_set(&safe, random_below(GRANULES - 50), 1 + random_below(50));
	}
	for (round = 0; round < 500; round++) {
		u64 from = random_below(GRANULES - 1);
		u64 start, length;

		end = from + 1 + random_below(GRANULES - from);
		end = min(end, GRANULES);
		max = 1 + random_below(64);
		for (first = from; first < end && !(bit(&dirty, first) && !bit(&safe, first)); first++)
			;
		for (count = 0; first + count < end && count < max && bit(&dirty, first + count) &&
		     !bit(&safe, first + count); count++)
			;
		start = from;
		length = mob_bitmap_next_unsafe(&dirty, &safe, &start, end, max);
		ck_assert_uint_eq(length, count);
		if (count)
			ck_assert_uint_eq(start, first);
		ck_assert(mob_bitmap_any_unsafe(&dirty, &safe, from, end - from) == (count > 0));
		for (first = from; first < end && !bit(&dirty, first); first++)
			;
		ck_assert(mob_bitmap_any(&dirty, from, end - from) == (first < end));
		/* Of all granules, dirty or not. */
		for (first = from; first < end && bit(&safe, first); first++)
			;
		for (count = 0; first + count < end && count < max && !bit(&safe, first + count);
		     count++)
			;
		start = from;
		ck_assert_uint_eq(mob_bitmap_next_unsafe(NULL, &safe, &start, end, max), count);
		if (count)
			ck_assert_uint_eq(start, first);
	}
	mob_bitmap_free(&dirty);
	mob_bitmap_free(&safe);
}
END_TEST

enum { SAVED = 100000 };

struct saver {
	struct mob_bitmap safe;
	unsigned int asked, done;	/* rounds */
};

static void wait_for(const unsigned int *round, unsigned int wanted)
{
	unsigned int tries = 0;

	while (__atomic_load_n(round, __ATOMIC_ACQUIRE) != wanted)
		if (++tries % 1024 == 0)
			sched_yield();
}

/* Makes the first granule of each round safe, about when it is found. */
static void *saver_run(void *arg)
{
	struct saver *s = arg;
	unsigned int round, spin;

	for (round = 1; round <= SAVED; round++) {
		wait_for(&s->asked, round);
		for (spin = round % 64; spin; spin--)
			smp_mb();
		mob_bitmap_set(&s->safe, 0, 1);
		__atomic_store_n(&s->done, round, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* A granule that becomes safe while it is found takes none with it. */
START_TEST(test_unsafe_behind_a_safe_one)
{
	unsigned int round, missed = 0;
	struct mob_bitmap dirty;
	struct saver s = { };
	pthread_t thread;
	u64 first;

	ck_assert_int_eq(mob_bitmap_init(&dirty, 64), 0);
	ck_assert_int_eq(mob_bitmap_init(&s.safe, 64), 0);
	mob_bitmap_set(&dirty, 0, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, saver_run, &s), 0);
	for (round = 1; round <= SAVED; round++) {
		__atomic_store_n(&s.asked, round, __ATOMIC_RELEASE);
		for (first = round / 64 % 64; first; first--)
			smp_mb();
		missed += !mob_bitmap_next_unsafe(&dirty, &s.safe, &first, 2, 64);
		wait_for(&s.done, round);
		mob_bitmap_clear(&s.safe);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(missed, 0);
	mob_bitmap_free(&dirty);
	mob_bitmap_free(&s.safe);
}
END_TEST

START_TEST(test_merge)
{
	enum { GRANULES = 100000 };
	static unsigned char model[GRANULES];
	struct mob_bitmap dst, src;
	u64 i, added = 0, before;

	seed = 21;
	memset(model, 0, sizeof(model));
	ck_assert_int_eq(mob_bitmap_init(&dst, GRANULES), 0);
	ck_assert_int_eq(mob_bitmap_init(&src, GRANULES), 0);
	ck_assert(!mob_bitmap_intersects(&dst, &src));
	for (i = 0; i < 200; i++) {
		mob_bitmap_set(&dst, random_below(GRANULES), 1);
		mob_bitmap_set(&src, random_below(GRANULES - 300), 1 + random_below(300));
	}
	for (i = 0; i < GRANULES; i++) {
		model[i] = bit(&dst, i) || bit(&src, i);
		added += bit(&src, i) && !bit(&dst, i);
	}
	before = mob_bitmap_count(&src);
	ck_assert_uint_eq(mob_bitmap_merge(&dst, &src), added);
	assert_same(&dst, model);
	ck_assert_uint_eq(mob_bitmap_count(&src), before);
	ck_assert(mob_bitmap_intersects(&dst, &src));
	mob_bitmap_free(&dst);
	mob_bitmap_free(&src);
}
END_TEST

enum { THREADS = 4, SHARED = 40000 };

struct setter {
	struct mob_bitmap *bm;
	pthread_t thread;
	unsigned int seed;
	u64 added;
};

/* Short ranges, so that every bit is counted by exactly one thread. */
static void *setter_run(void *arg)
{
	struct setter *s = arg;
	int i;

	for (i = 0; i < 20000; i++) {
		s->seed = s->seed * 1103515245 + 12345;
		s->added += mob_bitmap_set(s->bm, (s->seed >> 8) % (SHARED - 40),
					   1 + (s->seed >> 4) % 40);
	}
	return NULL;
}

START_TEST(test_concurrent_setters)
{
	struct setter setters[THREADS];
	struct mob_bitmap bm;
	u64 added = 0;
	int i;

	ck_assert_int_eq(mob_bitmap_init(&bm, SHARED), 0);
	for (i = 0; i < THREADS; i++) {
		setters[i] = (struct setter){ .bm = &bm, .seed = 100 + i };
		pthread_create(&setters[i].thread, NULL, setter_run, &setters[i]);
	}
	for (i = 0; i < THREADS; i++) {
		pthread_join(setters[i].thread, NULL);
		added += setters[i].added;
	}
	ck_assert_uint_eq(mob_bitmap_count(&bm), added);
	mob_bitmap_free(&bm);
}
END_TEST

/* As a disk grows: nothing that a setter has set, before, meanwhile or after, is lost or counted twice. */
START_TEST(test_exchange_under_setters)
{
	struct setter setters[THREADS];
	struct mob_bitmap live, other;
	unsigned char *model = calloc(SHARED * 2, 1);
	u64 added = 0, bit;
	int i;

	ck_assert_ptr_nonnull(model);
	ck_assert_int_eq(mob_bitmap_init(&live, SHARED), 0);
	ck_assert_int_eq(mob_bitmap_init(&other, SHARED * 2), 0);
	added += mob_bitmap_set(&live, 7, 1);
	for (i = 0; i < THREADS; i++) {
		setters[i] = (struct setter){ .bm = &live, .seed = 100 + i };
		pthread_create(&setters[i].thread, NULL, setter_run, &setters[i]);
	}
	usleep(1000 * _i);
	mob_bitmap_exchange(&live, &other);
	for (i = 0; i < THREADS; i++) {
		pthread_join(setters[i].thread, NULL);
		added += setters[i].added;
	}
	added += mob_bitmap_set(&live, SHARED * 2 - 1, 1);
	ck_assert_uint_eq(live.granules, SHARED * 2);
	ck_assert_uint_eq(other.granules, SHARED);
	for (bit = 0; bit < SHARED * 2; bit++)
		model[bit] = test_bit(bit, live.bits) || (bit < SHARED && test_bit(bit, other.bits));
	mob_bitmap_summary_fill(&other);
	added += mob_bitmap_merge(&live, &other);
	added -= mob_bitmap_count(&other);
	ck_assert(model[7] && model[SHARED * 2 - 1]);
	assert_same(&live, model);
	ck_assert_uint_eq(mob_bitmap_count(&live), added);
	mob_bitmap_free(&live);
	mob_bitmap_free(&other);
	free(model);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kmod bitmap");
	TCase *tc = tcase_create("bitmap");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_new_is_clear);
	tcase_add_loop_test(tc, test_no_memory, 1, 3);
	tcase_add_test(tc, test_byte_order_is_the_abi);
	tcase_add_test(tc, test_ranges);
	tcase_add_loop_test(tc, test_against_a_model, 0, 10);
	tcase_add_loop_test(tc, test_unsafe_runs, 0, 10);
	tcase_add_test(tc, test_unsafe_behind_a_safe_one);
	tcase_add_test(tc, test_merge);
	tcase_add_test(tc, test_concurrent_setters);
	tcase_add_loop_test(tc, test_exchange_under_setters, 0, 5);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
