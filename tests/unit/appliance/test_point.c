/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes that are missing or damaged, and the digests of blocks as the protocol gives them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/fold.h"
#include "appliance/names.h"
#include "appliance/point.h"
#include "appliance/verify.h"
#include "tests/unit/appliance/helpers.h"

#define BLOCKS 7
#define SIZE (BLOCKS * 65536 + 1536)

static char *dir;
static struct home home;
static struct disk_row disk;
static uint8_t image[SIZE];

static void setup(void)
{
	dir = scratch_make();
	home_make(&home, dir);
	machine_make(&home, MACHINE);
	disk_make(&home, DISK, SIZE, &disk);
	memset(image, 0, sizeof(image));
}

static void teardown(void)
{
	home_close(&home);
	scratch_remove(dir);
}

static void path_of(const char *name, char *path, size_t size)
{
	ck_assert_int_lt(snprintf(path, size, "%s/%s", dir, name), (int)size);
}

static struct reader *reader_of(struct image *im)
{
	struct journal_row *journals;
	struct reader *r;
	struct err e;
	int n = catalog_journals(home.catalog, DISK, UINT64_MAX, &journals, &e);

	ck_assert_int_ge(n, 0);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
	ck_assert_int_eq(image_open(home.store, &disk, journals, (size_t)n, im, &e), 0);
	ck_assert_int_eq(reader_open(im, &r, &e), 0);
	free(journals);
	return r;
}

static void model_digest(uint64_t at, uint8_t out[DIGEST_BYTES])
{
	size_t len = SIZE - at < 65536 ? SIZE - at : 65536;

	memset(out, 0, DIGEST_BYTES);
	if (!mem_is_zero(image + at, len))
		digest_sha256(image + at, len, out);
}

/* Every digest, from stored ones and from bytes, must be that of the model. */
static void check_digests(void)
{
	struct image im;
	struct reader *r = reader_of(&im);
	struct err e;

	for (int reread = 0; reread < 2; reread++) {
		for (uint64_t at = 0; at < SIZE; at += 65536) {
			uint8_t want[DIGEST_BYTES], got[DIGEST_BYTES];

			model_digest(at, want);
			ck_assert_int_eq(reader_digest(r, at, SIZE, reread, got, &e), 0);
			ck_assert_mem_eq(got, want, DIGEST_BYTES);
		}
	}
	reader_close(r);
	image_clear(&im);
}

static void epoch(uint64_t number, uint64_t offset, uint64_t length, bool zero)
{
	struct part part = {offset, length, zero ? NULL : image + offset};
	uint64_t seed = number;

	if (zero)
		memset(image + offset, 0, length);
	else
		random_fill(&seed, image + offset, length);
	epoch_make(&home, &disk, number, &part, 1, true);
}

START_TEST(digests_of_blocks)
{
	struct err e;

	check_digests();
	epoch(1, 0, 65536, false); /* exactly a block */
	epoch(2, 65536, 3 * 65536, false); /* an extent over several */
	epoch(3, 65536 + 4096, 512, false); /* a piece of one */
	epoch(4, 2 * 65536, 65536, true); /* zeros again */
	epoch(5, 5 * 65536, SIZE - 5 * 65536, false); /* to the short end */
	epoch(6, 5 * 65536 + 512, 65536, true); /* across blocks */
	check_digests();
	for (uint64_t target = 1; target <= 6; target++) {
		ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
		ck_assert_int_eq(fold_disk(home.catalog, home.store, &disk, target, NULL, &e), 0);
		check_digests();
	}
}
END_TEST

