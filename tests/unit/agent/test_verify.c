// SPDX-License-Identifier: Apache-2.0
/*
 * What becomes of the differences that a slice of a tracked disk showed: written since, or a mismatch. When scans of others ask the appliance for
 * everything.
 */
/* wraps: drain_run compare_begin compare_end doubt_tell */
#include <errno.h>
#include <string.h>

#include "agent/compare.h"
#include "agent/doubt.h"
#include "agent/epoch.h"
#include "agent/session.h"
#include "agent/worker.h"
#include "lib/clock.h"
#include "tests/unit/agent/support.h"

#define SHIFT 12
#define SIZE (4u << 20)

static uint64_t marked[16];
static unsigned int marks, events;
static struct doubt told; /* to the appliance, by the last judgement */
static int tell_fails;

int __wrap_doubt_tell(struct session *s, struct disk *disk, struct err *e);

int __wrap_doubt_tell(struct session *s, struct disk *disk, struct err *e)
{
	(void)s, (void)e;
	/* Whoever is killed now must find it once more. */
	ck_assert_uint_eq(marks, 0);
	told = disk->verify.untold;
	return tell_fails;
}

static int fake_mark(struct source *s, uint64_t offset, uint64_t length, struct err *e)
{
	(void)s, (void)e;
	ck_assert_uint_eq(length, 65536);
	marked[marks++] = offset;
	return 0;
}

