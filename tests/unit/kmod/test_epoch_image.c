// SPDX-License-Identifier: GPL-2.0
/* sources: kmod/epoch.c kmod/bitmap.c */
/*
 * The epoch machine under threads. Each writer makes a history of dependent writes, each
 * to another granule than the one before, in the way kmod/track.c and kmod/preserve.c do;
 * "the disk" is an array. A drain takes images from it as kmod/drain.c does. Every image
 * must hold a prefix of each writer's history. All writers also write to a shared granule
 * how far they have come: no image may hold that without the history before it.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>

#include "bitmap.h"
#include "epoch.h"

enum { WRITERS = 3, SLOTS = 512, SHARED = WRITERS * SLOTS, GRANULES, EPOCHS = 1000 };

unsigned int kshim_fail_alloc;

static struct mob_epochs m;
static atomic_t readers;
static struct mob_bitmap map[2], safe;
static u64 disk[GRANULES], replica[GRANULES];
static long in_flight[2];
static int stop;

/* A preserved copy and the lock that makes copy and safe bit one step. */
static u64 copies[GRANULES];
static bool has_copy[GRANULES];
static pthread_mutex_t copies_lock = PTHREAD_MUTEX_INITIALIZER;

/* A marking section: what interrupts off are in the kernel. Odd while within. */
static unsigned long sections[WRITERS];

static void section_enter(int writer)
{
	__atomic_fetch_add(&sections[writer], 1, __ATOMIC_SEQ_CST);
}

static void section_leave(int writer)
{
	__atomic_fetch_add(&sections[writer], 1, __ATOMIC_SEQ_CST);
}

static void sections_sync(void)
{
	int i;

	for (i = 0; i < WRITERS; i++) {
		unsigned long seen = __atomic_load_n(&sections[i], __ATOMIC_SEQ_CST);

		while (seen & 1 && __atomic_load_n(&sections[i], __ATOMIC_SEQ_CST) == seen)
			sched_yield();
	}
}

static void preserve(u64 granule)
{
	u64 old = __atomic_load_n(&disk[granule], __ATOMIC_SEQ_CST);

	sched_yield();
	pthread_mutex_lock(&copies_lock);
	if (!test_bit(granule, safe.bits)) {
		copies[granule] = old;
		has_copy[granule] = true;
		mob_bitmap_set(&safe, granule, 1);
	}
	pthread_mutex_unlock(&copies_lock);
}

/* Waits for the window, or, with no patience for that, preserves the granule dirty or not. */
static void hold(u64 epoch, u64 granule, int patience)
{
	bool all = false;

	while (mob_word_phase(mob_epoch_word(&m)) == MOB_PHASE_WINDOW && !all) {
		all = !patience--;
		sched_yield();
	}
	if (!mob_epoch_reader_get(&m, &readers, epoch - 1))
		return;
	if (all || mob_bitmap_any_unsafe(&map[mob_parity(epoch - 1)], &safe, granule, 1))
		preserve(granule);
	mob_epoch_reader_put(&readers);
}

static void write_one(int writer, u64 granule, u64 value)
{
	u64 word, epoch;
	bool held;

	section_enter(writer);
	word = mob_epoch_word(&m);
	epoch = mob_word_epoch(word);
	if (value % 3 == 0)
		sched_yield();
	mob_bitmap_set(&map[mob_parity(epoch)], granule, 1);
	__atomic_fetch_add(&in_flight[mob_parity(epoch)], 1, __ATOMIC_SEQ_CST);
	held = mob_word_phase(word) == MOB_PHASE_WINDOW ||
	       (mob_word_phase(word) == MOB_PHASE_PROTECT &&
		mob_bitmap_any_unsafe(&map[!mob_parity(epoch)], &safe, granule, 1));
	section_leave(writer);
	if (held)
		hold(epoch, granule, (int)(value % 4) * 8);
	if (value % 5 == 0)
		sched_yield();
	__atomic_store_n(&disk[granule], value, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&in_flight[mob_parity(epoch)], 1, __ATOMIC_SEQ_CST);
}