/* Zeros that were sent as data have the digest of zeros all the same. */
START_TEST(zeros_sent_as_data)
{
	static const uint8_t zeros[65536];
	uint8_t *s = calloc(1, 65536 + 160), id[UUID_BYTES];
	struct wire_header *h = (struct wire_header *)s;
	struct wire_extent *x = (struct wire_extent *)(s + 64);
	struct frame f;
	struct codec *c = codec_new();
	struct frame_extent fx;
	struct err e;

	/* The library never builds such a segment; another agent may. */
	memcpy(h->magic, WIRE_MAGIC, 8);
	h->version = 1;
	h->header_bytes = 64;
	h->epoch = 1;
	h->extent_count = 1;
	h->payload_bytes = 65536;
	uuid_parse_text(DISK, id);
	memcpy(h->disk, id, UUID_BYTES);
	x->length = 65536;
	x->stored_len = 65536;
	digest_sha256(zeros, 65536, x->digest);
	digest_sha256(s, 65536 + 128, s + 65536 + 128);
	ck_assert_int_eq(frame_parse(&f, s, 65536 + 160, SIZE, true, &e), 0);
	frame_get(&f, 0, &fx);
	ck_assert_int_eq(frame_extract(c, &fx, s + 128, &e), 0);
	{
		struct commit_disk cd = {.segments = 1, .size = SIZE, .state = DISK_PROTECTED};
		struct commit_row row = {.epoch = 1, .answer = "{}", .disks = &cd, .disk_count = 1};
		char name[STORE_NAME_MAX];
		struct journal *j;
		uint64_t number;

		strcpy(cd.disk, DISK);
		strcpy(row.machine, MACHINE);
		strcpy(row.attempt, "a");
		ck_assert_int_eq(catalog_epoch_open(home.catalog, MACHINE, "a", &number, &e), 0);
		ck_assert_int_eq(journal_open(home.store, name_journal(name, MACHINE, DISK, 1), 0,
					      &j, &e),
				 0);
		ck_assert_int_eq(journal_append(j, &f, s, &e), 0);
		cd.bytes = journal_bytes(j);
		journal_close(j);
		ck_assert_int_eq(catalog_commit(home.catalog, &row, &e), 0);
	}
	check_digests();
	codec_free(c);
	free(s);
}
END_TEST

START_TEST(index_is_made_again)
{
	char name[STORE_NAME_MAX], path[512];

	epoch(1, 4096, 391 * 512, false);
	name_index(name, MACHINE, DISK, 1);
	path_of(name, path, sizeof(path));
	for (off_t at = 0; at < 64 + 64 + 32; at++) {
		flip(dir, name, at);
		check_digests();
	}
	for (off_t size = 0; size < 300; size += 7) {
		ck_assert_int_eq(truncate(path, size), 0);
		check_digests();
	}
	ck_assert_int_eq(unlink(path), 0);
	check_digests();
	ck_assert_int_eq(access(path, R_OK), 0);
}
END_TEST

/* No flipped bit of a journal that lost its index can give other bytes. */
START_TEST(rotten_journal)
{
	char journal[STORE_NAME_MAX], index[STORE_NAME_MAX], path[512];
	uint8_t got[8192];
	struct err e;
	uint64_t length = 4096;
	int damaged = 0;

	epoch(1, 512, length, false);
	epoch(2, 65536, 512, false);
	name_journal(journal, MACHINE, DISK, 1);
	path_of(name_index(index, MACHINE, DISK, 1), path, sizeof(path));
	for (off_t at = _i; at < (off_t)(64 + 64 + length + 32); at += 8) {
		struct reader *r;
		struct image im;

		flip(dir, journal, at);
		if (_i % 2)
			unlink(path);
		r = reader_of(&im);
		if (reader_read(r, got, sizeof(got), 0, &e) == 0)
			ck_assert_mem_eq(got, image, sizeof(got));
		else
			damaged++;
		/* Another epoch's bytes over it are as good as ever. */
		ck_assert_int_eq(reader_read(r, got, 512, 65536, &e), 0);
		ck_assert_mem_eq(got, image + 65536, 512);
		reader_close(r);
		image_clear(&im);
		flip(dir, journal, at);
	}
	ck_assert_int_gt(damaged, 400);
	check_digests();
}
END_TEST