static int fake_status(struct source *s, struct source_status *out, struct err *e)
{
	(void)s, (void)e;
	*out = (struct source_status){.size_now = SIZE, .events = events};
	return 0;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops tracked_ops = {.name = "fake",
					      .tracks = true,
					      .status = fake_status,
					      .mark = fake_mark,
					      .close = fake_close};

static struct source source = {.ops = &tracked_ops, .size = SIZE, .shift = SHIFT, .poll_fd = -1};
static uint8_t bitmap[SIZE >> SHIFT >> 3];
static struct source_map map = {.present = true,
				.bitmap = bitmap,
				.granules = SIZE >> SHIFT,
				.shift = SHIFT};
static struct disk *d;

static void set_up(void)
{
	struct state_disk from = {.key = "path:/fake", .name = "fake", .proven_ns = 7};

	d = disk_new(&from);
	disk_set_source(d, &source);
	disk_set_state(d, DISK_PROTECTED, SIZE, "");
}

static void tear_down(void)
{
	disk_free(d);
}

/* A slice was read, and these blocks differed. */
static void slice(uint64_t end, const uint64_t *blocks, unsigned int count)
{
	if (!d->verify.cursor)
		d->verify.pass_mismatches = atomic_load(&d->verify.mismatched_bytes);
	d->verify.end = end;
	d->verify.count = count;
	for (unsigned int i = 0; i < count; i++)
		d->verify.suspect[i] = (struct run){blocks[i] * 65536, 65536};
}

static void committed(bool fuzzy, uint64_t epoch)
{
	verify_committed(d, &(struct verify_commit){epoch, epoch, fuzzy});
}

/* Why the epoch that judges is no recovery point; "" if it may be one. */
static const char *judge(void)
{
	static struct epoch ep;
	struct err e;

	ep.fuzzy[0] = '\0';
	marks = 0;
	ck_assert_int_eq(verify_judge(&ep, d, &map, &e), 0);
	return ep.fuzzy;
}

START_TEST(only_what_nobody_wrote_is_a_mismatch)
{
	static const uint64_t blocks[] = {1, 5, 63};

	ck_assert_uint_eq(d->verify.proven_ns, 7);
	verify_ask(d);
	/* The last granule of block 5 was written after the boundary. */
	bitmap[(5 * 16 + 15) / 8] |= 1u << ((5 * 16 + 15) % 8);
	slice(SIZE, blocks, 3);
	ck_assert_str_eq(judge(), "verification found that it lacks 131072 bytes of fake");
	ck_assert_uint_eq(marks, 2);
	ck_assert_uint_eq(marked[0], 65536);
	ck_assert_uint_eq(marked[1], 63 * 65536);
	ck_assert_uint_eq(atomic_load(&d->verify.mismatched_bytes), 2 * 65536);
	ck_assert_uint_eq(told.offset, 65536);
	ck_assert_uint_eq(told.bytes, 2 * 65536);
	/* It is proven only by a pass that finds nothing. */
	committed(false, 100);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	ck_assert(atomic_load(&d->verify.asked));
	ck_assert_uint_eq(d->verify.cursor, 0);
	slice(SIZE, blocks + 1, 1);
	d->verify.pass_epoch = 3;
	ck_assert_str_eq(judge(), "");
	committed(true, 200);
	ck_assert_uint_eq(d->verify.proven_ns, 200);
	ck_assert_uint_eq(d->verify.proven_epoch, 3);
	ck_assert(!atomic_load(&d->verify.asked));
}
END_TEST

/* Such as swap, when it is no longer in use. */
START_TEST(what_was_left_out_puts_nothing_in_doubt)
{
	static const uint64_t blocks[] = {1, 2, 3};

	left_out_add(&d->left_out, 2 * 65536 + 4096, 3 * 65536 + 4096);
	slice(SIZE, blocks, 3);
	ck_assert_str_eq(judge(), "verification found that it lacks 196608 bytes of fake");
	ck_assert_uint_eq(marks, 3);
	ck_assert_uint_eq(told.offset, 65536);
	ck_assert_uint_eq(told.bytes, 65536);
}
END_TEST

START_TEST(nothing_is_sent_again_before_points_are_in_doubt)
{
	static const uint64_t blocks[] = {1};
	struct epoch ep = {0};
	struct err e;

	slice(SIZE, blocks, 1);
	marks = 0;
	tell_fails = -ECANCELED;
	ck_assert_int_eq(verify_judge(&ep, d, &map, &e), -ECANCELED);
	tell_fails = 0;
	ck_assert_uint_eq(marks, 0);
}
END_TEST

START_TEST(a_pass_is_made_of_slices)
{
	static const uint64_t none[1];

	verify_ask(d);
	slice(SIZE / 2, none, 0);
	judge();
	committed(false, 100);
	ck_assert_uint_eq(d->verify.cursor, SIZE / 2);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	/* The epoch that was to judge it failed: it is read again. */
	slice(SIZE, none, 0);
	verify_abandon(d);
	committed(false, 150);
	ck_assert_uint_eq(d->verify.cursor, SIZE / 2);
	/* More differed than can be remembered: what was found is repaired, and it is read again. */
	slice(SIZE, none, 0);
	d->verify.too_many = true;
	judge();
	committed(false, 160);
	ck_assert_uint_eq(d->verify.cursor, SIZE / 2);
	d->verify.too_many = false;
	slice(SIZE, none, 0);
	judge();
	committed(false, 200);
	ck_assert_uint_eq(d->verify.proven_ns, 200);
	/* A new attachment begins from nothing. */
	slice(SIZE / 2, none, 0);
	committed(false, 300);
	verify_reset(d);
	ck_assert_uint_eq(d->verify.cursor, 0);
}
END_TEST

/* A pass that found nothing ends with this epoch. */
static void end_pass(uint64_t boundary_ns)
{
	static const uint64_t none[1];

	d->verify.again_ns = 0;
	slice(SIZE, none, 0);
	judge();
	committed(true, boundary_ns);
	ck_assert_uint_eq(d->verify.cursor, 0);
}

START_TEST(an_epoch_that_lacks_something_proves_nothing)
{
	bool news;

	verify_ask(d);
	disk_unread_begin(d, false);
	disk_unread(d, 65536, 4096);
	disk_unread_judge(d, &news);
	end_pass(100);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	/* It is still asked for, but not read again and again meanwhile. */
	ck_assert(atomic_load(&d->verify.asked));
	ck_assert_uint_gt(d->verify.again_ns, clock_monotonic_ns());
	disk_unread_begin(d, false);
	disk_unread_judge(d, &news);
	disk_clear_error(d);
	events = SOURCE_SUSPECT;
	end_pass(200);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	ck_assert_uint_gt(d->verify.again_ns, clock_monotonic_ns());
	events = 0;
	atomic_store(&d->put_off, 4096);
	end_pass(250);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	atomic_store(&d->put_off, 0);
	end_pass(300);
	ck_assert_uint_eq(d->verify.proven_ns, 300);
	ck_assert(!atomic_load(&d->verify.asked));
	ck_assert_uint_eq(d->verify.again_ns, 0);
}
END_TEST

/* --- a scanned disk ------------------------------------------------------------------------------------ */

static const struct source_ops scanned_ops = {.name = "fake", .close = fake_close};
static struct source scanned = {.ops = &scanned_ops, .size = SIZE, .shift = 16, .poll_fd = -1};

START_TEST(one_request_forces_one_scan)
{
	disk_set_source(d, &scanned);
	ck_assert(!verify_scan_due(d));
	verify_ask(d);
	ck_assert(verify_scan_due(d));
	verify_scan_begin(d);
	ck_assert(verify_scan(d));
	ck_assert(!verify_scan_due(d));
	/* Something was busy: tried again, when a scan is due anyway. */
	committed(true, 100);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	ck_assert(atomic_load(&d->verify.asked));
	ck_assert(!verify_scan_due(d));
	verify_scan_begin(d);
	ck_assert(verify_scan(d));
	verify_abandon(d);
	committed(false, 150);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	/* Who asks again is not told to wait. */
	verify_ask(d);
	ck_assert(verify_scan_due(d));
	verify_scan_begin(d);
	committed(false, 200);
	ck_assert_uint_eq(d->verify.proven_ns, 200);
	ck_assert(!atomic_load(&d->verify.asked));
	ck_assert(!verify_scan_due(d));
}
END_TEST

START_TEST(a_scan_that_began_before_the_request_proves_nothing)
{
	disk_set_source(d, &scanned);
	verify_scan_begin(d);
	verify_ask(d);
	ck_assert(!verify_scan(d));
	committed(false, 100);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	ck_assert(verify_scan_due(d));
}
END_TEST

/* --- the reading of a slice, without workers --------------------------------------------------------- */

static unsigned int drains, compares;
static int drained;
static bool disk_fails;
static struct session session;

int __wrap_drain_run(struct drain_pool *p, struct drain *dr, void (*beat)(void *arg), void *arg,
		     struct err *e);
void __wrap_compare_begin(struct agent *a, struct disk *disk, uint64_t from, uint64_t to);
void __wrap_compare_end(struct disk *disk);

int __wrap_drain_run(struct drain_pool *p, struct drain *dr, void (*beat)(void *arg), void *arg,
		     struct err *e)
{
	(void)p;
	drains++;
	ck_assert_uint_eq(dr->plan.disk_count, 1);
	ck_assert_int_eq(dr->plan.disks[0].spans[0].mode, PIECE_PROVE);
	ck_assert_uint_eq(dr->plan.disks[0].spans[0].from, d->verify.cursor);
	ck_assert_uint_eq(dr->plan.disks[0].spans[0].to, d->verify.end);
	/* It may take longer than a certificate lives: the beat that renews it. */
	ck_assert(beat == session_drain_beat && arg == &session);
	ck_assert_uint_eq(compares, 1);
	atomic_store(&d->verify.failed, disk_fails);
	return drained ? err_set(e, drained, "no answer") : 0;
}

void __wrap_compare_begin(struct agent *a, struct disk *disk, uint64_t from, uint64_t to)
{
	(void)a;
	ck_assert_ptr_eq(disk, d);
	ck_assert_uint_eq(from, d->verify.cursor);
	ck_assert_uint_eq(to, d->verify.end);
	compares++;
}

void __wrap_compare_end(struct disk *disk)
{
	ck_assert_ptr_eq(disk, d);
	compares--;
}

static struct agent agent;

static void begin_session(void)
{
	test_write(test_path("disk"), "what is read without workers");
	strcpy(d->path, test_path("disk"));
	agent.disks = calloc(1, sizeof(struct disk_table) + sizeof(d));
	ck_assert_ptr_nonnull(agent.disks);
	agent.disks->count = 1;
	agent.disks->disk[0] = d;
	session = (struct session){.a = &agent};
}

START_TEST(a_slice_is_read_before_an_epoch)
{
	struct err e = {0};

	begin_session();
	/* Not asked for, and no rate in the configuration; nor before there is an epoch to compare with. */
	ck_assert_int_eq(verify_slices(&session, &e), 0);
	verify_ask(d);
	ck_assert_int_eq(verify_slices(&session, &e), 0);
	ck_assert_uint_eq(drains, 0);
	session.boundary_ns = 1;
	agent.facts.epoch = 9;
	ck_assert(verify_needs_epoch(&session));
	ck_assert_msg(!verify_slices(&session, &e), "%s", e.text);
	ck_assert_uint_eq(drains, 1);
	ck_assert_uint_eq(d->verify.pass_epoch, 9);
	ck_assert_uint_eq(compares, 0);
	ck_assert_uint_eq(d->verify.end, SIZE);
	/* It waits for the epoch that judges it. */
	ck_assert_int_eq(verify_slices(&session, &e), 0);
	ck_assert_uint_eq(drains, 1);
	verify_abandon(d);
	free(agent.disks);
}
END_TEST

START_TEST(a_disk_that_fails_waits_and_nothing_else_does)
{
	struct err e = {0};

	begin_session();
	session.boundary_ns = 1;
	verify_ask(d);
	/* Called off, or no memory for workers: it is nothing of the disk. */
	drained = -ECANCELED;
	ck_assert_int_eq(verify_slices(&session, &e), -ECANCELED);
	ck_assert_uint_eq(d->verify.end, 0);
	ck_assert_uint_eq(compares, 0);
	ck_assert(verify_needs_epoch(&session));
	/* The appliance does not know the disk any more. */
	drained = -ENOENT;
	disk_fails = true;
	ck_assert_int_eq(verify_slices(&session, &e), 0);
	ck_assert_uint_eq(d->verify.end, 0);
	ck_assert_uint_eq(compares, 0);
	ck_assert(!verify_needs_epoch(&session));
	ck_assert_int_eq(verify_slices(&session, &e), 0);
	ck_assert_uint_eq(drains, 2);
	/* Later it is tried again. */
	drained = 0;
	disk_fails = false;
	d->verify.again_ns = 0;
	ck_assert_int_eq(verify_slices(&session, &e), 0);
	ck_assert_uint_eq(d->verify.end, SIZE);
	free(agent.disks);
}
END_TEST

static void next_slice(uint64_t from, uint64_t to)
{
	struct err e;

	ck_assert_msg(!verify_slices(&session, &e), "%s", e.text);
	ck_assert_uint_eq(d->verify.cursor, from);
	ck_assert_uint_eq(d->verify.end, to);
}

/* At most as much as can differ and be remembered: a disk that is always busy is verified as well. */
START_TEST(less_is_read_where_too_much_differed)
{
	const uint64_t mib = 1 << 20;

	begin_session();
	session.boundary_ns = 1;
	d->size = 1024 * mib;
	verify_ask(d);
	next_slice(0, 256 * mib);
	d->verify.too_many = true;
	committed(false, 100);
	next_slice(0, 64 * mib);
	ck_assert_uint_eq(d->verify.end / WIRE_BLOCK, VERIFY_SUSPECTS);
	committed(false, 100);
	next_slice(64 * mib, 320 * mib);
	committed(false, 100);
	ck_assert_uint_eq(d->verify.cursor, 320 * mib);
	free(agent.disks);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("verify");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, only_what_nobody_wrote_is_a_mismatch);
	tcase_add_test(tc, what_was_left_out_puts_nothing_in_doubt);
	tcase_add_test(tc, nothing_is_sent_again_before_points_are_in_doubt);
	tcase_add_test(tc, a_pass_is_made_of_slices);
	tcase_add_test(tc, an_epoch_that_lacks_something_proves_nothing);
	tcase_add_test(tc, one_request_forces_one_scan);
	tcase_add_test(tc, a_scan_that_began_before_the_request_proves_nothing);
	tcase_add_test(tc, a_slice_is_read_before_an_epoch);
	tcase_add_test(tc, a_disk_that_fails_waits_and_nothing_else_does);
	tcase_add_test(tc, less_is_read_where_too_much_differed);
	return run_tcase("verify", tc);
}
