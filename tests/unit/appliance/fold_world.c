/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/appliance/fold_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/point.h"

/* Random parts, ascending: data and zeros, whole blocks and pieces of blocks. */
static size_t random_parts(uint64_t *seed, struct part *parts, size_t max, uint8_t *image)
{
	uint64_t at = 0;
	size_t n = 0;

	while (n < max) {
		uint64_t length =
			random_next(seed) % 2 ? 65536 : 512 * (1 + random_next(seed) % 40);

		at += 512 * (random_next(seed) % 160);
		if (random_next(seed) % 3 == 0)
			at = (at + 65535) / 65536 * 65536;
		if (at >= SIZE)
			break;
		if (length > SIZE - at)
			length = SIZE - at;
		parts[n].offset = at;
		parts[n].length = length;
		if (random_next(seed) % 4) {
			random_fill(seed, image + at, length);
			parts[n].data = image + at;
		} else {
			memset(image + at, 0, length);
			parts[n].data = NULL;
		}
		at += length;
		n++;
	}
	return n;
}

void world_make(struct world *w, uint64_t seed)
{
	struct part parts[32];

	*w = (struct world){.dir = scratch_make()};
	home_make(&w->home, w->dir);
	machine_make(&w->home, MACHINE);
	disk_make(&w->home, DISK, SIZE, &w->disk);
	w->images[0] = calloc(1, SIZE);
	for (uint64_t i = 1; i <= EPOCHS; i++) {
		size_t n;

		w->images[i] = malloc(SIZE);
		memcpy(w->images[i], w->images[i - 1], SIZE);
		n = random_parts(&seed, parts, 32, w->images[i]);
		epoch_make(&w->home, &w->disk, i, parts, n, true);
	}
}

void world_remove(struct world *w)
{
	home_close(&w->home);
	for (int i = 0; i <= EPOCHS; i++)
		free(w->images[i]);
	scratch_remove(w->dir);
}

void refresh(struct world *w)
{
	struct err e;

	ck_assert_msg(catalog_disk(w->home.catalog, DISK, &w->disk, &e) == 0, "%s", e.text);
}

int read_epoch(struct world *w, uint64_t epoch, uint8_t *out, struct err *e)
{
	struct journal_row *journals;
	struct reader *r = NULL;
	struct image im;
	int n = catalog_journals(w->home.catalog, DISK, epoch, &journals, e), rc;

	ck_assert_int_ge(n, 0);
	rc = image_open(w->home.store, &w->disk, journals, (size_t)n, &im, e);
	if (rc == 0)
		rc = reader_open(&im, &r, e);
	/* In uneven bites, so that pieces begin and end everywhere. */
	for (uint64_t at = 0; rc == 0 && at < SIZE; at += 33333)
		rc = reader_read(r, out + at, SIZE - at < 33333 ? SIZE - at : 33333, at, e);
	reader_close(r);
	image_clear(&im);
	free(journals);
	return rc;
}

void check_epochs(struct world *w, uint64_t from)
{
	uint8_t *got = malloc(SIZE);
	struct err e;

	refresh(w);
	for (uint64_t i = from; i <= EPOCHS; i++) {
		ck_assert_msg(read_epoch(w, i, got, &e) == 0, "epoch %d: %s", (int)i, e.text);
		ck_assert_msg(!memcmp(got, w->images[i], SIZE), "epoch %d differs", (int)i);
	}
	free(got);
}

void check_base_digests(struct world *w, bool allow_damage)
{
	const struct base_of of = {w->home.store, MACHINE, DISK, SIZE, w->disk.base_epoch};
	uint8_t block[BASE_BLOCK];
	struct base b;
	struct err e;

	ck_assert_int_eq(base_open(&of, false, &b, &e), 0);
	ck_assert_int_gt(b.digests_size, 0);
	for (uint64_t i = 0; i < b.digests_size / DIGEST_BYTES; i++)
		ck_assert(base_read(&b, i, block, &e) == 0 || allow_damage);
	base_close(&b);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void nothing_folded(void *arg, uint64_t target)
{
	(void)arg;
	ck_assert_uint_gt(target, 0);
}

const struct fold_hooks hooks = {nothing, nothing, nothing_folded, never, NULL, 3};

int fold(struct world *w, struct store *s, uint64_t target, struct err *e)
{
	refresh(w);
	return fold_disk(w->home.catalog, s, &w->disk, target, &hooks, e);
}

void empty_world(struct world *w)
{
	*w = (struct world){.dir = scratch_make()};
	home_make(&w->home, w->dir);
	machine_make(&w->home, MACHINE);
	disk_make(&w->home, DISK, SIZE, &w->disk);
}
