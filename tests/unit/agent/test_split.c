// SPDX-License-Identifier: Apache-2.0
/* How a segment that breaks its connections is taken apart, and when it is not. */
#include "agent/split.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/lib/support.h"

#define KIB 1024u
#define EXTENT (64 * KIB)
#define DATA 60 /* extents with data, then one of zeros */
#define NUMBER 5

static struct disk disk = {.name = "a-disk"};
static struct parcel parcel = {.disk = &disk, .epoch = 7, .segment = NUMBER};
static struct split split;
static uint8_t noise[DATA][EXTENT], out[WIRE_EXTENT_DATA_MAX];

static void set_up(void)
{
	fill_noise(noise, sizeof(noise), 1);
	atomic_store(&disk.segments, NUMBER + 1);
	split = (struct split){0};
	parcel.builder = frame_builder_new(SEGMENT_PAYLOAD);
	ck_assert_ptr_nonnull(parcel.builder);
}

static void tear_down(void)
{
	split_clear(&split);
	frame_builder_free(parcel.builder);
}

static void fill(uint16_t version, unsigned int data)
{
	static const uint8_t id[UUID_BYTES] = {1};
	struct codec *c = codec_new();

	frame_builder_version(parcel.builder, version);
	frame_begin(parcel.builder, id, 7, NUMBER);
	for (unsigned int i = 0; i < data; i++)
		ck_assert_int_eq(frame_add_data(parcel.builder, c, WIRE_CODEC_ZSTD, 1, i * EXTENT,
						noise[i], EXTENT),
				 0);
	ck_assert_int_eq(frame_add_zero(parcel.builder, data * EXTENT, 4 * EXTENT), 0);
	codec_free(c);
}

static void fail_midway(void)
{
	for (unsigned int i = 0; i < SPLIT_PATIENCE; i++)
		split_failed(&split, -EHOSTDOWN, split.len / 2);
}

/* The request is a legal segment that goes on where the one before ended; the number of its extents. */
static uint32_t check_request(uint32_t number, uint32_t from)
{
	struct err e = {0};
	struct codec *c = codec_new();
	struct frame f;

	ck_assert_msg(!frame_parse(&f, split.data, split.len, UINT64_MAX, true, &e), "%s", e.text);
	ck_assert_msg(!frame_check(c, &f, out, &e), "%s", e.text);
	ck_assert_uint_eq(f.segment, number);
	ck_assert_uint_eq(split.number, number);
	ck_assert_uint_eq(f.epoch, 7);
	for (uint32_t i = 0; i < f.extent_count; i++) {
		struct frame_extent x;

		frame_get(&f, i, &x);
		ck_assert_uint_eq(x.offset, (uint64_t)(from + i) * EXTENT);
		if (from + i == DATA) {
			ck_assert_int_eq(x.type, WIRE_ZERO);
			ck_assert_uint_eq(x.length, 4 * EXTENT);
			continue;
		}
		ck_assert_int_eq(frame_extract(c, &x, out, &e), 0);
		ck_assert_mem_eq(out, noise[from + i], EXTENT);
	}
	codec_free(c);
	return f.extent_count;
}

/* Sends what is left, every request at the first try; the number of requests. */
static unsigned int send_all(uint32_t number)
{
	unsigned int requests = 0;
	uint32_t from = 0;

	do {
		from += check_request(number, from);
		number = atomic_load(&disk.segments);
		requests++;
	} while (split_next(&split));
	ck_assert_uint_eq(from, DATA + 1);
	return requests;
}

START_TEST(a_network_that_holds_gets_whole_segments)
{
	fill(WIRE_VERSION, DATA);
	split_begin(&split, &parcel);
	ck_assert_uint_eq(send_all(NUMBER), 1);
	ck_assert_uint_eq(atomic_load(&disk.segments), NUMBER + 1);
	ck_assert_ptr_null(split.builder);
}
END_TEST

START_TEST(one_break_or_what_is_no_break_changes_nothing)
{
	const uint8_t *data;
	size_t len;

	fill(WIRE_VERSION, DATA);
	split_begin(&split, &parcel);
	data = split.data;
	len = split.len;
	ck_assert(split_failed(&split, -EHOSTDOWN, 1000));
	for (unsigned int i = 0; i < 100; i++) {
		ck_assert(!split_failed(&split, -EHOSTDOWN, 0)); /* refused, or no way there */
		ck_assert(!split_failed(&split, -EAGAIN, 1000)); /* the appliance is busy */
		ck_assert(!split_failed(&split, -ENOSPC, 1000));
		ck_assert(!split_failed(&split, -EILSEQ, len));
	}
	ck_assert_ptr_eq(split.data, data);
	ck_assert_uint_eq(split.len, len);
}
END_TEST

START_TEST(what_may_be_stored_keeps_its_bytes_for_longer)
{
	fill(WIRE_VERSION, DATA);
	split_begin(&split, &parcel);
	/* All of it went, and the answer was lost, or not. */
	split_failed(&split, -EHOSTDOWN, split.len);
	for (unsigned int i = 2; i < SPLIT_PATIENCE_SENT; i++)
		split_failed(&split, -EHOSTDOWN, 1000);
	ck_assert_uint_eq(check_request(NUMBER, 0), DATA + 1);
	split_failed(&split, -EHOSTDOWN, 1000);
	ck_assert_uint_eq(send_all(NUMBER), 4);
}
END_TEST

