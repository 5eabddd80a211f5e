// SPDX-License-Identifier: Apache-2.0
/*
 * What goes on where the agent cannot remember anything, because its state file cannot be written; and how
 * disks are found again.
 */
/* wraps: api_machine api_register clock_monotonic_ns identify_find source_kmod_find source_kmod_open */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "agent/session.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

#define MIB (1ull << 20)
#define SIZE (100 * MIB)
#define DISKS 2

static struct agent agent;
static struct session session = {.a = &agent};
static unsigned int acks, detached;
static bool unknown; /* the appliance has no disk yet */
static int refusal; /* of the disk one */

static int fake_status(struct source *s, struct source_status *out, struct err *e)
{
	(void)s, (void)e;
	*out = (struct source_status){.size_now = SIZE, .events = acks ? 0 : SOURCE_SUSPECT};
	return 0;
}

static int fake_ack(struct source *s, unsigned int events, struct err *e)
{
	(void)s, (void)e;
	ck_assert_uint_eq(events, SOURCE_SUSPECT);
	acks++;
	return 0;
}

static int fake_detach(struct source *s, struct err *e)
{
	(void)s, (void)e;
	detached++;
	return 0;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops fake_ops = {.name = "fake",
					   .tracks = true,
					   .status = fake_status,
					   .ack = fake_ack,
					   .detach = fake_detach,
					   .close = fake_close};

/* A scan of a file whose filesystem is away. */
static int away_status(struct source *s, struct source_status *out, struct err *e)
{
	(void)s;
	memset(out, 0, sizeof(*out));
	return err_errno(e, -ESTALE, "cannot tell the size of /nowhere");
}

static const struct source_ops away_ops = {.name = "away",
					   .status = away_status,
					   .close = fake_close};
static struct source away_source = {.ops = &away_ops, .size = SIZE, .shift = 16, .poll_fd = -1};

static struct source source[DISKS] = {
	{.ops = &fake_ops, .size = SIZE, .shift = 24, .poll_fd = -1, .attach_id = "a"},
	{.ops = &fake_ops, .size = SIZE, .shift = 12, .poll_fd = -1, .attach_id = "a"}};

static uint64_t passed_ns;

uint64_t __real_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void);

uint64_t __wrap_clock_monotonic_ns(void)
{
	return __real_clock_monotonic_ns() + passed_ns;
}

static unsigned int searches;
static bool name_held; /* what the last search was told */
static uint64_t searched_size;
static atomic_bool hung = true; /* a disk of the machine does not answer */

int __wrap_identify_find(const char *key, const char *hint, bool hint_holds, uint64_t size,
			 char path[PATH_MAX], struct err *e);

int __wrap_identify_find(const char *key, const char *hint, bool hint_holds, uint64_t size,
			 char path[PATH_MAX], struct err *e)
{
	searched_size = size;
	(void)path;
	while (identify_reads(key) && atomic_load(&hung))
		usleep(1000);
	searches++;
	name_held = hint_holds;
	return err_set(e, -ENODEV, "no disk of this machine is %s (last seen as %s)", key, hint);
}

/* --- the appliance ---------------------------------------------------------------------------- */

int __wrap_api_machine(struct api *a, struct remote_machine *m, struct err *e);
int __wrap_api_register(struct api *a, const char *key, const char *name, uint64_t size,
			uint64_t granule, struct remote_disk *out, struct err *e);

static const char id[] = "6f1c9a5e-0b7e-4b1e-9a57-0123456789ab";

/* The disks grew: what they had was complete. */
static struct remote_disk remote(const char *key)
{
	struct remote_disk d = {.size = SIZE,
				.replicated = 37 * MIB + 1536,
				.epoch = 1,
				.state = DISK_RESYNC,
				.source = "scan"};

	strcpy(d.id, id);
	strcpy(d.key, key);
	return d;
}

int __wrap_api_machine(struct api *a, struct remote_machine *m, struct err *e)
{
	(void)a, (void)e;
	*m = (struct remote_machine){.epoch = 1, .disk_count = unknown ? 0 : DISKS};
	m->disk = calloc(DISKS, sizeof(*m->disk));
	m->disk[0] = remote("one");
	m->disk[1] = remote("two");
	return 0;
}

int __wrap_api_register(struct api *a, const char *key, const char *name, uint64_t size,
			uint64_t granule, struct remote_disk *out, struct err *e)
{
	(void)a, (void)name, (void)size, (void)granule;
	*out = remote(key);
	if (refusal && !strcmp(key, "one"))
		return err_set(e, refusal, "the appliance refused: it does not take one");
	return 0;
}

