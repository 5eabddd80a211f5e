// SPDX-License-Identifier: GPL-2.0
/* sources: kmod/epoch.c */
#include <check.h>

#include "epoch.h"

static struct mob_epochs m;
static atomic_t readers;

static void setup(void)
{
	mob_epochs_init(&m);
}

static enum mob_phase phase(void)
{
	return mob_word_phase(READ_ONCE(m.word));
}

static void boundary(void)
{
	ck_assert_uint_ne(mob_epoch_begin(&m), 0);
	mob_epoch_window_over(&m);
}

static void retire(bool committed)
{
	mob_epoch_retire_begin(&m);
	mob_epoch_retire_end(&m, committed);
}

START_TEST(test_begins_with_epoch_1)
{
	ck_assert_uint_eq(mob_epoch_active(&m), 1);
	ck_assert_int_eq(phase(), MOB_PHASE_OPEN);
	ck_assert_int_eq(mob_epoch_stage(&m), MOB_STAGE_NONE);
	ck_assert_ptr_null(mob_epoch_torn(&m, 1));
}
END_TEST

START_TEST(test_life_of_an_epoch)
{
	ck_assert_uint_eq(mob_epoch_begin(&m), 1);
	ck_assert_uint_eq(m.word, mob_word(2, MOB_PHASE_WINDOW));
	ck_assert_int_eq(mob_epoch_stage(&m), MOB_STAGE_WINDOW);
	mob_epoch_window_over(&m);
	ck_assert_uint_eq(m.word, mob_word(2, MOB_PHASE_PROTECT));
	ck_assert_int_eq(mob_epoch_stage(&m), MOB_STAGE_CLOSING);
	mob_epoch_seal(&m);
	ck_assert_int_eq(mob_epoch_stage(&m), MOB_STAGE_SEALED);
	ck_assert_int_eq(phase(), MOB_PHASE_PROTECT);
	mob_epoch_retire_begin(&m);
	ck_assert_uint_eq(m.word, mob_word(2, MOB_PHASE_OPEN));
	ck_assert_uint_eq(m.committed, 0);
	mob_epoch_retire_end(&m, true);
	ck_assert_int_eq(mob_epoch_stage(&m), MOB_STAGE_NONE);
	ck_assert_uint_eq(m.committed, 1);
}
END_TEST

START_TEST(test_one_ended_epoch_at_a_time)
{
	boundary();
	ck_assert_uint_eq(mob_epoch_begin(&m), 0);
	mob_epoch_seal(&m);
	ck_assert_uint_eq(mob_epoch_begin(&m), 0);
	mob_epoch_retire_begin(&m);
	ck_assert_uint_eq(mob_epoch_begin(&m), 0);
	ck_assert_uint_eq(mob_epoch_active(&m), 2);
	mob_epoch_retire_end(&m, false);
	ck_assert_uint_eq(m.committed, 0);
	ck_assert_uint_eq(mob_epoch_begin(&m), 2);
}
END_TEST

START_TEST(test_readers_only_of_an_ended_epoch)
{
	ck_assert(!mob_epoch_reader_get(&m, &readers, 1));
	mob_epoch_begin(&m);
	ck_assert(mob_epoch_reader_get(&m, &readers, 1));
	ck_assert(!mob_epoch_reader_get(&m, &readers, 2));
	mob_epoch_reader_put(&readers);
	mob_epoch_window_over(&m);
	ck_assert(mob_epoch_reader_get(&m, &readers, 1));
	ck_assert(!mob_epoch_reader_get(&m, &readers, 2));
	mob_epoch_seal(&m);
	ck_assert(mob_epoch_reader_get(&m, &readers, 1));
	mob_epoch_retire_begin(&m);
	ck_assert(!mob_epoch_reader_get(&m, &readers, 1));
	ck_assert(mob_epoch_has_readers(&readers));
	mob_epoch_reader_put(&readers);
	ck_assert(mob_epoch_has_readers(&readers));
	mob_epoch_reader_put(&readers);
	/* The refused ones left nothing behind. */
	ck_assert(!mob_epoch_has_readers(&readers));
	mob_epoch_retire_end(&m, true);
	ck_assert(!mob_epoch_reader_get(&m, &readers, 1));
	ck_assert(!mob_epoch_has_readers(&readers));
}
END_TEST