START_TEST(damaged_blocks_have_no_digest)
{
	char name[STORE_NAME_MAX], path[512];
	uint8_t got[DIGEST_BYTES];
	struct image im;
	struct reader *r;
	struct err e;

	epoch(1, 0, 65536, false);
	epoch(2, 65536, 65536, false);
	flip(dir, name_journal(name, MACHINE, DISK, 1), 3000);
	path_of(name_index(name, MACHINE, DISK, 1), path, sizeof(path));
	r = reader_of(&im);
	ck_assert_int_eq(reader_digest(r, 0, SIZE, true, got, &e), 0);
	ck_assert_mem_eq(got, base_damaged, DIGEST_BYTES);
	reader_close(r);
	image_clear(&im);
	/* The trailer proves what the journal wrote, without its index too. */
	ck_assert_int_eq(unlink(path), 0);
	r = reader_of(&im);
	ck_assert_int_eq(reader_digest(r, 0, SIZE, true, got, &e), 0);
	ck_assert_mem_eq(got, base_damaged, DIGEST_BYTES);
	ck_assert_int_eq(reader_digest(r, 4 * 65536, SIZE, false, got, &e), 0);
	ck_assert_mem_ne(got, base_damaged, DIGEST_BYTES);
	reader_close(r);
	image_clear(&im);
	/* Where it does not, nothing that the journal may have written has a digest. */
	flip(dir, name_journal(name, MACHINE, DISK, 1), 64);
	ck_assert_int_eq(unlink(path), 0);
	r = reader_of(&im);
	ck_assert_int_eq(reader_digest(r, 4 * 65536, SIZE, false, got, &e), 0);
	ck_assert_mem_eq(got, base_damaged, DIGEST_BYTES);
	ck_assert_int_eq(reader_digest(r, 65536, SIZE, false, got, &e), 0);
	ck_assert_mem_ne(got, base_damaged, DIGEST_BYTES);
	reader_close(r);
	image_clear(&im);
}
END_TEST

/* What can happen to the digests of a base, or to its image. */
enum loss { SHA_CUT, SHA_ZEROED, SHA_GONE, IMAGE_GONE };

static void lose(enum loss how)
{
	static const uint8_t zeros[2 * DIGEST_BYTES];
	char name[STORE_NAME_MAX], path[512];
	int fd;

	if (how == IMAGE_GONE)
		name_base(name, MACHINE, DISK);
	else
		name_base_digests(name, MACHINE, DISK);
	path_of(name, path, sizeof(path));
	if (how >= SHA_GONE) {
		ck_assert_int_eq(unlink(path), 0);
		return;
	}
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	if (how == SHA_CUT)
		ck_assert_int_eq(ftruncate(fd, 2 * DIGEST_BYTES + 5), 0);
	else
		ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), 2 * DIGEST_BYTES), sizeof(zeros));
	close(fd);
}

/* As an export reads: what is a hole is not read. */
static int read_block(struct reader *r, uint64_t at, uint8_t *got, struct err *e)
{
	uint64_t end = SIZE - at < 65536 ? SIZE : at + 65536, hole;
	int rc = 0;

	memset(got, 0, 65536);
	while (at < end && reader_is_hole(r, at, end - at, &hole, &rc, e))
		at += hole;
	return rc < 0 || at == end ? rc : reader_read(r, got, end - at, at, e);
}

/* Each block is what it was, or damaged, and then its digest is not what it was. Which: a bit each. */
static unsigned int damaged_blocks(void)
{
	uint8_t got[65536], digest[DIGEST_BYTES], want[DIGEST_BYTES];
	struct image im;
	struct reader *r = reader_of(&im);
	unsigned int damaged = 0;
	struct err e;

	for (unsigned int i = 0; i <= BLOCKS; i++) {
		uint64_t at = (uint64_t)i * 65536;
		int rc = read_block(r, at, got, &e);

		ck_assert(rc == 0 || rc == -EILSEQ);
		if (rc < 0)
			damaged |= 1u << i;
		else
			ck_assert_mem_eq(got, image + at, i < BLOCKS ? 65536 : SIZE - at);
		model_digest(at, want);
		ck_assert_int_eq(reader_digest(r, at, SIZE, false, digest, &e), 0);
		ck_assert(!memcmp(digest, want, DIGEST_BYTES) == (rc == 0));
		ck_assert(rc < 0 || reader_base_sound(r, at, &e) == 1);
	}
	reader_close(r);
	image_clear(&im);
	return damaged;
}

