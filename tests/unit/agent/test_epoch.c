// SPDX-License-Identifier: Apache-2.0
/* Epochs of a tracked and a scanned disk, with nothing of the module or the appliance behind them: what is told of points that there are, or are not. */
/* wraps: api_open_epoch api_commit uplink_until boundary_take boundary_sealed boundary_torn boundary_commit boundary_close drain_run */
#include "agent/epoch.h"

#include <stdlib.h>
#include <string.h>

#include "agent/drain.h"
#include "tests/unit/agent/support.h"

#define SIZE (16u << 20)

static struct agent agent;
static struct session session = {.a = &agent};
static struct disk *tracked, *scanned;
static uint64_t epochs;
static bool torn, changes_when_read;
static const char *torn_why = "for a reason";

int __wrap_api_open_epoch(struct api *a, const char *attempt, struct opened *out, struct err *e);
int __wrap_api_commit(struct api *a, uint64_t epoch, const json_t *body, struct commit_answer *out,
		      struct err *e);
int __wrap_uplink_until(struct uplink *u, uplink_fn once, void *request, struct err *e);
int __wrap_boundary_take(struct kmod *k, struct boundary **out, struct boundary_info *info,
			 struct err *e);
int __wrap_boundary_sealed(struct boundary *b, uint64_t *in_flight, struct err *e);
int __wrap_boundary_torn(struct boundary *b, bool *is, char *reason, size_t size, struct err *e);
int __wrap_boundary_commit(struct boundary *b, struct err *e);
void __wrap_boundary_close(struct boundary *b);
int __wrap_drain_run(struct drain_pool *p, struct drain *d, void (*beat)(void *arg), void *arg,
		     struct err *e);

int __wrap_api_open_epoch(struct api *a, const char *attempt, struct opened *out, struct err *e)
{
	(void)a, (void)attempt, (void)e;
	*out = (struct opened){.epoch = ++epochs};
	return 0;
}

int __wrap_api_commit(struct api *a, uint64_t epoch, const json_t *body, struct commit_answer *out,
		      struct err *e)
{
	(void)a, (void)epoch, (void)body, (void)e;
	*out = (struct commit_answer){0};
	return 0;
}

int __wrap_uplink_until(struct uplink *u, uplink_fn once, void *request, struct err *e)
{
	(void)u;
	return once(NULL, request, e);
}

int __wrap_boundary_take(struct kmod *k, struct boundary **out, struct boundary_info *info,
			 struct err *e)
{
	(void)k, (void)info, (void)e;
	*out = malloc(1);
	return 0;
}

int __wrap_boundary_sealed(struct boundary *b, uint64_t *in_flight, struct err *e)
{
	(void)b, (void)e;
	*in_flight = 0;
	return 1;
}

int __wrap_boundary_torn(struct boundary *b, bool *is, char *reason, size_t size, struct err *e)
{
	(void)b, (void)e;
	*is = torn;
	snprintf(reason, size, "%s", torn ? torn_why : "");
	return 0;
}

int __wrap_boundary_commit(struct boundary *b, struct err *e)
{
	(void)b, (void)e;
	return 0;
}

void __wrap_boundary_close(struct boundary *b)
{
	free(b);
}

int __wrap_drain_run(struct drain_pool *p, struct drain *d, void (*beat)(void *arg), void *arg,
		     struct err *e)
{
	(void)p, (void)d, (void)beat, (void)arg, (void)e;
	if (changes_when_read)
		atomic_store(&scanned->changed_at, 0);
	return 0;
}

/* --- disks on which nothing changes ----------------------------------------------------------- */

static int fake_status(struct source *s, struct source_status *out, struct err *e)
{
	(void)e;
	*out = (struct source_status){.size_now = s->size};
	return 0;
}

static int fake_drain_open(struct source *s, struct boundary *b, struct source_map *out,
			   struct err *e)
{
	static const uint8_t clean[SIZE / 65536 / 8];

	(void)b, (void)e;
	*out = (struct source_map){.present = true,
				   .bitmap = s->ops->tracks ? clean : NULL,
				   .granules = SIZE / 65536,
				   .shift = 16};
	return 0;
}

static void fake_drain_close(struct source *s)
{
	(void)s;
}

static const struct source_ops tracked_ops = {.name = "kmod",
					      .tracks = true,
					      .status = fake_status,
					      .drain_open = fake_drain_open,
					      .drain_close = fake_drain_close,
					      .close = fake_drain_close};
