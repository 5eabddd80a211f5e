// SPDX-License-Identifier: Apache-2.0
#include "agent/explain.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

#define S NSEC_PER_SEC

static struct explain_out out;

static struct explain_in minute(void)
{
	return (struct explain_in){.asked = true,
				   .connected = true,
				   .connections = 4,
				   .window_ns = 60 * S};
}

static void judged(const struct explain_in *in, enum bound want)
{
	explain_judge(in, &out);
	ck_assert_msg(out.bound == want, "bound by %s, not %s", bound_name(out.bound),
		      bound_name(want));
}

START_TEST(an_idle_agent_is_bound_by_nothing)
{
	struct explain_in in = minute();

	judged(&in, BOUND_NOTHING);
	in.ns[STAGE_SEND] = 20 * S;
	in.ns[STAGE_READ] = 5 * S;
	judged(&in, BOUND_NOTHING);
	in.window_ns = 0; /* asked in the first moment */
	judged(&in, BOUND_NOTHING);
}
END_TEST

/* A store that is full, a machine that was removed, a disk that is gone: all answered at once. */
START_TEST(an_error_of_an_idle_agent)
{
	struct explain_in in = minute();

	in.problem = true;
	judged(&in, BOUND_PROBLEM);
	in.hanging = true;
	judged(&in, BOUND_READS);
	in.hanging = false;
	in.connected = false;
	judged(&in, BOUND_UNREACHABLE);
	in.asked = false; /* not enrolled */
	judged(&in, BOUND_PROBLEM);
	in = minute();
	in.problem = true; /* not what takes the time: a certificate that expires, say */
	in.ns[STAGE_READ] = 90 * S;
	judged(&in, BOUND_DISK);
}
END_TEST

START_TEST(an_agent_that_has_just_begun)
{
	struct explain_in in = minute();

	in.asked = in.connected = false;
	judged(&in, BOUND_STARTING);
	in.ns[STAGE_READ] = 90 * S;
	judged(&in, BOUND_DISK);
	in.paused = true;
	judged(&in, BOUND_PAUSED);
}
END_TEST

/* Nothing is busy, but it does not keep up. */
START_TEST(a_disk_that_does_not_answer)
{
	struct explain_in in = minute();

	in.sealing = true;
	judged(&in, BOUND_WRITES);
	in.hanging = true;
	judged(&in, BOUND_READS);
	in.connected = false;
	judged(&in, BOUND_UNREACHABLE);
}
END_TEST

START_TEST(a_session_that_waits)
{
	struct explain_in in = minute();

	in.applications = true;
	judged(&in, BOUND_APPLICATIONS);
	in.stands = true;
	judged(&in, BOUND_STANDS);
	in.connected = false; /* it never came to ask */
	judged(&in, BOUND_STANDS);
	in.paused = true;
	judged(&in, BOUND_PAUSED);
}
END_TEST

START_TEST(a_slow_disk)
{
	struct explain_in in = minute();

	in.ns[STAGE_READ] = 90 * S;
	in.ns[STAGE_COMPRESS] = 10 * S;
	in.ns[STAGE_SEND] = 20 * S;
	judged(&in, BOUND_DISK);
	ck_assert(out.busy[BOUND_DISK] > 1.49 && out.busy[BOUND_DISK] < 1.51);
}
END_TEST

START_TEST(a_slow_processor)
{
	struct explain_in in = minute();

	in.ns[STAGE_READ] = 40 * S;
	in.ns[STAGE_COMPRESS] = 30 * S;
	in.ns[STAGE_DIGEST] = 20 * S;
	in.ns[STAGE_SEND] = 30 * S;
	judged(&in, BOUND_CPU);
}
END_TEST

START_TEST(a_slow_network)
{
	struct explain_in in = minute();

	in.ns[STAGE_SEND] = 200 * S; /* several in flight */
	in.appliance_ns = 30 * S;
	in.appliance_disk_ns = 20 * S;
	in.ns[STAGE_WAIT_MEMORY] = 60 * S; /* the reader waits for them */
	judged(&in, BOUND_NETWORK);
}
END_TEST

