// SPDX-License-Identifier: Apache-2.0
/* What a worker makes of a slice of a tracked disk: suspects, and what cannot be read. */
/* wraps: compare_expected */
#include <errno.h>
#include <string.h>

#include "agent/compare.h"
#include "agent/worker.h"
#include "tests/unit/agent/support.h"

#define SIZE (4u << 20)
#define BAD (17ull * 65536 + 4096) /* 4 KiB that cannot be read */
#define DIFFERS (20ull * 65536)

static unsigned int failed, marks;
static int answer; /* of the appliance, when it is asked */
static uint64_t marked;
static struct agent agent;
static struct disk *d;

static int fake_mark(struct source *s, uint64_t offset, uint64_t length, struct err *e)
{
	(void)s, (void)e;
	ck_assert_uint_eq(length, WIRE_BLOCK);
	marked = offset;
	marks++;
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
static struct source source = {.ops = &tracked_ops, .size = SIZE, .shift = 12, .poll_fd = -1};

int __wrap_compare_expected(struct worker *w, struct disk *disk, uint64_t offset, size_t len,
			    const uint8_t *own, uint8_t *expected, struct err *e);

int __wrap_compare_expected(struct worker *w, struct disk *disk, uint64_t offset, size_t len,
			    const uint8_t *own, uint8_t *expected, struct err *e)
{
	(void)w;
	ck_assert_ptr_eq(disk, d);
	if (answer)
		return err_set(e, answer, "refused");
	memcpy(expected, own, len / WIRE_BLOCK * DIGEST_BYTES);
	if (offset <= DIFFERS && DIFFERS < offset + len)
		expected[(DIFFERS - offset) / WIRE_BLOCK * DIGEST_BYTES] ^= 1;
	return 0;
}

static int live_read(struct source *s, struct reader *via, void *buf, size_t len, uint64_t offset)
{
	(void)s;
	(void)via;
	if (offset < BAD + 4096 && BAD < offset + len) {
		failed++;
		return -EIO;
	}
	memset(buf, 1, len);
	return 0;
}

static const struct source_ops live_ops = {.read = live_read, .close = fake_close};
static struct source live = {.ops = &live_ops};

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static int prove(void)
{
	static const struct run all = {0, SIZE};
	static uint8_t own[WORKER_READ_BYTES / WIRE_BLOCK * DIGEST_BYTES], theirs[sizeof(own)];
	struct worker w = {.agent = &agent, .given_up = never, .own = own, .theirs = theirs};
	struct err e = {0};
	int r;

	d->verify.count = marks = failed = 0;
	r = verify_prove(&w, d, &all, &e);
	free(w.buf);
	return r;
}

static void set_up(void)
{
	struct state_disk from = {.key = "path:/fake", .name = "fake"};

	d = disk_new(&from);
	disk_set_source(d, &source);
	d->verify.live = &live;
}

static void tear_down(void)
{
	disk_free(d);
}

START_TEST(what_cannot_be_read_is_marked_and_all_else_compared)
{
	static struct skip_range swap = {.from = 16 * WIRE_BLOCK, .to = 18 * WIRE_BLOCK};
	bool news;

	ck_assert_int_eq(prove(), 0);
	ck_assert_uint_eq(failed, 2);
	ck_assert_uint_eq(marks, 1);
	ck_assert_uint_eq(marked, 17 * WIRE_BLOCK);
	ck_assert_uint_eq(d->verify.count, 1);
	ck_assert_uint_eq(d->verify.suspect[0].offset, DIFFERS);
	/* Where the epoch has just failed nothing is tried. */
	disk_unread_begin(d, false);
	disk_unread(d, BAD, 4096);
	disk_unread_judge(d, &news);
	ck_assert_int_eq(prove(), 0);
	ck_assert_uint_eq(failed, 0);
	ck_assert_uint_eq(marks, 1);
	ck_assert_uint_eq(d->verify.count, 1);
	/* What is left out by design need not be readable. */
	d->verify.left_out = (struct skip_set){.range = &swap, .count = 1};
	ck_assert_int_eq(prove(), 0);
	ck_assert_uint_eq(marks, 0);
	ck_assert_uint_eq(d->verify.count, 1);
	d->verify.left_out = (struct skip_set){0};
}
END_TEST

START_TEST(the_disk_that_fails_is_known)
{
	answer = -ECANCELED;
	ck_assert_int_eq(prove(), -ECANCELED);
	ck_assert(!atomic_load(&d->verify.failed));
	answer = -ENOENT;
	ck_assert_int_eq(prove(), -ENOENT);
	ck_assert(atomic_load(&d->verify.failed));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("verify_prove");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, what_cannot_be_read_is_marked_and_all_else_compared);
	tcase_add_test(tc, the_disk_that_fails_is_known);
	return run_tcase("verify_prove", tc);
}
