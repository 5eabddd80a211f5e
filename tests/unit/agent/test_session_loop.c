// SPDX-License-Identifier: Apache-2.0
/* What the session's loop does from epoch to epoch, with epochs and an appliance that are made up. */
/* wraps: uplink_connect enroll_renew api_machine epoch_run drain_pool_new verify_slices verify_needs_epoch */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "agent/api_http.h"
#include "agent/session.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

#define SIZE (1u << 20)
#define PATIENCE_NS (20 * NSEC_PER_SEC)

static struct agent agent;
static pthread_t thread;
static atomic_uint epochs;
static atomic_int epoch_result, renew_result;

int __wrap_uplink_connect(struct uplink *u, struct err *e);
int __wrap_enroll_renew(struct agent *a, struct api *api, uint64_t *again_ns, struct err *e);
int __wrap_api_machine(struct api *a, struct remote_machine *m, struct err *e);
int __wrap_epoch_run(struct session *s, bool scan, struct err *e);
int __wrap_drain_pool_new(struct agent *a, struct drain_pool **out, struct err *e);

int __wrap_uplink_connect(struct uplink *u, struct err *e)
{
	(void)e;
	if (!u->api)
		u->api = calloc(1, sizeof(*u->api));
	return 0;
}

int __wrap_enroll_renew(struct agent *a, struct api *api, uint64_t *again_ns, struct err *e)
{
	int r = atomic_load(&renew_result);

	(void)a, (void)api;
	*again_ns = NSEC_PER_SEC / 10;
	return r ? err_set(e, r, "no new certificate") : 0;
}

int __wrap_api_machine(struct api *a, struct remote_machine *m, struct err *e)
{
	(void)a, (void)e;
	*m = (struct remote_machine){.epoch = 1, .disk_count = 1};
	m->disk = calloc(1, sizeof(*m->disk));
	m->disk[0] = (struct remote_disk){.size = SIZE,
					  .granule = 65536,
					  .replicated = SIZE,
					  .epoch = 1,
					  .state = DISK_PROTECTED};
	strcpy(m->disk[0].id, "6f1c9a5e-0b7e-4b1e-9a57-0123456789ab");
	strcpy(m->disk[0].key, "one");
	return 0;
}

int __wrap_epoch_run(struct session *s, bool scan, struct err *e)
{
	struct disk *d = s->a->disks->disk[0];
	int r = atomic_load(&epoch_result);

	(void)scan;
	s->boundary_ns = clock_monotonic_ns();
	atomic_fetch_add(&epochs, 1);
	if (r)
		return err_set(e, r, "the module refuses");
	d->scanned_ns = s->boundary_ns;
	disk_set_state(d, DISK_PROTECTED, d->size, "");
	return 0;
}

int __wrap_drain_pool_new(struct agent *a, struct drain_pool **out, struct err *e)
{
	(void)a, (void)e;
	*out = NULL;
	return 0;
}

/* Slices are read whenever that is due, and wait for an epoch. */
static bool verifying;

int __real_verify_slices(struct session *s, struct err *e);
int __wrap_verify_slices(struct session *s, struct err *e);
bool __real_verify_needs_epoch(const struct session *s);
bool __wrap_verify_needs_epoch(const struct session *s);

int __wrap_verify_slices(struct session *s, struct err *e)
{
	return verifying ? 0 : __real_verify_slices(s, e);
}

bool __wrap_verify_needs_epoch(const struct session *s)
{
	return verifying || __real_verify_needs_epoch(s);
}

static int edit_disks(struct state *st, void *arg, struct err *e)
{
	struct state_disk *d = state_add(st);

	(void)arg, (void)e;
	strcpy(st->machine, "6f1c9a5e-0b7e-4b1e-9a57-000000000000");
	strcpy(d->key, "one");
	strcpy(d->name, "one");
	strcpy(d->path, test_path("disk"));
	d->file = true;
	d->source = SOURCE_SCAN;
	d->last_state = DISK_PROTECTED;
	return 0;
}

