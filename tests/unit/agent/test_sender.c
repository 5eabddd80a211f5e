// SPDX-License-Identifier: Apache-2.0
/*
 * The sending end of the data path, with an appliance that does as it is told in place of the
 * connection.
 */
/* wraps: agent_api api_free api_retry_after api_put_segment backoff_next store_copy */
#include "agent/sender.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "agent/backoff.h"
#include "agent/scan_digests.h"
#include "agent/split.h"
#include "agent/uplink.h"
#include "tests/unit/agent/support.h"

#define SEGMENTS 64

/* --- the appliance ------------------------------------------------------------------------------- */

static struct appliance {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int answer[8]; /* to the requests in turn, 0 from then on */
	unsigned int puts, waiting, connections, freed, backoffs;
	bool closed; /* nobody gets an answer */
	bool hold[SEGMENTS]; /* nor does this segment */
	uint64_t retry_after, heeded;
	uint8_t trailer[SEGMENTS][WIRE_TRAILER_BYTES]; /* of the bytes that came first */
	unsigned int came[SEGMENTS], order[SEGMENTS], answered;
} far = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

struct api *__wrap_agent_api(struct agent *a, const struct state *st, struct err *e);
void __wrap_api_free(struct api *api);
uint64_t __wrap_api_retry_after(const struct api *api);
uint64_t __wrap_backoff_next(struct backoff *b, uint64_t retry_after_s);
int __wrap_store_copy(struct store *s, struct state *out, struct err *e);
int __wrap_api_put_segment(struct api *api, const char *disk, uint64_t epoch, uint32_t segment,
			   const void *data, size_t len, struct put_outcome *out, struct err *e);

struct api *__wrap_agent_api(struct agent *a, const struct state *st, struct err *e)
{
	(void)a, (void)st, (void)e;
	pthread_mutex_lock(&far.lock);
	far.connections++;
	pthread_mutex_unlock(&far.lock);
	return malloc(1);
}

void __wrap_api_free(struct api *api)
{
	if (!api)
		return;
	pthread_mutex_lock(&far.lock);
	far.freed++;
	pthread_mutex_unlock(&far.lock);
	free(api);
}

uint64_t __wrap_api_retry_after(const struct api *api)
{
	(void)api;
	return far.retry_after;
}

uint64_t __wrap_backoff_next(struct backoff *b, uint64_t retry_after_s)
{
	(void)b;
	pthread_mutex_lock(&far.lock);
	far.backoffs++;
	far.heeded = retry_after_s;
	pthread_mutex_unlock(&far.lock);
	return 1000000;
}

int __wrap_store_copy(struct store *s, struct state *out, struct err *e)
{
	(void)s, (void)e;
	memset(out, 0, sizeof(*out));
	return 0;
}

int __wrap_api_put_segment(struct api *api, const char *disk, uint64_t epoch, uint32_t segment,
			   const void *data, size_t len, struct put_outcome *out, struct err *e)
{
	const uint8_t *trailer = (const uint8_t *)data + len - WIRE_TRAILER_BYTES;
	int r = 0;

	(void)api;
	ck_assert_str_eq(disk, "the-disk");
	ck_assert_uint_eq(epoch, 7);
	pthread_mutex_lock(&far.lock);
	if (far.came[segment]++)
		ck_assert_mem_eq(far.trailer[segment], trailer, WIRE_TRAILER_BYTES);
	memcpy(far.trailer[segment], trailer, WIRE_TRAILER_BYTES);
	if (far.puts < 8)
		r = far.answer[far.puts];
	far.puts++;
	far.waiting++;
	pthread_cond_broadcast(&far.changed);
	while (far.closed || far.hold[segment])
		pthread_cond_wait(&far.changed, &far.lock);
	far.waiting--;
	if (!r)
		far.order[far.answered++] = segment;
	out->sent = len;
	pthread_mutex_unlock(&far.lock);
	return r ? err_set(e, r, "the answer is %d", r) : 0;
}

/* Let go of the segment, or of all. */
static void release(int segment)
{
	pthread_mutex_lock(&far.lock);
	if (segment >= 0)
		far.hold[segment] = false;
	else
		far.closed = false;
	pthread_cond_broadcast(&far.changed);
	pthread_mutex_unlock(&far.lock);
}

/* Until so many requests wait for their answer. */
static void wait_until_waiting(unsigned int count)
{
	pthread_mutex_lock(&far.lock);
	while (far.waiting < count)
		pthread_cond_wait(&far.changed, &far.lock);
	pthread_mutex_unlock(&far.lock);
}

/* --- this side ----------------------------------------------------------------------------------- */

