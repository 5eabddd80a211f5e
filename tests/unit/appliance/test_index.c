/* SPDX-License-Identifier: Apache-2.0 */
/* The index of an epoch: what order the segments came in, how they interleave, how many extents there are, and what it takes to make it. */
/* wraps: store_write */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "appliance/harm.h"
#include "appliance/index.h"
#include "appliance/names.h"
#include "appliance/point.h"
#include "lib/cleanup.h"
#include "tests/unit/appliance/helpers.h"

#define SECTOR 512u
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEASURABLE false
#define MANY (1u << 17)
#else
#define MEASURABLE true
#define MANY (1u << 20)
#endif

int __real_store_write(struct store_object *o, const void *buf, size_t len, uint64_t off,
		       struct err *e);
int __wrap_store_write(struct store_object *o, const void *buf, size_t len, uint64_t off,
		       struct err *e);

static char *dir;
static struct home home;
static bool keep_nothing;

/* What is only counted takes no space. */
int __wrap_store_write(struct store_object *o, const void *buf, size_t len, uint64_t off,
		       struct err *e)
{
	return keep_nothing ? 0 : __real_store_write(o, buf, len, off, e);
}

static void setup(void)
{
	dir = scratch_make();
	home_make(&home, dir);
	keep_nothing = false;
}

static void teardown(void)
{
	home_close(&home);
	scratch_remove(dir);
}

static struct journal *open_epoch(uint64_t epoch)
{
	char name[STORE_NAME_MAX];
	struct journal *j;
	struct err e;

	name_journal(name, MACHINE, DISK, epoch);
	ck_assert_msg(journal_open(home.store, name, 0, &j, &e) == 0, "%s", e.text);
	return j;
}

/* A segment of `count` zero extents of a sector, each `step` sectors behind the one before. */
static int append(struct journal *j, uint64_t epoch, uint32_t number, uint64_t from, uint64_t step,
		  size_t count, struct err *e)
{
	struct part *parts = calloc(count, sizeof(*parts));
	uint8_t *segment;
	size_t len;
	int rc;

	for (size_t i = 0; i < count; i++)
		parts[i] = (struct part){(from + i * step) * SECTOR, SECTOR, NULL};
	segment = segment_make(DISK, epoch, number, parts, count, &len);
	rc = segment_append(j, segment, len, e);
	free(segment);
	free(parts);
	return rc;
}

static struct index_of end_epoch(struct journal *j, uint64_t epoch, uint64_t segments)
{
	struct index_of of = {home.store, MACHINE, DISK, epoch, segments, journal_bytes(j)};

	journal_close(j);
	return of;
}

