// SPDX-License-Identifier: Apache-2.0
/*
 * What a worker makes of a piece, with a disk in memory in place of a source. No segment is ever
 * full here, so nothing is sent: the segment is taken out of the builder and read with the
 * library's parser.
 */
#include <errno.h>
#include <string.h>

#include "agent/worker.h"
#include "lib/cleanup.h"
#include "tests/unit/agent/support.h"

#define SIZE (3u << 20)
#define GRANULE_SHIFT 14
#define GRANULE (1u << GRANULE_SHIFT)

struct fake {
	struct source source;
	uint8_t *content;
	uint64_t bad_from, bad_to; /* cannot be read */
	uint64_t marked_from, marked_bytes;
	unsigned int reads, failed;
};

static int fake_read(struct source *s, struct reader *via, void *buf, size_t len, uint64_t offset)
{
	struct fake *f = (struct fake *)s;

	(void)via;
	f->reads++;
	ck_assert_uint_le(offset + len, s->size);
	ck_assert_uint_eq(offset % (1u << s->shift), 0);
	if (offset < f->bad_to && offset + len > f->bad_from) {
		f->failed++;
		return -EIO;
	}
	memcpy(buf, f->content + offset, len);
	return 0;
}

static int fake_mark(struct source *s, uint64_t offset, uint64_t length, struct err *e)
{
	struct fake *f = (struct fake *)s;

	(void)e;
	if (!f->marked_bytes)
		f->marked_from = offset;
	f->marked_bytes += length;
	return 0;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops tracked_ops = {
	.name = "fake", .tracks = true, .read = fake_read, .mark = fake_mark, .close = fake_close};
static const struct source_ops scanned_ops = {
	.name = "fake", .tracks = false, .read = fake_read, .mark = fake_mark, .close = fake_close};

static struct agent agent;
static struct worker worker;
static struct senders *senders;
static struct fake fake;
static struct disk *disk;

static bool never(void *arg)
{
	(void)arg;
	return false;
}

static void set_up(const struct source_ops *ops, unsigned int shift)
{
	struct state_disk from = {.key = "path:/fake", .name = "fake", .path = "/dev/fake"};
	struct err e;

	agent.config.compression = WIRE_CODEC_ZSTD;
	agent.config.compression_level = 1;
	fake.source = (struct source){.ops = ops, .size = SIZE, .shift = shift, .poll_fd = -1};
	fake.content = calloc(1, SIZE);
	srandom(3);
	for (size_t i = 0; i < SIZE; i++)
		fake.content[i] = (uint8_t)random();
	memset(fake.content + (1 << 20), 0, 1 << 20);
	disk = disk_new(&from);
	disk_set_source(disk, &fake.source);
	/* No connection, so no sender: parcels only. */
	agent.config.workers = 1;
	agent.segment_version = WIRE_VERSION;
	agent.codecs = 1u << WIRE_CODEC_NONE | 1u << WIRE_CODEC_ZSTD;
	ck_assert_int_eq(senders_new(&agent, &(struct sender_events){.given_up = never}, &senders,
				     &e),
			 0);
	worker = (struct worker){.given_up = never, .senders = senders, .epoch = 5};
	ck_assert_int_eq(worker_init(&worker, &agent, &e), 0);
}

static void tear_down(void)
{
	worker_clear(&worker);
	senders_free(senders);
	disk_free(disk);
	free(fake.content);
}

/*
 * Read the segment that was begun; every extent is checked against the disk. Returns the bytes
 * that it covers.
 */
static uint64_t check_segment(uint8_t *covered)
{
	_cleanup_(codec_freep) struct codec *codec = codec_new();
	static uint8_t buf[WIRE_EXTENT_DATA_MAX];
	const uint8_t *data;
	struct frame_extent x;
	uint64_t sum = 0;
	struct frame f;
	struct err e = {0};
	size_t len;

	frame_finish(worker.open->builder, &data, &len);
	ck_assert_msg(!frame_parse(&f, data, len, SIZE, true, &e), "%s", e.text);
	ck_assert_uint_eq(f.epoch, 5);
	for (uint32_t i = 0; i < f.extent_count; i++) {
		frame_get(&f, i, &x);
		sum += x.length;
		memset(covered + x.offset / 512, 1, x.length / 512);
		if (x.type == WIRE_ZERO) {
			ck_assert(mem_is_zero(fake.content + x.offset, x.length));
			continue;
		}
		ck_assert_int_eq(frame_extract(codec, &x, buf, &e), 0);
		ck_assert_mem_eq(buf, fake.content + x.offset, x.length);
	}
	return sum;
}

START_TEST(what_is_dirty_is_sent)
{
	static uint8_t covered[SIZE / 512];
	struct piece p = {.owner = disk,
			  .mode = PIECE_SEND,
			  .run_count = 3,
			  .run = {{GRANULE, GRANULE},
				  {(1 << 20) - GRANULE, (1 << 20) + 2 * GRANULE},
				  {SIZE - GRANULE, GRANULE}}};
	uint64_t want = 4ull * GRANULE + (1 << 20);
	struct err e = {0};

	set_up(&tracked_ops, GRANULE_SHIFT);
	p.owner = disk;
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	ck_assert_uint_eq(check_segment(covered), want);
	ck_assert_uint_eq(atomic_load(&disk->drained), want);
	ck_assert_uint_eq(atomic_load(&agent.totals.zero_bytes), 1 << 20);
	ck_assert_uint_eq(atomic_load(&agent.totals.data_bytes), 4 * GRANULE);
	for (unsigned int i = 0; i < 3; i++)
		ck_assert_ptr_null(
			memchr(covered + p.run[i].offset / 512, 0, p.run[i].length / 512));
	/* Nothing was said to be there that was not asked for. */
	ck_assert_int_eq(covered[0], 0);
	ck_assert_int_eq(covered[2 * GRANULE / 512], 0);
	tear_down();
}
END_TEST

/* The codec of the extent of data in the segment of text that this appliance gets. */
static enum wire_codec codec_for(uint16_t version, uint32_t codecs)
{
	struct piece p = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, WIRE_BLOCK}}};
	struct frame_extent x;
	const uint8_t *data;
	struct frame f;
	struct err e = {0};
	size_t len;

	set_up(&tracked_ops, GRANULE_SHIFT);
	agent.segment_version = version;
	agent.codecs = codecs;
	for (size_t i = 0; i < WIRE_BLOCK; i++)
		fake.content[i] = (uint8_t) "much the same "[i % 14];
	p.owner = disk;
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	frame_finish(worker.open->builder, &data, &len);
	ck_assert_msg(!frame_parse(&f, data, len, SIZE, true, &e), "%s", e.text);
	ck_assert_uint_eq(f.version, version);
	frame_get(&f, 0, &x);
	tear_down();
	return x.codec;
}

