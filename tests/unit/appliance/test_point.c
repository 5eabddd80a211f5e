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

static void flip(const char *name, off_t at)
{
	char path[512];
	uint8_t byte;
	int fd;

	path_of(name, path, sizeof(path));
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
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

/* Every digest, from stored ones and from bytes, must be that of the model. */
static void check_digests(void)
{
	struct image im;
	struct reader *r = reader_of(&im);
	struct err e;

	for (int reread = 0; reread < 2; reread++) {
		for (uint64_t at = 0; at < SIZE; at += 65536) {
			size_t len = SIZE - at < 65536 ? SIZE - at : 65536;
			uint8_t want[DIGEST_BYTES] = {0}, got[DIGEST_BYTES];

			if (!mem_is_zero(image + at, len))
				digest_sha256(image + at, len, want);
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
		flip(name, at);
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

		flip(journal, at);
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
		flip(journal, at);
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
	flip(name_journal(name, MACHINE, DISK, 1), 3000);
	path_of(name_index(name, MACHINE, DISK, 1), path, sizeof(path));
	r = reader_of(&im);
	ck_assert_int_eq(reader_digest(r, 0, SIZE, true, got, &e), 0);
	ck_assert_mem_eq(got, base_damaged, DIGEST_BYTES);
	reader_close(r);
	image_clear(&im);
	/* Without its index the journal is unreadable: nothing that it may have written has a digest. */
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
	return run_tcase("point", t);
}
