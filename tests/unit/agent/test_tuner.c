// SPDX-License-Identifier: Apache-2.0
#include "agent/tuner.h"

#include "lib/codec.h"
#include "tests/unit/agent/support.h"

static uint64_t send_ns, appliance_ns;

/* Each took 10 ms, of which the appliance had so many. */
static void segments(struct tuner *t, unsigned int n, bool behind, bool starved,
		     unsigned int appliance_ms)
{
	struct tuner_segment s = {.behind = behind, .starved = starved};

	while (n--) {
		s.send_ns = send_ns += 10000000;
		s.appliance_ns = appliance_ns += appliance_ms * 1000000ull;
		tuner_segment(t, &s);
	}
}

static int zstd(const struct tuner *t)
{
	return tuner_level(t, WIRE_CODEC_ZSTD);
}

START_TEST(a_slow_network_is_worth_stronger_compression)
{
	struct tuner t;

	tuner_init(&t);
	ck_assert_int_eq(zstd(&t), CODEC_ZSTD_WEAKEST);
	segments(&t, TUNER_WINDOW - 1, true, false, 2);
	ck_assert_int_eq(zstd(&t), CODEC_ZSTD_WEAKEST);
	segments(&t, 1, true, false, 2);
	ck_assert_int_eq(zstd(&t), -1);
	segments(&t, 2 * TUNER_WINDOW, true, false, 2);
	ck_assert_int_eq(zstd(&t), 3);
	segments(&t, 100 * TUNER_WINDOW, true, false, 2);
	ck_assert_int_eq(zstd(&t), 9);
	ck_assert_int_eq(tuner_level(&t, WIRE_CODEC_ZLIB), 9);
}
END_TEST

START_TEST(a_slow_appliance_is_not)
{
	struct tuner t;

	tuner_init(&t);
	segments(&t, 100 * TUNER_WINDOW, true, false, 8);
	ck_assert_int_eq(zstd(&t), CODEC_ZSTD_WEAKEST);
	/* Only what happened since the last decision counts. */
	segments(&t, TUNER_WINDOW, true, false, 2);
	ck_assert_int_eq(zstd(&t), -1);
	segments(&t, TUNER_WINDOW, true, false, 8);
	ck_assert_int_eq(zstd(&t), -1);
}
END_TEST

START_TEST(a_busy_processor_is_relieved)
{
	struct tuner t;

	tuner_init(&t);
	segments(&t, 100 * TUNER_WINDOW, true, false, 0);
	segments(&t, 100 * TUNER_WINDOW, false, true, 0);
	ck_assert_int_eq(zstd(&t), CODEC_ZSTD_WEAKEST);
	ck_assert_int_eq(tuner_level(&t, WIRE_CODEC_ZLIB), 1);
	/* and back when the network becomes the slow part */
	segments(&t, 2 * TUNER_WINDOW, true, false, 0);
	ck_assert_int_eq(zstd(&t), 1);
}
END_TEST

START_TEST(what_is_balanced_stays)
{
	struct tuner t;

	tuner_init(&t);
	segments(&t, TUNER_WINDOW, true, false, 0);
	for (unsigned int i = 0; i < 100 * TUNER_WINDOW; i++)
		segments(&t, 1, i % 2 == 0, i % 2 == 1, 0);
	ck_assert_int_eq(zstd(&t), -1);
	segments(&t, 100 * TUNER_WINDOW, false, false, 0);
	ck_assert_int_eq(zstd(&t), -1);
	/* Both at once: the sender had just come free; it is the network that was waited for. */
	segments(&t, TUNER_WINDOW, true, true, 0);
	ck_assert_int_eq(zstd(&t), 1);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tuner");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_slow_network_is_worth_stronger_compression);
	tcase_add_test(tc, a_slow_appliance_is_not);
	tcase_add_test(tc, a_busy_processor_is_relieved);
	tcase_add_test(tc, what_is_balanced_stays);
	return run_tcase("tuner", tc);
}