/* --- the machine ------------------------------------------------------------------------------ */

static void add(struct state *st, const char *key, bool removing)
{
	struct state_disk *d = state_add(st);

	strcpy(d->key, key);
	strcpy(d->name, key);
	strcpy(d->path, "/nowhere");
	d->source = SOURCE_SCAN;
	d->last_state = DISK_PROTECTED;
	d->removing = removing;
}

static int edit_disks(struct state *st, void *arg, struct err *e)
{
	(void)arg, (void)e;
	add(st, "one", false);
	add(st, "two", false);
	add(st, "gone", true);
	return 0;
}

static void local(void)
{
	struct err e;

	ck_assert_msg(!session_local(&session, &e), "%s", e.text);
}

static struct disk *disk(size_t i)
{
	return agent.disks->disk[i];
}

static void set_up(void)
{
	struct err e;

	agent_make(&agent);
	ck_assert_int_eq(store_update(agent.store, true, edit_disks, NULL, &e), 0);
	local();
	ck_assert_uint_eq(agent.disks->count, DISKS);
}

static void tear_down(void)
{
	agent_remove(&agent);
}

static void writable(bool yes)
{
	const char *here = test_path("state"), *away = test_path("away");

	ck_assert_int_eq(yes ? rename(away, here) : rename(here, away), 0);
}

static struct state_disk recorded(const char *key)
{
	struct state_disk d;
	struct state st;
	struct err e;

	ck_assert_int_eq(store_copy(agent.store, &st, &e), 0);
	d = *state_find(&st, key);
	state_clear(&st);
	return d;
}

START_TEST(an_event_stays_until_it_can_be_remembered)
{
	disk_set_source(disk(0), &source[0]);
	session.synced = true;
	writable(false);
	for (int i = 0; i < 3; i++)
		local();
	ck_assert_uint_eq(acks, 0);
	ck_assert(session.synced); /* else all would be agreed upon again, for nothing */
	ck_assert(store_failing(agent.store, NULL));
	/* It is tried every 10 s, by whatever is to be recorded. */
	writable(true);
	local();
	ck_assert_uint_eq(acks, 0);
	passed_ns += 10 * NSEC_PER_SEC;
	local();
	ck_assert_uint_eq(acks, 1);
	ck_assert(!session.synced);
	ck_assert(recorded("one").resync_requested);
	ck_assert(!store_failing(agent.store, NULL));
}
END_TEST

START_TEST(a_sync_goes_on_and_blames_nobody)
{
	struct state st;
	struct err e;

	acks = 1;
	for (size_t i = 0; i < DISKS; i++)
		disk_set_source(disk(i), &source[i]);
	ck_assert_int_eq(store_copy(agent.store, &st, &e), 0);
	writable(false);
	ck_assert_msg(!session_sync(&session, &st, &e), "%s", e.text);
	state_clear(&st);
	ck_assert(session.synced);
	ck_assert_int_eq(agent_link_get(&agent).code, 0);
	for (size_t i = 0; i < DISKS; i++) {
		ck_assert_int_eq(disk(i)->state, DISK_RESYNC);
		ck_assert_str_eq(disk(i)->id, id);
	}
	ck_assert(store_failing(agent.store, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "state/state.json cannot be written: No such file"));
	ck_assert(recorded("gone").removing);
	/* What was missed is gone through again. */
	writable(true);
	passed_ns += 10 * NSEC_PER_SEC;
	local();
	ck_assert(!session.synced);
	session_remember(&session, disk(0), RECORD_KEEP);
	ck_assert_int_eq(recorded("one").last_state, DISK_RESYNC);
}
END_TEST

/* One look for every disk that is not reachable. */
static void look_again(void)
{
	searches = 0;
	passed_ns += 11 * NSEC_PER_SEC;
	local();
}

START_TEST(a_name_counts_in_one_life_of_the_machine)
{
	acks = 1;
	strcpy(session.boot_id, "this life");
	disk_set_source(disk(1), &source[1]);
	look_again();
	ck_assert_uint_eq(searches, 1);
	ck_assert(!name_held); /* nobody knows when it was seen there */
	disk_set_source(disk(0), &source[0]);
	session_remember(&session, disk(0), RECORD_KEEP);
	ck_assert_str_eq(recorded("one").path_boot_id, "this life");
	disk_set_source(disk(0), NULL);
	look_again();
	ck_assert_uint_eq(searches, 1);
	ck_assert(name_held);
	ck_assert_uint_eq(searched_size, SIZE);
	strcpy(session.boot_id, "the next");
	session_remember(&session, disk(0), RECORD_KEEP); /* it was not seen in this one */
	look_again();
	ck_assert_uint_eq(searches, 1);
	ck_assert(!name_held);
}
END_TEST