static void add_disk(void)
{
	struct err e;
	FILE *f = fopen(test_path("disk"), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(ftruncate(fileno(f), SIZE), 0);
	fclose(f);
	ck_assert_int_eq(store_update(agent.store, true, edit_disks, NULL, &e), 0);
}

static void start(void)
{
	ck_assert_int_eq(pthread_create(&thread, NULL, session_main, &agent), 0);
}

static void begin(void)
{
	add_disk();
	start();
}

static void set_up(void)
{
	struct err e;

	agent.config.min_epoch_interval = NSEC_PER_SEC / 10;
	agent.config.scan_interval = 3600 * NSEC_PER_SEC;
	ck_assert_int_eq(window_parse("always", &agent.config.resync_window, &e), 0);
	agent_make(&agent);
}

static void tear_down(void)
{
	agent_stop(&agent);
	pthread_join(thread, NULL);
	agent_remove(&agent);
}

static bool soon(bool (*is)(void))
{
	uint64_t until = clock_monotonic_ns() + PATIENCE_NS;
	bool yes;

	while (!(yes = is()) && clock_monotonic_ns() < until)
		usleep(10000);
	return yes;
}

static bool ran(void)
{
	return atomic_load(&epochs) > 0;
}

/* The table is not published any more once an epoch ran. */
static bool unreachable(void)
{
	struct disk *d = agent.disks->disk[0];
	bool gone;

	pthread_mutex_lock(&d->lock);
	gone = !d->source;
	pthread_mutex_unlock(&d->lock);
	return gone;
}

START_TEST(disks_are_heeded_in_a_long_interval)
{
	agent.config.min_epoch_interval = 3600 * NSEC_PER_SEC;
	begin();
	ck_assert(soon(ran));
	ck_assert_int_eq(unlink(test_path("disk")), 0);
	ck_assert(soon(unreachable));
	ck_assert_uint_eq(atomic_load(&epochs), 1);
	ck_assert_uint_lt(clock_monotonic_ns() - atomic_load(&agent.session_alive_ns),
			  10 * NSEC_PER_SEC);
}
END_TEST

static int quiet_status(struct source *s, struct source_status *out, struct err *e)
{
	(void)s, (void)e;
	*out = (struct source_status){.size_now = SIZE};
	return 0;
}

static void quiet_close(struct source *s)
{
	(void)s;
}

static bool ran_on(void)
{
	return atomic_load(&epochs) > 3;
}

START_TEST(only_who_waits_for_verification_has_more_epochs)
{
	static const struct source_ops ops = {.name = "quiet",
					      .tracks = true,
					      .status = quiet_status,
					      .close = quiet_close};
	static struct source quiet = {.ops = &ops, .size = SIZE, .shift = 16, .poll_fd = -1};
	struct session here = {.a = &agent};
	struct err e;

	agent.config.min_epoch_interval = 3600 * NSEC_PER_SEC;
	verifying = true;
	add_disk();
	ck_assert_int_eq(session_local(&here, &e), 0);
	disk_set_source(agent.disks->disk[0], &quiet);
	start();
	ck_assert(soon(ran));
	sleep(1);
	agent_wake(&agent);
	sleep(1);
	ck_assert_uint_eq(atomic_load(&epochs), 1);
	verify_ask(agent.disks->disk[0]);
	agent_wake(&agent);
	ck_assert(soon(ran_on));
}
END_TEST

static bool failed_thrice(void)
{
	return agent_setback_get(&agent).count >= 3;
}

static bool overcome(void)
{
	return !agent_setback_get(&agent).count;
}

START_TEST(epochs_that_fail_are_counted)
{
	struct setback s;

	atomic_store(&epoch_result, -ENODEV);
	begin();
	ck_assert(soon(failed_thrice));
	s = agent_setback_get(&agent);
	ck_assert_int_eq(s.last.code, -ENODEV);
	ck_assert_str_eq(s.last.text, "the module refuses");
	ck_assert_int_eq(agent_link_get(&agent).code, 0);
	/* Nobody's failure. */
	atomic_store(&epoch_result, -EHOSTDOWN);
	usleep(500000);
	ck_assert(failed_thrice());
	atomic_store(&epoch_result, 0);
	ck_assert(soon(overcome));
}
END_TEST

static bool renewal_fails(void)
{
	return agent_renewal_get(&agent).code == -EAGAIN;
}

static bool renewed(void)
{
	return !agent_renewal_get(&agent).code;
}

START_TEST(a_renewal_that_fails_is_kept)
{
	atomic_store(&renew_result, -EAGAIN);
	begin();
	ck_assert(soon(renewal_fails));
	/* Called off with an epoch: that says nothing. */
	atomic_store(&renew_result, -ECANCELED);
	usleep(300000);
	ck_assert(renewal_fails());
	ck_assert_str_eq(agent_renewal_get(&agent).text, "no new certificate");
	atomic_store(&renew_result, 0);
	ck_assert(soon(renewed));
}
END_TEST

/* --- a disk whose event cannot be recorded ---------------------------------------------------- */

static atomic_uint looks;

static int fake_status(struct source *s, struct source_status *out, struct err *e)
{
	(void)s, (void)e;
	*out = (struct source_status){.size_now = SIZE, .events = SOURCE_SUSPECT};
	atomic_fetch_add(&looks, 1);
	return 0;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops fake_ops = {.name = "fake",
					   .tracks = true,
					   .status = fake_status,
					   .close = fake_close};
static struct source fake = {.ops = &fake_ops, .size = SIZE, .shift = 16};

/* A descriptor that polls as one of the module with an event: POLLPRI. */
static int urgent_fd(void)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM, 0), from = socket(AF_INET, SOCK_STREAM, 0), to;

	ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr, len), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
	ck_assert_int_eq(connect(from, (struct sockaddr *)&addr, len), 0);
	to = accept(listener, NULL, NULL);
	ck_assert_int_eq(send(from, "!", 1, MSG_OOB), 1);
	close(listener);
	return to;
}

START_TEST(an_event_that_stays_does_not_keep_it_busy)
{
	struct pollfd p = {.fd = urgent_fd(), .events = POLLPRI};
	struct session here = {.a = &agent};
	struct err e;

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	fake.poll_fd = p.fd;
	add_disk();
	ck_assert_int_eq(session_local(&here, &e), 0);
	disk_set_source(agent.disks->disk[0], &fake);
	ck_assert_int_eq(rename(test_path("state"), test_path("away")), 0);
	start();
	ck_assert(soon(ran));
	usleep(300000);
	ck_assert(store_failing(agent.store, NULL));
	atomic_store(&looks, 0);
	sleep(1);
	ck_assert_uint_lt(atomic_load(&looks), 20);
	ck_assert_int_eq(rename(test_path("away"), test_path("state")), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("session_loop");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, disks_are_heeded_in_a_long_interval);
	tcase_add_test(tc, only_who_waits_for_verification_has_more_epochs);
	tcase_add_test(tc, an_event_that_stays_does_not_keep_it_busy);
	tcase_add_test(tc, a_renewal_that_fails_is_kept);
	tcase_add_test(tc, epochs_that_fail_are_counted);
	return run_tcase("session_loop", tc);
}