START_TEST(a_segment_that_breaks_off_goes_in_parts)
{
	uint16_t version = _i ? WIRE_VERSION : WIRE_VERSION_OLD;
	unsigned int parts;

	fill(version, DATA);
	split_begin(&split, &parcel);
	fail_midway();
	ck_assert_uint_le(split.len, SPLIT_MAX + 4 * KIB);
	ck_assert_uint_lt(check_request(NUMBER, 0), DATA);
	parts = send_all(NUMBER);
	ck_assert_uint_eq(parts, 4);
	ck_assert_uint_eq(atomic_load(&disk.segments), NUMBER + parts);
}
END_TEST

START_TEST(parts_get_smaller_as_long_as_they_break_off)
{
	size_t before;

	fill(WIRE_VERSION, DATA);
	split_begin(&split, &parcel);
	for (before = split.len; fail_midway(), split.len < before; before = split.len)
		;
	/* An extent is not taken apart. */
	ck_assert_uint_eq(check_request(NUMBER, 0), 1);
	/* One by one until they are trusted, then three at a time. */
	ck_assert_uint_eq(send_all(NUMBER), SPLIT_TRUST + (DATA + 1 - SPLIT_TRUST) / 3);
}
END_TEST

/* The parcel again and again until whole segments are sent; the number of requests until then. */
static unsigned int until_whole(void)
{
	unsigned int requests = 0;

	while (split.limit) {
		requests += send_all(NUMBER);
		atomic_store(&disk.segments, NUMBER + 1);
		split_begin(&split, &parcel);
	}
	return requests;
}

START_TEST(parts_grow_when_they_pass)
{
	fill(WIRE_VERSION, DATA);
	split_begin(&split, &parcel);
	fail_midway();
	ck_assert_uint_eq(until_whole(), SPLIT_TRUST);
	/* Whole segments break again: they are trusted later. */
	fail_midway();
	ck_assert_uint_eq(until_whole(), 2 * SPLIT_TRUST);
	/* They pass: what was is forgotten. */
	for (unsigned int i = 0; i < 4 * SPLIT_TRUST; i++) {
		ck_assert_uint_eq(send_all(NUMBER), 1);
		split_begin(&split, &parcel);
	}
	fail_midway();
	ck_assert_uint_eq(until_whole(), SPLIT_TRUST);
}
END_TEST

START_TEST(parts_that_grew_within_a_segment_get_smaller_again)
{
	uint32_t from;

	fill(WIRE_VERSION, DATA);
	split_begin(&split, &parcel);
	fail_midway();
	split.passed = SPLIT_TRUST - 1;
	from = check_request(NUMBER, 0);
	ck_assert(split_next(&split));
	ck_assert_uint_eq(split.limit, 0);
	/* The next segment would go whole; what is left of this one does not pass. */
	fail_midway();
	ck_assert_uint_lt(split.len, SPLIT_MAX / SPLIT_STEP + 4 * KIB);
	ck_assert_uint_eq(check_request(NUMBER + 1, from), 3);
}
END_TEST

START_TEST(a_short_segment_is_parted_too)
{
	fill(WIRE_VERSION, 3);
	split_begin(&split, &parcel);
	fail_midway();
	ck_assert_uint_eq(check_request(NUMBER, 0), 1);
}
END_TEST

START_TEST(thousands_of_zeros_are_parted_by_their_table)
{
	static const uint8_t id[UUID_BYTES] = {1};
	struct frame f;
	struct err e;

	frame_begin(parcel.builder, id, 7, NUMBER);
	for (unsigned int i = 0; i < WIRE_EXTENTS_MAX; i++)
		ck_assert_int_eq(frame_add_zero(parcel.builder, i * 8192ull, 4096), 0);
	split_begin(&split, &parcel);
	fail_midway();
	ck_assert_uint_le(split.len, SPLIT_MAX + 4 * KIB);
	ck_assert_int_eq(frame_parse(&f, split.data, split.len, UINT64_MAX, true, &e), 0);
	ck_assert_uint_eq(f.extent_count, SPLIT_MAX / WIRE_EXTENT_BYTES);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("split");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_network_that_holds_gets_whole_segments);
	tcase_add_test(tc, one_break_or_what_is_no_break_changes_nothing);
	tcase_add_test(tc, what_may_be_stored_keeps_its_bytes_for_longer);
	tcase_add_loop_test(tc, a_segment_that_breaks_off_goes_in_parts, 0, 2);
	tcase_add_test(tc, parts_get_smaller_as_long_as_they_break_off);
	tcase_add_test(tc, parts_grow_when_they_pass);
	tcase_add_test(tc, parts_that_grew_within_a_segment_get_smaller_again);
	tcase_add_test(tc, a_short_segment_is_parted_too);
	tcase_add_test(tc, thousands_of_zeros_are_parted_by_their_table);
	return run_tcase("split", tc);
}