int __wrap_source_kmod_find(struct kmod *k, const char *path, struct source **out, struct err *e);
int __wrap_source_kmod_open(struct kmod *k, const char *path, struct source **out, struct err *e);

int __wrap_source_kmod_find(struct kmod *k, const char *path, struct source **out, struct err *e)
{
	(void)k, (void)e;
	ck_assert_str_eq(path, "/nowhere");
	*out = &source[1];
	return 0;
}

int __wrap_source_kmod_open(struct kmod *k, const char *path, struct source **out, struct err *e)
{
	return __wrap_source_kmod_find(k, path, out, e);
}

static int edit_tracked(struct state *st, void *arg, struct err *e)
{
	struct state_disk *d = state_find(st, "two");

	(void)arg, (void)e;
	strcpy(d->attach_id, "a");
	return 0;
}

START_TEST(what_the_module_tracks_is_not_looked_for)
{
	struct err e;

	acks = 1;
	agent.kmod = (struct kmod *)&agent;
	disk(1)->choice = SOURCE_KMOD;
	ck_assert_int_eq(store_update(agent.store, false, edit_tracked, NULL, &e), 0);
	disk_set_source(disk(0), &source[0]);
	look_again();
	ck_assert_uint_eq(searches, 0);
	ck_assert_ptr_eq(disk(1)->source, &source[1]);
	/* What it tracks there now is another disk. */
	disk_set_source(disk(1), NULL);
	strcpy(source[1].attach_id, "b");
	look_again();
	ck_assert_uint_eq(searches, 1);
	ck_assert_ptr_null(disk(1)->source);
	agent.kmod = NULL;
}
END_TEST

static int edit_uuid(struct state *st, void *arg, struct err *e)
{
	(void)arg, (void)e;
	add(st, "ptuuid:1", false);
	return 0;
}

START_TEST(a_disk_that_does_not_answer_keeps_nobody)
{
	struct err e;
	uint64_t begin;

	acks = 1;
	ck_assert_int_eq(store_update(agent.store, true, edit_uuid, NULL, &e), 0);
	begin = __real_clock_monotonic_ns();
	look_again();
	look_again();
	ck_assert_uint_lt(__real_clock_monotonic_ns() - begin, 10 * NSEC_PER_SEC);
	ck_assert_uint_eq(searches, 2); /* for the others, of which none is read */
	ck_assert_ptr_nonnull(strstr(disk(2)->error, "is being looked for"));
	atomic_store(&hung, false);
	for (int i = 0; i < 1000 && !strstr(disk(2)->error, "no disk of this machine"); i++) {
		usleep(10000);
		look_again();
	}
	ck_assert_str_eq(disk(2)->error,
			 "no disk of this machine is ptuuid:1 (last seen as /nowhere)");
}
END_TEST

static void sync_refused(int code, unsigned int detaches, const char *remedy)
{
	struct state st;
	struct err e;

	acks = 1;
	refusal = code;
	for (size_t i = 0; i < DISKS; i++)
		disk_set_source(disk(i), &source[i]);
	ck_assert_int_eq(store_copy(agent.store, &st, &e), 0);
	ck_assert_msg(!session_sync(&session, &st, &e), "%s", e.text);
	state_clear(&st);
	ck_assert(session.synced);
	ck_assert_int_eq(agent_link_get(&agent).code, 0);
	ck_assert_ptr_null(disk(0)->source);
	ck_assert_str_eq(disk(0)->error, "the appliance refused: it does not take one");
	ck_assert_msg(strstr(disk(0)->remedy, remedy) != NULL, "%s", disk(0)->remedy);
	ck_assert_uint_eq(detached, detaches);
	ck_assert_ptr_nonnull(disk(1)->source);
	ck_assert_str_eq(disk(1)->id, id);
}

START_TEST(a_disk_that_is_refused_stops_no_other)
{
	sync_refused(-EPROTO, 0, "Mend what it says");
}
END_TEST

START_TEST(a_disk_too_many_stops_no_other)
{
	unknown = true;
	sync_refused(-ESTALE, 1, "End the protection of a disk");
}
END_TEST

START_TEST(a_disk_that_became_smaller_is_another)
{
	source[0].size = SIZE / 2;
	sync_refused(-ESTALE, 1, "A disk that became smaller");
}
END_TEST