START_TEST(an_appliance_gets_what_it_can_read)
{
	ck_assert_int_eq(codec_for(WIRE_VERSION, ~0u), WIRE_CODEC_ZSTD);
	ck_assert_int_eq(codec_for(WIRE_VERSION_OLD, ~0u), WIRE_CODEC_ZSTD);
	ck_assert_int_eq(codec_for(WIRE_VERSION, 1u << WIRE_CODEC_NONE), WIRE_CODEC_NONE);
	ck_assert_int_eq(codec_for(WIRE_VERSION_OLD, 1u << WIRE_CODEC_NONE), WIRE_CODEC_NONE);
}
END_TEST

START_TEST(what_cannot_be_read_stays_dirty)
{
	static uint8_t covered[SIZE / 512];
	struct piece p = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, 1 << 20}}};
	struct err e = {0};

	set_up(&tracked_ops, GRANULE_SHIFT);
	p.owner = disk;
	fake.bad_from = 3 * GRANULE + 512;
	fake.bad_to = 5 * GRANULE - 512;
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	/* All that can be read went; the two granules were marked again and are told. */
	ck_assert_uint_eq(check_segment(covered), (1 << 20) - 2 * GRANULE);
	ck_assert_uint_eq(fake.marked_from, 3 * GRANULE);
	ck_assert_uint_eq(fake.marked_bytes, 2 * GRANULE);
	ck_assert_uint_eq(disk->unread.bytes, 2 * GRANULE);
	ck_assert_str_eq(disk->error, "32768 bytes at offset 49152 of /dev/fake cannot be read");
	ck_assert_int_eq(covered[3 * GRANULE / 512], 0);
	tear_down();
}
END_TEST