static struct agent agent;
static struct senders *senders;
static struct disk disk = {.name = "a-disk", .id = "the-disk"};
static _Atomic bool unwanted;
static struct err last;
static _Atomic int last_code;
static _Atomic unsigned int ended, failed;

static bool given_up(void *arg)
{
	(void)arg;
	return atomic_load(&unwanted);
}

/* As many fail as are meant to: one, so that what it leaves is nobody else's. */
static void on_end(void *arg, int code, const struct err *e)
{
	(void)arg;
	if (code) {
		last = *e;
		atomic_store(&last_code, code);
		atomic_fetch_add(&failed, 1);
	}
	atomic_fetch_add(&ended, 1);
}

static void set_up(unsigned int connections, unsigned int workers, uint64_t memory)
{
	struct sender_events events = {.given_up = given_up, .ended = on_end};
	struct err e = {0};

	agent.config.connections = connections;
	agent.config.workers = workers;
	agent.config.memory_limit = memory;
	ck_assert_msg(!senders_new(&agent, &events, &senders, &e), "%s", e.text);
}

/* A parcel that nobody had to wait for. */
static struct parcel *take(void)
{
	bool waited;
	struct parcel *p = senders_take(senders, &waited);

	ck_assert(!waited);
	return p;
}

static void send_number(struct parcel *p, uint32_t number)
{
	static const uint8_t id[UUID_BYTES] = {1};

	p->disk = &disk;
	p->epoch = 7;
	p->segment = number;
	frame_begin(p->builder, id, 7, number);
	ck_assert_int_eq(frame_add_zero(p->builder, number * 4096ull, 4096), 0);
	senders_put(senders, p);
}

static void wait_ended(unsigned int count)
{
	for (int i = 0; i < 5000 && atomic_load(&ended) < count; i++)
		usleep(1000);
	ck_assert_uint_eq(atomic_load(&ended), count);
}

/* --- the budget ---------------------------------------------------------------------------------- */

static _Atomic bool got;

static void *take_late(void *arg)
{
	bool waited;
	struct parcel *p = senders_take(senders, &waited);

	*(bool *)arg = waited;
	atomic_store(&got, true);
	return p;
}

/* The parcel after the last one is not there until one comes back, by way of `give`. */
static void expect_to_wait(void (*give)(void *), void *arg, struct parcel *expected)
{
	bool waited = false;
	pthread_t t;
	void *p;

	atomic_store(&got, false);
	ck_assert_int_eq(pthread_create(&t, NULL, take_late, &waited), 0);
	usleep(50000);
	ck_assert(!atomic_load(&got));
	give(arg);
	pthread_join(t, &p);
	ck_assert_ptr_eq(p, expected);
	ck_assert(waited);
	ck_assert_uint_eq(atomic_load(&agent.stages.count[STAGE_WAIT_MEMORY]), 1);
	ck_assert_uint_ge(atomic_load(&agent.stages.ns[STAGE_WAIT_MEMORY]), 40000000);
	senders_back(senders, p);
}

static void give_back(void *p)
{
	senders_back(senders, p);
}

static void check_budget(unsigned int workers, uint64_t memory, unsigned int expected)
{
	struct parcel *p[SEGMENTS];

	set_up(2, workers, memory);
	ck_assert_uint_le(expected, SEGMENTS);
	for (unsigned int i = 0; i < expected; i++)
		p[i] = take();
	expect_to_wait(give_back, p[0], p[0]);
	for (unsigned int i = 1; i < expected; i++)
		senders_back(senders, p[i]);
	senders_free(senders);
}

START_TEST(as_many_parcels_as_the_budget_has_room_for)
{
	/* What the read buffers of the workers, and parts of segments, leave, in parcels. */
	check_budget(2, 2 * SCAN_CHUNK + 2 * SPLIT_MAX + 9 * PARCEL_BYTES + PARCEL_BYTES / 2, 9);
}
END_TEST

START_TEST(one_parcel_more_than_workers_at_least)
{
	check_budget(4, 1 << 20, 5);
}
END_TEST

static void open_far(void *arg)
{
	(void)arg;
	release(-1);
}

START_TEST(a_slow_appliance_stops_who_fills_parcels)
{
	struct parcel *p[4], *first;

	far.closed = true;
	set_up(1, 3, 0);
	for (unsigned int i = 0; i < 4; i++)
		p[i] = take();
	first = p[0];
	for (unsigned int i = 0; i < 4; i++)
		send_number(p[i], i);
	wait_until_waiting(1);
	/* One on its way, three queued up: nothing is lost or forgotten meanwhile. */
	ck_assert_uint_eq(far.puts, 1);
	ck_assert(!senders_idle(senders));
	expect_to_wait(open_far, NULL, first);
	wait_ended(4);
	ck_assert_uint_eq(atomic_load(&failed), 0);
	senders_free(senders);
	ck_assert_uint_eq(far.puts, 4);
	ck_assert_uint_eq(far.connections, 1);
	ck_assert_uint_eq(far.freed, 1);
}
END_TEST