static void agree(void)
{
	struct state st;
	struct err e;

	ck_assert_int_eq(store_copy(agent.store, &st, &e), 0);
	ck_assert_msg(!session_sync(&session, &st, &e), "%s", e.text);
	state_clear(&st);
}

/* A commit must not name what the appliance does not have, and nothing is proven of it. */
START_TEST(another_appliance)
{
	for (size_t i = 0; i < DISKS; i++) {
		strcpy(disk(i)->id, "of the one before");
		disk(i)->verify.proven_ns = 5;
		disk(i)->verify.proven_epoch = i ? 2 : 1;
	}
	unknown = true;
	agree();
	ck_assert_str_eq(disk(0)->id, "");
	ck_assert_str_eq(disk(1)->id, "");
	ck_assert_uint_eq(disk(0)->verify.proven_ns, 5);
	ck_assert_uint_eq(disk(1)->verify.proven_ns, 0);
	ck_assert_uint_eq(disk(1)->verify.proven_epoch, 0);
	ck_assert_uint_eq(recorded("two").proven_epoch, 0);
}
END_TEST

/* What a scan remembers of the appliance is good until that stands elsewhere. */
START_TEST(a_sync_forgets_no_scan_without_need)
{
	static const struct source_ops scans = {.name = "scan",
						.detach = fake_detach,
						.close = fake_close};

	source[0].ops = &scans;
	disk_set_source(disk(0), &source[0]);
	agree();
	disk(0)->scanned_ns = 7;
	agree();
	ck_assert_uint_eq(disk(0)->scanned_ns, 7);
	agent.facts.epoch = 2;
	agree();
	ck_assert_uint_eq(disk(0)->scanned_ns, 0);
	disk(0)->scanned_ns = 7;
	strcpy(disk(0)->id, "another");
	agree();
	ck_assert_uint_eq(disk(0)->scanned_ns, 0);
}
END_TEST

START_TEST(a_file_that_is_away_stops_no_other)
{
	disk_set_source(disk(0), &away_source);
	disk_set_source(disk(1), &source[1]);
	session.synced = true;
	local();
	ck_assert_ptr_null(disk(0)->source);
	ck_assert_ptr_nonnull(strstr(disk(0)->error, "cannot tell the size of /nowhere: Stale"));
	ck_assert(!session.synced);
	ck_assert_uint_eq(acks, 1); /* the event of the other was heeded */
	ck_assert_ptr_nonnull(disk(1)->source);
	/* It is looked for again, but not at once: what opens may still not answer. */
	searches = 0;
	local();
	ck_assert_uint_eq(searches, 0);
	look_again();
	ck_assert_uint_eq(searches, 1);
}
END_TEST

static int edit_schedule(struct state *st, void *arg, struct err *e)
{
	(void)arg, (void)e;
	state_find(st, "one")->resync_scheduled = true;
	return 0;
}

START_TEST(a_scheduled_resync_waits_alone)
{
	struct state st;
	struct err e;

	ck_assert_int_eq(window_parse("always", &agent.config.resync_window, &e), 0);
	ck_assert_int_eq(store_update(agent.store, false, edit_schedule, NULL, &e), 0);
	ck_assert_int_eq(store_copy(agent.store, &st, &e), 0);
	session.synced = true;
	writable(false);
	ck_assert_int_eq(session_heed_window(&session, &st, &e), 0);
	ck_assert(session.synced);
	writable(true);
	passed_ns += 10 * NSEC_PER_SEC;
	local();
	session.synced = true;
	ck_assert_int_eq(session_heed_window(&session, &st, &e), 0);
	ck_assert(!session.synced);
	ck_assert(recorded("one").resync_requested);
	state_clear(&st);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("session");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, an_event_stays_until_it_can_be_remembered);
	tcase_add_test(tc, a_sync_goes_on_and_blames_nobody);
	tcase_add_test(tc, a_name_counts_in_one_life_of_the_machine);
	tcase_add_test(tc, what_the_module_tracks_is_not_looked_for);
	tcase_add_test(tc, a_disk_that_does_not_answer_keeps_nobody);
	tcase_add_test(tc, a_disk_that_is_refused_stops_no_other);
	tcase_add_test(tc, a_disk_too_many_stops_no_other);
	tcase_add_test(tc, a_disk_that_became_smaller_is_another);
	tcase_add_test(tc, another_appliance);
	tcase_add_test(tc, a_sync_forgets_no_scan_without_need);
	tcase_add_test(tc, a_file_that_is_away_stops_no_other);
	tcase_add_test(tc, a_scheduled_resync_waits_alone);
	return run_tcase("session", tc);
}