static const struct source_ops scanned_ops = {.name = "scan",
					      .status = fake_status,
					      .drain_open = fake_drain_open,
					      .drain_close = fake_drain_close,
					      .close = fake_drain_close};
static struct source tracked_source = {.ops = &tracked_ops, .size = SIZE, .shift = 16};
static struct source scanned_source = {.ops = &scanned_ops, .size = SIZE, .shift = 16};

static struct disk *protected_disk(const char *name, struct source *source)
{
	struct state_disk from = {.last_state = DISK_PROTECTED};
	struct disk *d;

	snprintf(from.key, sizeof(from.key), "path:/%s", name);
	snprintf(from.name, sizeof(from.name), "%s", name);
	d = disk_new(&from);
	ck_assert_ptr_nonnull(d);
	disk_set_source(d, source);
	disk_set_state(d, DISK_PROTECTED, SIZE, "");
	return d;
}

static void set_up(void)
{
	agent_make(&agent);
	tracked = protected_disk("tracked", &tracked_source);
	scanned = protected_disk("scanned", &scanned_source);
	free(agent.disks);
	agent.disks = calloc(1, sizeof(*agent.disks) + 2 * sizeof(agent.disks->disk[0]));
	ck_assert_ptr_nonnull(agent.disks);
	agent.disks->count = 2;
	agent.disks->disk[0] = tracked;
	agent.disks->disk[1] = scanned;
	torn = false;
	torn_why = "for a reason";
}

static void tear_down(void)
{
	agent_remove(&agent);
}

/* Why the status says that the last epoch is no recovery point; "" if it does not. */
static const char *after_epoch(bool with_scan)
{
	static struct facts f;
	struct err e;

	ck_assert_msg(!epoch_run(&session, with_scan, &e), "%s", e.text);
	f = agent_facts_get(&agent);
	ck_assert_uint_eq(f.epoch, epochs);
	return f.fuzzy;
}

/* Nothing is wrong with an epoch that no scan was due in, nor does it mend what is wrong. */
START_TEST(between_two_scans)
{
	ck_assert_str_eq(after_epoch(true), "");
	ck_assert_str_eq(after_epoch(false), "");
	torn = true;
	ck_assert_ptr_nonnull(strstr(after_epoch(true), "torn: for a reason"));
	torn = false;
	ck_assert_ptr_nonnull(strstr(after_epoch(false), "torn: for a reason"));
	ck_assert_str_eq(after_epoch(true), "");
	torn = true;
	ck_assert_str_eq(after_epoch(false), "");
}
END_TEST

START_TEST(without_a_scanned_disk_each_is_meant_to_be_one)
{
	agent.disks->count = 1;
	torn = true;
	ck_assert_ptr_nonnull(strstr(after_epoch(false), "torn: for a reason"));
	torn = false;
	ck_assert_str_eq(after_epoch(false), "");
	disk_free(scanned);
}
END_TEST

/* What is read for the first time, or again, lets nobody expect a point. */
START_TEST(while_a_disk_is_read)
{
	torn = true;
	ck_assert_ptr_nonnull(strstr(after_epoch(true), "torn: for a reason"));
	disk_set_state(tracked, DISK_RESYNC, 0, "a cause");
	tracked->slice = 65536;
	tracked->waiting = true;
	ck_assert_str_eq(after_epoch(true), "");
}
END_TEST

/* A disk may be called like a reason, and a reason like another. */
START_TEST(what_would_help)
{
	torn = true;
	ck_assert_str_ne(after_epoch(true), "");
	ck_assert_int_eq(agent_facts_get(&agent).loss, LOSS_OTHER);
	torn_why = "the pool of preserved copies is full (pool_bytes)";
	ck_assert_str_ne(after_epoch(true), "");
	ck_assert_int_eq(agent_facts_get(&agent).loss, LOSS_POOL_FULL);
	torn = false;
	changes_when_read = true;
	ck_assert_ptr_nonnull(strstr(after_epoch(true), "scanned changed while it was scanned"));
	ck_assert_int_eq(agent_facts_get(&agent).loss, LOSS_SCANNED);
	changes_when_read = false;
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("epoch");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, between_two_scans);
	tcase_add_test(t, without_a_scanned_disk_each_is_meant_to_be_one);
	tcase_add_test(t, while_a_disk_is_read);
	tcase_add_test(t, what_would_help);
	return run_tcase("epoch", t);
}