/* --- the end of a segment ------------------------------------------------------------------------ */

START_TEST(what_passes_is_sent_again)
{
	static const int passing[] = {-EHOSTDOWN, -EAGAIN, -ENOSPC, -EILSEQ};

	memcpy(far.answer, passing, sizeof(passing));
	far.retry_after = 9;
	set_up(1, 1, 0);
	send_number(take(), 3);
	wait_ended(1);
	ck_assert_uint_eq(atomic_load(&failed), 0);
	/* The same bytes each time, which the appliance sees to. */
	ck_assert_uint_eq(far.came[3], 5);
	ck_assert_uint_eq(far.backoffs, 4);
	ck_assert_uint_eq(far.heeded, 9);
	ck_assert_uint_eq(atomic_load(&agent.totals.retries), 4);
	/* All that went over the wire, and one segment that arrived. */
	ck_assert_uint_eq(atomic_load(&agent.totals.sent_bytes) % 5, 0);
	ck_assert_uint_eq(atomic_load(&agent.stages.count[STAGE_SEND]), 1);
	ck_assert_uint_eq(atomic_load(&agent.stages.bytes[STAGE_SEND]) * 5,
			  atomic_load(&agent.totals.sent_bytes));
	senders_free(senders);
}
END_TEST

START_TEST(what_is_final_is_not_sent_again)
{
	static const int final[] = {-ESTALE, -EPROTO, -EACCES, -EKEYREJECTED, -ENOKEY};
	const unsigned int count = sizeof(final) / sizeof(*final);

	memcpy(far.answer, final, sizeof(final));
	set_up(1, 1, 0);
	for (unsigned int i = 0; i < count; i++) {
		/* The parcel is back: there are two. */
		send_number(take(), i);
		wait_ended(i + 1);
		ck_assert_int_eq(atomic_load(&last_code), final[i]);
		ck_assert_int_eq(last.code, final[i]);
	}
	ck_assert_uint_eq(atomic_load(&failed), count);
	ck_assert_uint_eq(far.puts, count);
	ck_assert_uint_eq(atomic_load(&agent.totals.retries), 0);
	ck_assert_uint_eq(atomic_load(&agent.stages.count[STAGE_SEND]), 0);
	senders_free(senders);
}
END_TEST

START_TEST(damage_that_does_not_pass_is_final_and_names_the_disk)
{
	for (unsigned int i = 0; i < 8; i++)
		far.answer[i] = -EILSEQ;
	set_up(1, 1, 0);
	send_number(take(), 0);
	wait_ended(1);
	ck_assert_int_eq(atomic_load(&last_code), -EILSEQ);
	ck_assert_uint_eq(far.puts, 5);
	ck_assert_str_eq(last.text, "a-disk: the answer is -84");
	senders_free(senders);
}
END_TEST

START_TEST(nothing_is_sent_for_an_epoch_that_was_given_up)
{
	atomic_store(&unwanted, true);
	set_up(1, 1, 0);
	send_number(take(), 0);
	wait_ended(1);
	ck_assert_int_eq(atomic_load(&last_code), -ECANCELED);
	ck_assert_uint_eq(far.puts, 0);
	ck_assert_uint_eq(far.connections, 0);
	/* The next epoch has all of the budget. */
	atomic_store(&unwanted, false);
	send_number(take(), 1);
	send_number(take(), 2);
	wait_ended(3);
	ck_assert_uint_eq(atomic_load(&failed), 1);
	ck_assert_uint_eq(far.puts, 2);
	senders_free(senders);
}
END_TEST

START_TEST(giving_up_ends_the_patience)
{
	for (unsigned int i = 0; i < 8; i++)
		far.answer[i] = -EHOSTDOWN;
	far.closed = true;
	set_up(1, 1, 0);
	send_number(take(), 0);
	wait_until_waiting(1);
	atomic_store(&unwanted, true);
	release(-1);
	wait_ended(1);
	ck_assert_int_eq(atomic_load(&last_code), -ECANCELED);
	ck_assert_uint_eq(far.puts, 1);
	senders_free(senders);
}
END_TEST