/* As many extents as an epoch takes of a disk: what comes after is marked for the next one, unread. */
START_TEST(what_has_no_room_comes_with_the_next_epoch)
{
	static uint8_t covered[SIZE / 512];
	struct piece p = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, SIZE}}};
	struct err e = {0};

	set_up(&tracked_ops, GRANULE_SHIFT);
	p.owner = disk;
	atomic_store(&disk->extents, WORKER_EXTENTS - 20);
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	/* It is looked at for each 1 MiB, of 16 extents. */
	ck_assert_uint_eq(check_segment(covered), 2 << 20);
	ck_assert_uint_eq(atomic_load(&disk->extents), WORKER_EXTENTS + 12);
	ck_assert_uint_eq(fake.marked_from, 2 << 20);
	ck_assert_uint_eq(fake.marked_bytes, 1 << 20);
	ck_assert_uint_eq(atomic_load(&disk->put_off), 1 << 20);
	ck_assert_uint_eq(fake.reads, 2);
	ck_assert(!disk_has_unread(disk));
	tear_down();
}
END_TEST

/* The next scan finds that it differs. */
START_TEST(a_scan_without_room_learns_nothing)
{
	static uint8_t covered[SIZE / 512];
	struct piece p = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, SIZE}}};
	struct piece again = {.mode = PIECE_COMPARE, .run_count = 1, .run = {{0, SIZE}}};
	struct err e = {0};

	set_up(&scanned_ops, 16);
	p.owner = again.owner = disk;
	scan_digests_begin(disk->digests);
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	worker_forget(&worker);
	fake.content[200000] ^= 1;
	atomic_store(&disk->extents, WORKER_EXTENTS);
	ck_assert_msg(!worker_piece(&worker, &again, &e), "%s", e.text);
	ck_assert_ptr_null(worker.open);
	ck_assert_uint_eq(atomic_load(&disk->put_off), SIZE);
	atomic_store(&disk->extents, 0);
	ck_assert_msg(!worker_piece(&worker, &again, &e), "%s", e.text);
	ck_assert_uint_eq(check_segment(covered), WIRE_BLOCK);
	ck_assert_int_eq(covered[200000 / 512], 1);
	tear_down();
}
END_TEST

START_TEST(a_scan_sends_what_differs_and_learns)
{
	static uint8_t covered[SIZE / 512];
	struct piece p = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, SIZE}}};
	struct piece again = {.mode = PIECE_COMPARE, .run_count = 1, .run = {{0, SIZE}}};
	struct err e = {0};

	set_up(&scanned_ops, 16);
	p.owner = again.owner = disk;
	scan_digests_begin(disk->digests);
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	ck_assert_uint_eq(check_segment(covered), SIZE);
	worker_forget(&worker);
	/* One byte changes in one block, a block of data becomes zero. */
	fake.content[200000] ^= 1;
	memset(fake.content + 5 * WIRE_BLOCK, 0, WIRE_BLOCK);
	memset(covered, 0, sizeof(covered));
	ck_assert_msg(!worker_piece(&worker, &again, &e), "%s", e.text);
	ck_assert_uint_eq(check_segment(covered), 2 * WIRE_BLOCK);
	ck_assert_int_eq(covered[200000 / 512], 1);
	ck_assert_int_eq(covered[5 * WIRE_BLOCK / 512], 1);
	ck_assert_uint_eq(atomic_load(&agent.totals.unchanged_bytes), SIZE - 2 * WIRE_BLOCK);
	worker_forget(&worker);
	/* Nothing changed since: no segment is begun, no number is taken. */
	atomic_store(&disk->segments, 0);
	ck_assert_msg(!worker_piece(&worker, &again, &e), "%s", e.text);
	ck_assert_ptr_null(worker.open);
	ck_assert_uint_eq(atomic_load(&disk->segments), 0);
	tear_down();
}
END_TEST