START_TEST(the_bandwidth_limit)
{
	struct explain_in in = minute();

	in.ns[STAGE_SEND] = 110 * S;
	in.paced_ns = 100 * S;
	judged(&in, BOUND_LIMIT);
	in.ns[STAGE_SEND] = 0; /* none has ended yet */
	in.upload_ns = 110 * S;
	judged(&in, BOUND_LIMIT);
	ck_assert(out.busy[BOUND_NETWORK] < 0.2);
	in.paced_ns = 500 * S;
	judged(&in, BOUND_LIMIT);
	ck_assert(out.busy[BOUND_NETWORK] == 0);
}
END_TEST

START_TEST(too_little_memory_for_what_is_on_its_way)
{
	struct explain_in in = minute();

	in.ns[STAGE_SEND] = 58 * S; /* one at a time */
	in.ns[STAGE_WAIT_MEMORY] = 100 * S;
	judged(&in, BOUND_MEMORY);
}
END_TEST

START_TEST(a_slow_appliance_and_its_disk)
{
	struct explain_in in = minute();

	in.ns[STAGE_SEND] = 100 * S;
	in.appliance_ns = 80 * S;
	in.appliance_disk_ns = 10 * S;
	judged(&in, BOUND_APPLIANCE);
	in.appliance_disk_ns = 70 * S;
	judged(&in, BOUND_APPLIANCE_DISK);
	in.appliance_disk_ns = 900 * S; /* an appliance that tells nonsense */
	in.appliance_ns = 900 * S;
	judged(&in, BOUND_APPLIANCE_DISK);
	ck_assert(out.busy[BOUND_APPLIANCE_DISK] < 1.7);
}
END_TEST

/* Whether the last try broke or not does not matter; that something was answered does. */
START_TEST(connections_that_break_again_and_again)
{
	struct explain_in in = minute();

	in.ns[STAGE_SEND] = 100 * S;
	in.answered = 30;
	in.broken = 9;
	judged(&in, BOUND_BREAKS);
	in.connected = false;
	judged(&in, BOUND_BREAKS);
	in.broken = 8; /* as an appliance that started again and went away does it */
	judged(&in, BOUND_UNREACHABLE);
	in.broken = 9;
	in.answered = 0;
	judged(&in, BOUND_UNREACHABLE);
	in.connected = true;
	in.answered = 10000;
	judged(&in, BOUND_NETWORK);
	in.answered = 30;
	in.paused = true;
	judged(&in, BOUND_PAUSED);
}
END_TEST

START_TEST(what_stops_all_of_it_comes_first)
{
	struct explain_in in = minute();

	in.ns[STAGE_READ] = 90 * S;
	in.connected = false;
	judged(&in, BOUND_UNREACHABLE);
	in.paused = true;
	judged(&in, BOUND_PAUSED);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("explain_judge");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_idle_agent_is_bound_by_nothing);
	tcase_add_test(tc, an_error_of_an_idle_agent);
	tcase_add_test(tc, an_agent_that_has_just_begun);
	tcase_add_test(tc, a_disk_that_does_not_answer);
	tcase_add_test(tc, a_session_that_waits);
	tcase_add_test(tc, a_slow_disk);
	tcase_add_test(tc, a_slow_processor);
	tcase_add_test(tc, a_slow_network);
	tcase_add_test(tc, the_bandwidth_limit);
	tcase_add_test(tc, too_little_memory_for_what_is_on_its_way);
	tcase_add_test(tc, a_slow_appliance_and_its_disk);
	tcase_add_test(tc, connections_that_break_again_and_again);
	tcase_add_test(tc, what_stops_all_of_it_comes_first);
	return run_tcase("explain_judge", tc);
}
