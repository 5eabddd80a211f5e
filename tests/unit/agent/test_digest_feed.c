// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/digest_feed.h"
#include "lib/digest_tree.h"
#include "tests/unit/agent/support.h"

#define FROM (3 * TREE_NODE)
#define TO (FROM + 2 * FEED_ASK_BYTES + 5)

static uint64_t fail_at; /* asking for what begins here fails; 0: never */
static unsigned int asked;
static bool hang;

static int ask(void *arg, const volatile bool *stop, uint64_t offset, uint64_t length, uint8_t *out,
	       struct err *e)
{
	(void)arg;
	while (hang && !__atomic_load_n(stop, __ATOMIC_SEQ_CST))
		usleep(1000);
	asked++;
	if (hang || (fail_at && offset == fail_at))
		return err_set(e, -EPROTO, "this level is not known");
	for (uint64_t at = 0; at < length; at += TREE_NODE) {
		int number = (int)((offset + at) / TREE_NODE);

		memcpy(out + at / TREE_NODE * DIGEST_BYTES, &number, sizeof(number));
	}
	return 0;
}

static bool given(void *arg)
{
	return *(bool *)arg;
}

static int get(struct digest_feed *f, uint64_t offset, int *value)
{
	uint8_t out[DIGEST_BYTES] = {0};
	bool no = false;
	int r = digest_feed_get(f, offset, given, &no, out);

	memcpy(value, out, sizeof(*value));
	return r;
}

START_TEST(all_of_the_range_comes)
{
	struct digest_feed *f = digest_feed_start(FROM, TO, ask, NULL);
	int v;

	/* The last first: whoever asks waits for it. */
	ck_assert_int_eq(get(f, FROM + 2 * FEED_ASK_BYTES, &v), 0);
	ck_assert_int_eq(v, (int)((FROM + 2 * FEED_ASK_BYTES) / TREE_NODE));
	ck_assert_uint_eq(asked, 3);
	for (uint64_t at = FROM; at < TO; at += TREE_NODE) {
		ck_assert_int_eq(get(f, at, &v), 0);
		ck_assert_int_eq(v, (int)(at / TREE_NODE));
	}
	ck_assert_int_eq(get(f, FROM - TREE_NODE, &v), -ENOENT);
	ck_assert_int_eq(get(f, FROM + 3 * FEED_ASK_BYTES, &v), -ENOENT);
	ck_assert_int_eq(get(NULL, FROM, &v), -ENOENT);
	digest_feed_stop(f);
}
END_TEST

START_TEST(what_fails_is_not_waited_for)
{
	struct digest_feed *f;
	int v;

	fail_at = FROM + FEED_ASK_BYTES;
	f = digest_feed_start(FROM, TO, ask, NULL);
	ck_assert_int_eq(get(f, FROM + FEED_ASK_BYTES, &v), -ENOENT);
	ck_assert_int_eq(get(f, FROM + 2 * FEED_ASK_BYTES, &v), -ENOENT);
	ck_assert_int_eq(get(f, FROM, &v), 0);
	digest_feed_stop(f);
}
END_TEST

/* One reader goes ahead, another follows at the distance that the window has room for. */
START_TEST(a_window_moves_over_the_range)
{
	const uint64_t to = FROM + 4 * FEED_WINDOW_BYTES;
	const uint64_t behind = FEED_WINDOW_BYTES / 2 - FEED_ASK_BYTES;
	struct digest_feed *f = digest_feed_start(FROM, to, ask, NULL);
	int v;

	for (uint64_t at = FROM; at < to; at += TREE_NODE) {
		ck_assert_int_eq(get(f, at, &v), 0);
		ck_assert_int_eq(v, (int)(at / TREE_NODE));
		if (at < FROM + behind)
			continue;
		ck_assert_int_eq(get(f, at - behind, &v), 0);
		ck_assert_int_eq(v, (int)((at - behind) / TREE_NODE));
	}
	/* Whoever is further behind does not wait. */
	ck_assert_int_eq(get(f, FROM, &v), -ENOENT);
	digest_feed_stop(f);
}
END_TEST

START_TEST(what_nobody_wants_yet_is_not_asked_for)
{
	struct digest_feed *f = digest_feed_start(FROM, FROM + 4 * FEED_WINDOW_BYTES, ask, NULL);
	int v;

	ck_assert_int_eq(get(f, FROM, &v), 0);
	usleep(200000);
	digest_feed_stop(f);
	ck_assert_uint_le(asked, FEED_WINDOW_BYTES / 2 / FEED_ASK_BYTES);
}
END_TEST

START_TEST(nobody_waits_for_ever)
{
	uint8_t out[DIGEST_BYTES];
	struct digest_feed *f;
	bool yes = true;

	hang = true;
	f = digest_feed_start(FROM, TO, ask, NULL);
	ck_assert_int_eq(digest_feed_get(f, FROM, given, &yes, out), -ECANCELED);
	digest_feed_stop(f);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("digest_feed");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, all_of_the_range_comes);
	tcase_add_test(tc, what_fails_is_not_waited_for);
	tcase_add_test(tc, a_window_moves_over_the_range);
	tcase_add_test(tc, what_nobody_wants_yet_is_not_asked_for);
	tcase_add_test(tc, nobody_waits_for_ever);
	return run_tcase("digest_feed", tc);
}