/* Where a tracked disk could not be read it is spared for a while, and what is beside it is not; somebody who waits has it tried. */
START_TEST(what_failed_is_not_read_each_time)
{
	static uint8_t covered[SIZE / 512];
	struct piece p = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, SIZE}}};
	unsigned int failed;
	struct err e = {0};
	bool news;

	set_up(&tracked_ops, GRANULE_SHIFT);
	p.owner = disk;
	fake.bad_from = 5 * GRANULE + 512;
	fake.bad_to = 6 * GRANULE;
	for (int now = 0; now < 3; now++) {
		memset(covered, 0, sizeof(covered));
		failed = fake.failed;
		disk_unread_begin(disk, now == 2);
		ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
		ck_assert_uint_eq(check_segment(covered), SIZE - GRANULE);
		ck_assert_int_eq(covered[5 * GRANULE / 512], 0);
		ck_assert_uint_eq(disk_unread_judge(disk, &news), GRANULE);
		ck_assert(news == !now);
		ck_assert_uint_eq(fake.marked_bytes, (now + 1) * GRANULE);
		ck_assert((fake.failed > failed) == (now != 1));
		worker_forget(&worker);
	}
	/* It can be read again: that is found out when it is tried. */
	fake.bad_from = fake.bad_to = 0;
	memset(covered, 0, sizeof(covered));
	disk_unread_begin(disk, true);
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	ck_assert_uint_eq(check_segment(covered), SIZE);
	ck_assert_uint_eq(disk_unread_judge(disk, &news), 0);
	tear_down();
}
END_TEST

/* What the second reading cannot read is not proven: the epoch knows it. */
START_TEST(a_second_reading_that_fails_proves_nothing)
{
	struct piece first = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, SIZE}}};
	struct piece second = {.mode = PIECE_VERIFY, .run_count = 1, .run = {{0, SIZE}}};
	struct err e = {0};
	bool news;

	set_up(&scanned_ops, 16);
	first.owner = second.owner = disk;
	scan_digests_begin(disk->digests);
	disk_unread_begin(disk, false);
	ck_assert_msg(!worker_piece(&worker, &first, &e), "%s", e.text);
	worker_forget(&worker);
	ck_assert(!disk_has_unread(disk));
	fake.bad_from = 3 * WIRE_BLOCK + 4096;
	fake.bad_to = 4 * WIRE_BLOCK + 512;
	ck_assert_msg(!worker_piece(&worker, &second, &e), "%s", e.text);
	ck_assert(disk_has_unread(disk));
	ck_assert_uint_eq(atomic_load(&disk->changed_at), UINT64_MAX);
	ck_assert_str_eq(disk->error, "131072 bytes at offset 196608 of /dev/fake cannot be read");
	ck_assert_uint_eq(disk_unread_judge(disk, &news), 2 * WIRE_BLOCK);
	disk_unread_begin(disk, false);
	fake.bad_to = fake.bad_from = 0;
	ck_assert_msg(!worker_piece(&worker, &second, &e), "%s", e.text);
	ck_assert(!disk_has_unread(disk));
	ck_assert_uint_eq(atomic_load(&disk->changed_at), UINT64_MAX);
	tear_down();
}
END_TEST