static int damage_found(void *arg, const struct damage *d, struct err *e)
{
	unsigned int *damaged = arg;

	(void)e;
	for (uint64_t at = d->offset; at < d->offset + d->length; at += 65536)
		*damaged |= 1u << (at / 65536);
	return 0;
}

static unsigned int verify_finds(void)
{
	unsigned int damaged = 0;
	struct lease lease;
	struct verify v = {&home, &lease, &disk, damage_found, &damaged, 0};
	struct err e;

	ck_assert_int_eq(lease_take(&home, MACHINE, &lease, &e), 0);
	ck_assert_int_eq(verify_disk(&v, UINT64_MAX, &e), 0);
	lease_drop(&lease);
	return damaged;
}

static void fold_all(void)
{
	struct err e;

	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
	ck_assert_int_eq(fold_disk(home.catalog, home.store, &disk, disk.epoch, NULL, &e), 0);
	ck_assert_int_eq(catalog_disk(home.catalog, DISK, &disk, &e), 0);
}

/* A digest that is gone says nothing, least of all that the block is zeros. */
START_TEST(lost_digests_are_damage)
{
	/* blocks 2, 3 and 6 have data; of cut digests 2 is the first that is lost */
	static const unsigned int want[] = {0x4c, 0x0c, 0xff, 0xff};

	epoch(1, 2 * 65536, 2 * 65536, false);
	epoch(2, 6 * 65536, 65536, false);
	epoch(3, 7 * 65536, 512, true);
	fold_all();
	ck_assert_uint_eq(damaged_blocks(), 0);
	ck_assert_uint_eq(verify_finds(), 0);
	lose((enum loss)_i);
	ck_assert_uint_eq(damaged_blocks(), want[_i]);
	ck_assert_uint_eq(verify_finds(), want[_i]);
	/* A fold over a part of what is lost leaves that; one that has the blocks as a whole heals them. */
	epoch(4, 3 * 65536 + 512, 512, false);
	epoch(5, 4 * 65536, 65536, false);
	fold_all();
	ck_assert_uint_eq(damaged_blocks(), want[_i] & ~0x10u);
	ck_assert_uint_eq(verify_finds(), want[_i] & ~0x10u);
	epoch(6, 0, SIZE, false);
	fold_all();
	ck_assert_uint_eq(damaged_blocks(), 0);
	ck_assert_uint_eq(verify_finds(), 0);
	check_digests();
}
END_TEST

/* A base that nothing was folded into need not be there. */
START_TEST(no_base_yet)
{
	ck_assert_uint_eq(damaged_blocks(), 0);
	epoch(1, 65536, 512, false);
	ck_assert_uint_eq(verify_finds(), 0);
	check_digests();
}
END_TEST

/* Zeros that take space in the image, as after a copy that knew no holes, are zeros. */
START_TEST(zeros_instead_of_holes)
{
	static const uint8_t zeros[65536];
	char name[STORE_NAME_MAX], path[512];
	int fd;

	epoch(1, 2 * 65536, 2 * 65536, false);
	fold_all();
	path_of(name_base(name, MACHINE, DISK), path, sizeof(path));
	fd = open(path, O_RDWR);
	ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
	ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), 5 * 65536), sizeof(zeros));
	close(fd);
	ck_assert_uint_eq(verify_finds(), 0);
	check_digests();
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("point");

	tcase_set_timeout(t, 300);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, digests_of_blocks);
	tcase_add_test(t, zeros_sent_as_data);
	tcase_add_test(t, index_is_made_again);
	tcase_add_loop_test(t, rotten_journal, 0, 8);
	tcase_add_test(t, damaged_blocks_have_no_digest);
	tcase_add_loop_test(t, lost_digests_are_damage, SHA_CUT, IMAGE_GONE + 1);
	tcase_add_test(t, no_base_yet);
	tcase_add_test(t, zeros_instead_of_holes);
	return run_tcase("point", t);
}