static void *writer_run(void *arg)
{
	int writer = (int)(long)arg;
	u64 value;

	for (value = 1; !READ_ONCE(stop); value++) {
		write_one(writer, writer * SLOTS + value % SLOTS, value);
		if (value % 3 == 0)
			write_one(writer, SHARED, value * WRITERS + writer);
	}
	return NULL;
}

static void drain_granule(u64 granule)
{
	u64 value = __atomic_load_n(&disk[granule], __ATOMIC_SEQ_CST);

	sched_yield();
	pthread_mutex_lock(&copies_lock);
	if (has_copy[granule])
		value = copies[granule];
	has_copy[granule] = false;
	mob_bitmap_set(&safe, granule, 1);
	pthread_mutex_unlock(&copies_lock);
	replica[granule] = value;
}

/*
 * The last SLOTS values of a history, one in each slot, are what a prefix leaves
 * behind: the greatest is the newest, and no slot is further than SLOTS behind it.
 */
static u64 assert_prefix(u64 epoch, int writer)
{
	const u64 *slot = replica + writer * SLOTS;
	u64 newest = 0;
	int i;

	for (i = 0; i < SLOTS; i++)
		newest = slot[i] > newest ? slot[i] : newest;
	for (i = 0; i < SLOTS; i++) {
		u64 expected = newest - (newest + SLOTS - i) % SLOTS;

		if (expected > newest)
			expected = 0;	/* this slot was not written yet */
		/* An assertion for each slot would take most of the time. */
		if (slot[i] != expected)
			ck_abort_msg("epoch %lu: slot %d holds %lu, not %lu of %lu",
				     (unsigned long)epoch, i, (unsigned long)slot[i],
				     (unsigned long)expected, (unsigned long)newest);
	}
	return newest;
}

static void assert_image(u64 epoch)
{
	u64 shared = replica[SHARED];
	int i;

	for (i = 0; i < WRITERS; i++) {
		u64 newest = assert_prefix(epoch, i);

		if (shared % WRITERS == i)
			ck_assert_uint_ge(newest, shared / WRITERS);
	}
}

static void take_image(bool abandon)
{
	u64 ended = mob_epoch_begin(&m);
	unsigned int parity = mob_parity(ended);
	u64 granule;

	ck_assert_uint_ne(ended, 0);
	sections_sync();
	mob_epoch_window_over(&m);
	while (__atomic_load_n(&in_flight[parity], __ATOMIC_SEQ_CST))
		sched_yield();
	mob_epoch_seal(&m);
	for (granule = 0; granule < GRANULES; granule++)
		if (test_bit(granule, map[parity].bits) && !(abandon && granule % 2))
			drain_granule(granule);
	if (!abandon)
		assert_image(ended);
	mob_epoch_retire_begin(&m);
	sections_sync();
	while (mob_epoch_has_readers(&readers))
		sched_yield();
	if (abandon)
		mob_bitmap_merge(&map[!parity], &map[parity]);
	mob_bitmap_clear(&map[parity]);
	mob_bitmap_clear(&safe);
	memset(has_copy, 0, sizeof(has_copy));
	mob_epoch_retire_end(&m, !abandon);
}

START_TEST(test_images_are_prefixes)
{
	pthread_t threads[WRITERS];
	int i;

	mob_epochs_init(&m);
	ck_assert_int_eq(mob_bitmap_init(&map[0], GRANULES), 0);
	ck_assert_int_eq(mob_bitmap_init(&map[1], GRANULES), 0);
	ck_assert_int_eq(mob_bitmap_init(&safe, GRANULES), 0);
	for (i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, writer_run, (void *)(long)i);
	for (i = 0; i < EPOCHS; i++)
		take_image(i % 7 == 3);
	WRITE_ONCE(stop, 1);
	for (i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	take_image(false);
	ck_assert_mem_eq(replica, disk, sizeof(disk));
	ck_assert_int_eq(atomic64_read(&m.torn_epochs), 0);
	mob_bitmap_free(&map[0]);
	mob_bitmap_free(&map[1]);
	mob_bitmap_free(&safe);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kmod epoch image");
	TCase *tc = tcase_create("image");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 250);
	tcase_add_test(tc, test_images_are_prefixes);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