/* Of a chunk with a bad block all others are sent, once; the epoch knows that it has not seen all. */
START_TEST(a_scan_leaves_out_what_cannot_be_read)
{
	static uint8_t covered[SIZE / 512];
	struct piece p = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, SIZE}}};
	struct piece again = {.mode = PIECE_COMPARE, .run_count = 1, .run = {{0, SIZE}}};
	struct piece second = {.mode = PIECE_VERIFY, .run_count = 1, .run = {{0, SIZE}}};
	uint8_t digest[DIGEST_BYTES];
	struct err e = {0};
	bool news;

	set_up(&scanned_ops, 16);
	p.owner = again.owner = second.owner = disk;
	fake.bad_from = 3 * WIRE_BLOCK + 4096;
	fake.bad_to = 4 * WIRE_BLOCK + 512;
	scan_digests_begin(disk->digests);
	disk_unread_begin(disk, false);
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	ck_assert_uint_eq(check_segment(covered), SIZE - 2 * WIRE_BLOCK);
	ck_assert_int_eq(covered[3 * WIRE_BLOCK / 512], 0);
	ck_assert_int_eq(covered[5 * WIRE_BLOCK / 512], 1);
	ck_assert_str_eq(disk->error, "131072 bytes at offset 196608 of /dev/fake cannot be read");
	ck_assert_uint_eq(disk_unread_judge(disk, &news), 2 * WIRE_BLOCK);
	ck_assert(news);
	ck_assert_uint_eq(atomic_load(&disk->drained), SIZE);
	worker_forget(&worker);
	/* When it can be read again the second reading has nothing to go by. */
	fake.bad_to = fake.bad_from = 0;
	ck_assert_int_eq(worker_piece(&worker, &second, &e), 0);
	ck_assert_uint_ne(atomic_load(&disk->changed_at), UINT64_MAX);
	/* What was learnt need not be asked for, and only what was missing goes. */
	for (uint64_t at = 0; at < SIZE; at += WIRE_BLOCK)
		ck_assert(scan_digests_known(disk->digests, at, WIRE_BLOCK, digest) ==
			  (at != 3 * WIRE_BLOCK && at != 4 * WIRE_BLOCK));
	memset(digest, 1, sizeof(digest));
	scan_digests_learn(disk->digests, 3 * WIRE_BLOCK, digest);
	scan_digests_learn(disk->digests, 4 * WIRE_BLOCK, digest);
	memset(covered, 0, sizeof(covered));
	disk_unread_begin(disk, false);
	ck_assert_msg(!worker_piece(&worker, &again, &e), "%s", e.text);
	ck_assert_uint_eq(check_segment(covered), 2 * WIRE_BLOCK);
	ck_assert_uint_eq(disk_unread_judge(disk, &news), 0);
	tear_down();
}
END_TEST

START_TEST(the_second_reading_sees_a_change)
{
	struct piece first = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, SIZE}}};
	struct piece second = {.mode = PIECE_VERIFY, .run_count = 1, .run = {{0, SIZE}}};
	struct err e = {0};

	set_up(&scanned_ops, 16);
	first.owner = second.owner = disk;
	scan_digests_begin(disk->digests);
	ck_assert_int_eq(worker_piece(&worker, &first, &e), 0);
	ck_assert_int_eq(worker_piece(&worker, &second, &e), 0);
	ck_assert_uint_eq(atomic_load(&disk->changed_at), UINT64_MAX);
	fake.content[SIZE - 1] ^= 0x80;
	ck_assert_int_eq(worker_piece(&worker, &second, &e), 0);
	ck_assert_uint_ne(atomic_load(&disk->changed_at), UINT64_MAX);
	/* A chunk that the first reading did not reach proves nothing. */
	fake.content[SIZE - 1] ^= 0x80;
	atomic_store(&disk->changed_at, UINT64_MAX);
	scan_digests_begin(disk->digests);
	ck_assert_int_eq(worker_piece(&worker, &second, &e), 0);
	ck_assert_uint_ne(atomic_load(&disk->changed_at), UINT64_MAX);
	tear_down();
}
END_TEST

START_TEST(what_the_appliance_has_is_forgotten_at_a_failure)
{
	uint8_t digest[DIGEST_BYTES], out[4 * DIGEST_BYTES];
	struct scan_digests *s = scan_digests_new(SCAN_KNOWN_MAX + SCAN_CHUNK);
	bool zero;

	scan_block_digest("abcd", 4, digest, &zero);
	ck_assert(!zero);
	for (uint64_t at = 0; at < 4 * WIRE_BLOCK; at += WIRE_BLOCK)
		scan_digests_learn(s, at, digest);
	ck_assert(scan_digests_known(s, 0, 4 * WIRE_BLOCK, out));
	ck_assert_mem_eq(out + 3 * DIGEST_BYTES, digest, DIGEST_BYTES);
	ck_assert(!scan_digests_known(s, WIRE_BLOCK, 4 * WIRE_BLOCK, out));
	/* Beyond what is remembered the appliance is asked. */
	scan_digests_learn(s, SCAN_KNOWN_MAX, digest);
	ck_assert(!scan_digests_known(s, SCAN_KNOWN_MAX, WIRE_BLOCK, out));
	scan_digests_forget(s);
	ck_assert(!scan_digests_known(s, 0, WIRE_BLOCK, out));
	scan_digests_free(s);
	/* Without memory for it nothing is known, and nothing is proven. */
	ck_assert(!scan_digests_known(NULL, 0, WIRE_BLOCK, out));
	ck_assert(!scan_digests_same(NULL, 0, digest, sizeof(digest)));
}
END_TEST