START_TEST(segments_overtake_one_that_is_slow)
{
	far.hold[0] = true;
	set_up(2, 5, 0);
	send_number(take(), 0);
	wait_until_waiting(1);
	for (uint32_t i = 1; i < 5; i++)
		send_number(take(), i);
	wait_ended(4);
	ck_assert_uint_eq(far.came[0], 1);
	release(0);
	wait_ended(5);
	ck_assert_uint_eq(far.answered, 5);
	ck_assert_uint_eq(far.order[4], 0);
	ck_assert_uint_eq(far.connections, 2);
	ck_assert(senders_idle(senders));
	senders_free(senders);
}
END_TEST

START_TEST(all_connections_are_used_at_once)
{
	far.closed = true;
	set_up(4, 5, 0);
	for (uint32_t i = 0; i < 4; i++)
		send_number(take(), i);
	wait_until_waiting(4);
	ck_assert(!senders_idle(senders));
	release(-1);
	wait_ended(4);
	senders_free(senders);
	ck_assert_uint_eq(far.connections, 4);
	ck_assert_uint_eq(far.freed, 4);
}
END_TEST

START_TEST(what_was_handed_over_is_sent_before_the_end)
{
	set_up(2, 15, 0);
	for (uint32_t i = 0; i < 16; i++)
		send_number(take(), i);
	senders_free(senders);
	ck_assert_uint_eq(atomic_load(&ended), 16);
	ck_assert_uint_eq(atomic_load(&failed), 0);
	ck_assert_uint_eq(far.answered, 16);
}
END_TEST

START_TEST(a_renewed_certificate_makes_a_new_connection)
{
	set_up(1, 1, 0);
	send_number(take(), 0);
	wait_ended(1);
	send_number(take(), 1);
	wait_ended(2);
	ck_assert_uint_eq(far.connections, 1);
	atomic_fetch_add(&agent.identity, 1);
	send_number(take(), 2);
	wait_ended(3);
	ck_assert_uint_eq(far.connections, 2);
	ck_assert_uint_eq(far.freed, 1);
	senders_free(senders);
}
END_TEST

/* --- the session's connection, which has something to do while it waits ----------------------------- */

static unsigned int asked, beats;

static int refuse_twice(struct api *api, void *request, struct err *e)
{
	ck_assert_ptr_nonnull(api);
	ck_assert_ptr_eq(request, &asked);
	return ++asked < 3 ? err_set(e, -EAGAIN, "come again") : 0;
}

static void renew(void *arg)
{
	/* The answer that tells how long to wait was looked at before: this may make a new connection. */
	ck_assert_uint_eq(far.backoffs, beats + 1);
	beats++;
	atomic_fetch_add(&agent.identity, 1);
	ck_assert_int_eq(uplink_connect(arg, NULL), 0);
}

START_TEST(a_certificate_may_be_renewed_while_waiting)
{
	struct uplink u = {.agent = &agent, .given_up = given_up, .beat = renew, .arg = &u};
	struct err e = {0};

	ck_assert_int_eq(uplink_until(&u, refuse_twice, &asked, &e), 0);
	ck_assert_uint_eq(asked, 3);
	ck_assert_uint_eq(beats, 2);
	ck_assert_uint_eq(far.connections, 3);
	ck_assert_uint_eq(far.freed, 2);
	ck_assert_uint_eq(atomic_load(&agent.totals.retries), 2);
	/* The connection is kept, and is the one in use. */
	ck_assert_int_eq(uplink_until(&u, refuse_twice, &asked, &e), 0);
	ck_assert_uint_eq(far.connections, 3);
	uplink_clear(&u);
	ck_assert_ptr_null(u.api);
	ck_assert_uint_eq(far.freed, 3);
	ck_assert_uint_eq(agent_link_get(&agent).code, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("sender");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, as_many_parcels_as_the_budget_has_room_for);
	tcase_add_test(tc, one_parcel_more_than_workers_at_least);
	tcase_add_test(tc, a_slow_appliance_stops_who_fills_parcels);
	tcase_add_test(tc, what_passes_is_sent_again);
	tcase_add_test(tc, what_is_final_is_not_sent_again);
	tcase_add_test(tc, damage_that_does_not_pass_is_final_and_names_the_disk);
	tcase_add_test(tc, nothing_is_sent_for_an_epoch_that_was_given_up);
	tcase_add_test(tc, giving_up_ends_the_patience);
	tcase_add_test(tc, segments_overtake_one_that_is_slow);
	tcase_add_test(tc, all_connections_are_used_at_once);
	tcase_add_test(tc, what_was_handed_over_is_sent_before_the_end);
	tcase_add_test(tc, a_renewed_certificate_makes_a_new_connection);
	tcase_add_test(tc, a_certificate_may_be_renewed_while_waiting);
	return run_tcase("sender", tc);
}