START_TEST(test_tear_stops_protecting)
{
	boundary();
	ck_assert_int_eq(phase(), MOB_PHASE_PROTECT);
	mob_epoch_tear_ended(&m, "first");
	ck_assert_int_eq(phase(), MOB_PHASE_OPEN);
	mob_epoch_tear_ended(&m, "second");
	ck_assert_str_eq(mob_epoch_torn(&m, 1), "first");
	ck_assert_int_eq(atomic64_read(&m.torn_epochs), 1);
	/* The active epoch is whole, and the next one starts whole. */
	ck_assert_ptr_null(mob_epoch_torn(&m, 2));
	mob_epoch_seal(&m);
	retire(true);
	boundary();
	ck_assert_int_eq(phase(), MOB_PHASE_PROTECT);
	ck_assert_ptr_null(mob_epoch_torn(&m, 2));
	ck_assert_ptr_null(mob_epoch_torn(&m, 3));
}
END_TEST

START_TEST(test_tear_within_the_window)
{
	mob_epoch_begin(&m);
	mob_epoch_tear_ended(&m, "window");
	ck_assert_int_eq(phase(), MOB_PHASE_WINDOW);
	mob_epoch_window_over(&m);
	ck_assert_int_eq(phase(), MOB_PHASE_OPEN);
	ck_assert_str_eq(mob_epoch_torn(&m, 1), "window");
}
END_TEST

START_TEST(test_tear_all)
{
	/* Nothing is ended: the active epoch alone, and it stays so when it ends. */
	mob_epoch_tear_all(&m, "one");
	ck_assert_int_eq(atomic64_read(&m.torn_epochs), 1);
	boundary();
	ck_assert_int_eq(phase(), MOB_PHASE_OPEN);
	ck_assert_str_eq(mob_epoch_torn(&m, 1), "one");
	ck_assert_ptr_null(mob_epoch_torn(&m, 2));
	mob_epoch_seal(&m);
	retire(true);
	boundary();
	mob_epoch_tear_all(&m, "two");
	ck_assert_str_eq(mob_epoch_torn(&m, 2), "two");
	ck_assert_str_eq(mob_epoch_torn(&m, 3), "two");
	ck_assert_int_eq(atomic64_read(&m.torn_epochs), 3);
}
END_TEST

START_TEST(test_tear_when_nothing_is_ended)
{
	mob_epoch_tear_ended(&m, "none");
	boundary();
	mob_epoch_seal(&m);
	mob_epoch_retire_begin(&m);
	mob_epoch_tear_ended(&m, "too late");
	mob_epoch_retire_end(&m, true);
	mob_epoch_tear_ended(&m, "later still");
	ck_assert_int_eq(atomic64_read(&m.torn_epochs), 0);
	ck_assert_ptr_null(mob_epoch_torn(&m, 1));
	ck_assert_ptr_null(mob_epoch_torn(&m, 2));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kmod epoch");
	TCase *tc = tcase_create("epoch");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_begins_with_epoch_1);
	tcase_add_test(tc, test_life_of_an_epoch);
	tcase_add_test(tc, test_one_ended_epoch_at_a_time);
	tcase_add_test(tc, test_readers_only_of_an_ended_epoch);
	tcase_add_test(tc, test_tear_stops_protecting);
	tcase_add_test(tc, test_tear_within_the_window);
	tcase_add_test(tc, test_tear_all);
	tcase_add_test(tc, test_tear_when_nothing_is_ended);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