/* Two chunks are one group here, read in any order; the last one tells. */
START_TEST(a_large_disk_is_compared_by_groups)
{
	struct scan_digests *s = scan_digests_new(2ull * SCAN_GROUPS_MAX * SCAN_CHUNK);
	uint8_t a[DIGEST_BYTES] = {1}, b[DIGEST_BYTES] = {2};

	ck_assert_ptr_nonnull(s);
	scan_digests_begin(s);
	scan_digests_saw(s, SCAN_CHUNK, b, sizeof(b));
	scan_digests_saw(s, 0, a, sizeof(a));
	ck_assert(scan_digests_same(s, 0, a, sizeof(a)));
	ck_assert(scan_digests_same(s, SCAN_CHUNK, b, sizeof(b)));
	/* Exchanged contents are a change. */
	scan_digests_begin(s);
	scan_digests_saw(s, 0, a, sizeof(a));
	scan_digests_saw(s, SCAN_CHUNK, b, sizeof(b));
	ck_assert(scan_digests_same(s, SCAN_CHUNK, a, sizeof(a)));
	ck_assert(!scan_digests_same(s, 0, b, sizeof(b)));
	/* So is a chunk that the first reading did not reach. */
	scan_digests_begin(s);
	scan_digests_saw(s, 0, a, sizeof(a));
	ck_assert(scan_digests_same(s, 0, a, sizeof(a)));
	ck_assert(!scan_digests_same(s, SCAN_CHUNK, b, sizeof(b)));
	scan_digests_free(s);
}
END_TEST

static bool all_hole(struct source *s, struct reader *via, uint64_t offset, size_t len)
{
	(void)via;
	return offset + len <= s->size;
}

START_TEST(a_hole_is_sent_unread)
{
	static const struct source_ops ops = {.name = "fake",
					      .read = fake_read,
					      .hole = all_hole,
					      .mark = fake_mark,
					      .close = fake_close};
	static uint8_t covered[SIZE / 512];
	struct piece p = {.mode = PIECE_SEND, .run_count = 1, .run = {{0, SIZE}}};
	struct piece again = {.mode = PIECE_VERIFY, .run_count = 1, .run = {{0, SIZE}}};
	struct err e = {0};

	set_up(&ops, 16);
	p.owner = again.owner = disk;
	memset(fake.content, 0, SIZE);
	fake.reads = 0;
	ck_assert_msg(!worker_piece(&worker, &p, &e), "%s", e.text);
	ck_assert_uint_eq(check_segment(covered), SIZE);
	ck_assert_msg(!worker_piece(&worker, &again, &e), "%s", e.text);
	ck_assert_uint_eq(fake.reads, 0);
	ck_assert_uint_eq(atomic_load(&agent.totals.zero_bytes), SIZE);
	ck_assert_uint_eq(atomic_load(&disk->changed_at), UINT64_MAX);
	tear_down();
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("worker");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_is_dirty_is_sent);
	tcase_add_test(tc, an_appliance_gets_what_it_can_read);
	tcase_add_test(tc, what_cannot_be_read_stays_dirty);
	tcase_add_test(tc, what_has_no_room_comes_with_the_next_epoch);
	tcase_add_test(tc, a_scan_without_room_learns_nothing);
	tcase_add_test(tc, a_scan_sends_what_differs_and_learns);
	tcase_add_test(tc, a_scan_leaves_out_what_cannot_be_read);
	tcase_add_test(tc, a_second_reading_that_fails_proves_nothing);
	tcase_add_test(tc, what_failed_is_not_read_each_time);
	tcase_add_test(tc, the_second_reading_sees_a_change);
	tcase_add_test(tc, what_the_appliance_has_is_forgotten_at_a_failure);
	tcase_add_test(tc, a_large_disk_is_compared_by_groups);
	tcase_add_test(tc, a_hole_is_sent_unread);
	return run_tcase("worker", tc);
}
