// SPDX-License-Identifier: Apache-2.0
/* What becomes of the differences that a slice of a tracked disk showed: written since, or a mismatch. */
#include <string.h>

#include "agent/worker.h"
#include "tests/unit/agent/support.h"

#define SHIFT 12
#define SIZE (4u << 20)

static uint64_t marked[16];
static unsigned int marks;

static int fake_mark(struct source *s, uint64_t offset, uint64_t length, struct err *e)
{
	(void)s, (void)e;
	ck_assert_uint_eq(length, 65536);
	marked[marks++] = offset;
	return 0;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops tracked_ops = {.name = "fake",
					      .tracks = true,
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

static void judge(void)
{
	struct err e;

	ck_assert_int_eq(verify_judge(d, &map, &e), 0);
}

START_TEST(only_what_nobody_wrote_is_a_mismatch)
{
	static const uint64_t blocks[] = {1, 5, 63};

	ck_assert_uint_eq(d->verify.proven_ns, 7);
	verify_ask(d);
	/* The last granule of block 5 was written after the boundary. */
	bitmap[(5 * 16 + 15) / 8] |= 1u << ((5 * 16 + 15) % 8);
	slice(SIZE, blocks, 3);
	judge();
	ck_assert_uint_eq(marks, 2);
	ck_assert_uint_eq(marked[0], 65536);
	ck_assert_uint_eq(marked[1], 63 * 65536);
	ck_assert_uint_eq(atomic_load(&d->verify.mismatched_bytes), 2 * 65536);
	/* It is proven only by a pass that finds nothing. */
	verify_committed(d, false, 100);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	ck_assert(atomic_load(&d->verify.asked));
	ck_assert_uint_eq(d->verify.cursor, 0);
	slice(SIZE, blocks + 1, 1);
	judge();
	verify_committed(d, true, 200);
	ck_assert_uint_eq(d->verify.proven_ns, 200);
	ck_assert(!atomic_load(&d->verify.asked));
}
END_TEST

START_TEST(a_pass_is_made_of_slices)
{
	static const uint64_t none[1];

	verify_ask(d);
	slice(SIZE / 2, none, 0);
	judge();
	verify_committed(d, false, 100);
	ck_assert_uint_eq(d->verify.cursor, SIZE / 2);
	ck_assert_uint_eq(d->verify.proven_ns, 7);
	/* The epoch that was to judge it failed: it is read again. */
	slice(SIZE, none, 0);
	verify_abandon(d);
	verify_committed(d, false, 150);
	ck_assert_uint_eq(d->verify.cursor, SIZE / 2);
	/* More differed than can be remembered: what was found is repaired, and it is read again. */
	slice(SIZE, none, 0);
	d->verify.too_many = true;
	judge();
	verify_committed(d, false, 160);
	ck_assert_uint_eq(d->verify.cursor, SIZE / 2);
	d->verify.too_many = false;
	slice(SIZE, none, 0);
	judge();
	verify_committed(d, false, 200);
	ck_assert_uint_eq(d->verify.proven_ns, 200);
	/* A new attachment begins from nothing. */
	slice(SIZE / 2, none, 0);
	verify_committed(d, false, 300);
	verify_reset(d);
	ck_assert_uint_eq(d->verify.cursor, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("verify");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, only_what_nobody_wrote_is_a_mismatch);
	tcase_add_test(tc, a_pass_is_made_of_slices);
	return run_tcase("verify", tc);
}