static int by_offset(const void *a, const void *b)
{
	const struct index_entry *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int note(void *arg, uint64_t at, const struct frame *f, const void *data, struct err *e)
{
	struct index *ix = arg;
	uint64_t payload = at + WIRE_HEADER_BYTES + f->extent_count * WIRE_EXTENT_BYTES;
	struct frame_extent x;

	(void)data;
	(void)e;
	for (uint32_t i = 0; i < f->extent_count; i++) {
		frame_get(f, i, &x);
		ix->entries[ix->count] = (struct index_entry){
			.offset = x.offset,
			.length = x.length,
			.at = payload,
			.stored_len = x.stored_len,
			.type = (uint8_t)x.type,
			.codec = (uint8_t)x.codec,
		};
		memcpy(ix->entries[ix->count++].digest, x.digest, DIGEST_BYTES);
		payload += x.stored_len;
	}
	return 0;
}

/* The plain way: all of them, sorted. */
static void expect(const struct index_of *of, size_t room, struct index *ix)
{
	_cleanup_(store_closep) struct store_object *o = NULL;
	char name[STORE_NAME_MAX];
	struct err e;
	uint64_t at;

	*ix = (struct index){.entries = calloc(room, sizeof(*ix->entries))};
	ck_assert_int_eq(store_open(home.store, name_journal(name, MACHINE, DISK, of->epoch),
				    STORE_READ, &o, &e),
			 0);
	ck_assert_int_eq(journal_walk(o, of->bytes, JOURNAL_HEADS, note, ix, &at, &e), 0);
	qsort(ix->entries, ix->count, sizeof(*ix->entries), by_offset);
}

/* Every entry is found by its offset, and nothing between them; the journal makes the same, and of what it does not make the file is none. */
static void check_file(const struct index_of *of, const struct index *want)
{
	struct index_entry n;
	struct index_file *f;
	char name[STORE_NAME_MAX];
	struct err e;

	ck_assert_int_eq(index_open(of, &f, &e), 0);
	for (size_t i = 0; i < want->count; i++) {
		size_t k = i % 2 ? i : (i * 7919) % want->count;
		int rc = index_find(f, want->entries[k].offset, &n, &e);

		if (rc != 1 || memcmp(&n, &want->entries[k], sizeof(n)) ||
		    index_find(f, want->entries[k].offset + 1, &n, &e) != 0)
			ck_abort_msg("entry %zu", k);
	}
	ck_assert_int_eq(index_find(f, UINT64_MAX, &n, &e), 0);
	ck_assert_int_eq(index_matches(f, of, &e), 1);
	ck_assert_int_eq(index_matches(NULL, of, &e), 0);
	index_close(f);
	flip(dir, name_index(name, MACHINE, DISK, of->epoch), 70);
	ck_assert_int_eq(index_open(of, &f, &e), -EBADMSG);
}

/* More segments than are read ahead, in random order, with random extents of all others between their own. */
START_TEST(segments_interleave)
{
	enum { SEGMENTS = 400, SECTORS = 20000 };
	static uint8_t data[SECTOR];
	static struct part parts[SEGMENTS][SECTORS / SEGMENTS * 4];
	static size_t counts[SEGMENTS];
	uint64_t seed = (uint64_t)_i + 1;
	struct journal *j = open_epoch(1);
	struct index want, got;
	struct index_of of;
	struct err e;
	size_t sum = 0;
	bool near = _i % 2;

	memset(counts, 0, sizeof(counts));
	for (uint64_t s = 0; s < SECTORS; s++) {
		uint64_t k = near ? s * SEGMENTS / SECTORS : random_next(&seed) % SEGMENTS;
		struct part p = {s * SECTOR, SECTOR, random_next(&seed) % 3 ? data : NULL};

		k = (k + random_next(&seed) % 3) % SEGMENTS;
		if (counts[k] < ARRAY_SIZE(parts[k]) && (s % 7 || !counts[k]))
			parts[k][counts[k]++] = p;
	}
	random_fill(&seed, data, sizeof(data));
	for (size_t k = 0; k < SEGMENTS; k++) {
		uint8_t *segment;
		size_t len, n = (k * 7) % SEGMENTS;

		ck_assert_uint_gt(counts[n], 0);
		segment = segment_make(DISK, 1, (uint32_t)n, parts[n], counts[n], &len);
		ck_assert_msg(segment_append(j, segment, len, &e) == 0, "%s", e.text);
		free(segment);
		sum += counts[n];
	}
	of = end_epoch(j, 1, SEGMENTS);
	expect(&of, sum, &want);
	ck_assert_msg(index_make(&of, _i & 1, &e) == 0, "%s", e.text);
	ck_assert_msg(index_load(index_read, &of, &got, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(got.count, want.count);
	ck_assert_int_eq(memcmp(got.entries, want.entries, want.count * sizeof(*want.entries)), 0);
	index_clear(&got);
	check_file(&of, &want);
	index_clear(&want);
	of.segments--;
	ck_assert_int_eq(index_matches(NULL, &of, &e), -EBADMSG);
	ck_assert_int_eq(index_make(&of, false, &e), -EBADMSG);
	of.segments += 2;
	ck_assert_int_eq(index_make(&of, false, &e), -EBADMSG);
}
END_TEST

static uint64_t memory(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)u.ru_maxrss << 10;
}

/* Neither what makes the index nor what reads it for a map takes memory for all extents but the pieces of the map. */
START_TEST(memory_of_many_extents)
{
	struct journal *j = open_epoch(1);
	struct image im = {.store = home.store,
			   .machine = MACHINE,
			   .disk = DISK,
			   .size = 1ull << 40};
	struct journal_row row = {1, MANY / 65536, 0};
	uint64_t before;
	struct index_of of;
	struct err e;

	for (uint32_t n = 0; n < MANY / 65536; n++)
		ck_assert_msg(append(j, 1, n, n, 2 * MANY / 65536, 65536, &e) == 0, "%s", e.text);
	of = end_epoch(j, 1, row.segments);
	row.bytes = of.bytes;
	before = memory();
	ck_assert_msg(index_make(&of, false, &e) == 0, "%s", e.text);
	if (MEASURABLE)
		ck_assert_uint_lt(memory() - before, 16 << 20);
	ck_assert_msg(image_add(&im, &row, &e) == 0, "%s", e.text);
	if (MEASURABLE)
		ck_assert_uint_lt(memory() - before, MANY * sizeof(struct piece) + (16 << 20));
	ck_assert_uint_eq(map_bytes(&im.map), (MANY + 1) * sizeof(struct piece));
	image_clear(&im);
}
END_TEST

static int note_damage(void *arg, const struct damage *d, struct err *e)
{
	struct harm *harm = arg;

	(void)e;
	ck_assert_uint_eq(harm->damage.length, 0);
	harm->damage = *d;
	return 0;
}

/* A damaged extent, and a later epoch with many of which one is in its place. */
START_TEST(memory_of_a_verification)
{
	static uint8_t data[SECTOR];
	struct part part = {SECTOR, SECTOR, data};
	struct harm harm = {.damage.length = 0};
	struct verify v = {&home, NULL, NULL, note_damage, &harm, 0};
	char name[STORE_NAME_MAX];
	struct disk_row disk;
	struct journal *j;
	struct lease lease;
	uint64_t before, seed = 1;
	struct err e;

	machine_make(&home, MACHINE);
	disk_make(&home, DISK, 1ull << 40, &disk);
	random_fill(&seed, data, sizeof(data));
	epoch_make(&home, &disk, 1, &part, 1, true);
	flip(dir, name_journal(name, MACHINE, DISK, 1), WIRE_HEADER_BYTES + WIRE_EXTENT_BYTES + 9);
	j = open_epoch(2);
	for (uint32_t n = 0; n < MANY / 65536; n++)
		ck_assert_msg(append(j, 2, n, n, 2 * MANY / 65536, 65536, &e) == 0, "%s", e.text);
	epoch_commit(&home, &disk, 2, MANY / 65536, journal_bytes(j), true);
	journal_close(j);
	ck_assert_int_eq(lease_take(&home, MACHINE, &lease, &e), 0);
	v.lease = &lease;
	v.disk = &disk;
	before = memory();
	ck_assert_msg(verify_disk(&v, UINT64_MAX, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(harm.damage.length, SECTOR);
	ck_assert_msg(harm_find(&home, &lease, &disk, 2, &harm, 1, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(harm.until, 2);
	if (MEASURABLE)
		ck_assert_msg(memory() - before < 16 << 20, "%d KiB",
			      (int)((memory() - before) >> 10));
	lease_drop(&lease);
}
END_TEST

START_TEST(extents_are_bounded)
{
	const uint32_t full = WIRE_EPOCH_EXTENTS_MAX / 65536 - 1;
	struct journal *j = open_epoch(1);
	struct err e;

	keep_nothing = true;
	for (uint32_t n = 0; n < full; n++)
		ck_assert_msg(append(j, 1, n, n * 131072ull, 2, 65536, &e) == 0, "%s", e.text);
	ck_assert_int_eq(append(j, 1, full, full * 131072ull, 2, 65535, &e), 0);
	ck_assert_int_eq(append(j, 1, full + 1, 1, 2, 2, &e), -EEXIST);
	ck_assert_ptr_nonnull(strstr(e.text, "4194305 extents"));
	/* What is there already counts once. */
	ck_assert_int_eq(append(j, 1, 0, 0, 2, 65536, &e), 0);
	ck_assert_int_eq(append(j, 1, full + 1, 1, 2, 1, &e), 0);
	ck_assert_int_eq(append(j, 1, full + 2, 3, 2, 1, &e), -EEXIST);
	journal_close(j);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("index");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, segments_interleave, 0, 4);
	tcase_add_test(t, memory_of_many_extents);
	tcase_add_test(t, memory_of_a_verification);
	tcase_add_test(t, extents_are_bounded);
	return run_tcase("index", t);
}
