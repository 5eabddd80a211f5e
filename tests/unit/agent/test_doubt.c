// SPDX-License-Identifier: Apache-2.0
/* What the appliance is told of mismatches: each once, and what comes in between the next time. */
/* wraps: uplink_until */
#include "agent/doubt.h"

#include <errno.h>

#include "agent/session.h"
#include "tests/unit/agent/support.h"

static struct disk *d;
static struct session session;
static unsigned int calls;
static int answer;

int __wrap_uplink_until(struct uplink *u, uplink_fn once, void *request, struct err *e);

int __wrap_uplink_until(struct uplink *u, uplink_fn once, void *request, struct err *e)
{
	(void)once, (void)request;
	ck_assert_ptr_eq(u, &session.uplink);
	calls++;
	/* A worker finds another one meanwhile. */
	if (calls == 1)
		verify_mismatch(d, 0, 512);
	return answer ? err_set(e, answer, "no") : 0;
}

static void set_up(void)
{
	struct state_disk from = {.key = "path:/fake", .name = "fake"};

	d = disk_new(&from);
	calls = 0;
}

static void tear_down(void)
{
	disk_free(d);
}

static const struct {
	int answer, result;
	uint64_t left; /* not told yet */
} answers[] = {
	{0, 0, 512},
	{-ENOENT, 0, 512}, /* an old appliance */
	{-ECANCELED, -ECANCELED, 65536 + 512},
};

START_TEST(each_once)
{
	struct err e;

	answer = 0;
	ck_assert_int_eq(doubt_tell(&session, d, &e), 0);
	ck_assert_uint_eq(calls, 0);
	verify_mismatch(d, 65536, 65536);
	answer = answers[_i].answer;
	ck_assert_int_eq(doubt_tell(&session, d, &e), answers[_i].result);
	ck_assert_uint_eq(d->verify.untold.bytes, answers[_i].left);
	answer = 0;
	ck_assert_int_eq(doubt_tell(&session, d, &e), 0);
	ck_assert_int_eq(doubt_tell(&session, d, &e), 0);
	ck_assert_uint_eq(calls, 2);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("doubt");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_loop_test(t, each_once, 0, ARRAY_SIZE(answers));
	return run_tcase("doubt", t);
}
