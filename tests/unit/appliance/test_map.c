/* SPDX-License-Identifier: Apache-2.0 */
/* The extent map against a plain array that says for each sector which epoch wrote it last. */
#include <stdlib.h>
#include <string.h>

#include "appliance/map.h"
#include "tests/unit/appliance/helpers.h"

#define SECTORS 400
#define EPOCHS 40

struct cell {
	uint64_t epoch;
	uint32_t entry;
	uint32_t kind;
};

/* An index of random, ascending extents; the model follows. */
static void random_index(uint64_t *seed, uint64_t epoch, struct index *ix, struct cell *model)
{
	static struct index_entry entries[SECTORS];
	uint64_t at = random_next(seed) % 60;

	*ix = (struct index){.epoch = epoch, .entries = entries};
	while (at < SECTORS && random_next(seed) % 12) {
		uint64_t length = 1 + random_next(seed) % (random_next(seed) % 4 ? 6 : 90);
		uint8_t type = random_next(seed) % 4 ? WIRE_DATA : WIRE_ZERO;

		if (length > SECTORS - at)
			length = SECTORS - at;
		for (uint64_t s = at; s < at + length; s++)
			model[s] = (struct cell){epoch, (uint32_t)ix->count,
						 type == WIRE_ZERO ? PIECE_ZERO : PIECE_DATA};
		entries[ix->count++] = (struct index_entry){.offset = at * 512,
							    .length = length * 512,
							    .type = type};
		at += length + random_next(seed) % 50;
	}
}

static int add(struct map *m, const struct index *ix)
{
	struct piece *pieces = calloc(ix->count + 1, sizeof(*pieces));

	for (size_t i = 0; i < ix->count; i++)
		pieces[i] = map_piece(ix->epoch, &ix->entries[i], i);
	return map_add_pieces(m, pieces, ix->count);
}

static bool same(const struct cell *a, const struct cell *b)
{
	return a->epoch == b->epoch && a->entry == b->entry && a->kind == b->kind;
}

/* One assertion a sector: millions of them are slow under sanitizers. */
static void check(const struct map *m, const struct cell *model)
{
	for (uint64_t s = 0; s < SECTORS; s++) {
		struct piece p = {0};
		uint64_t n, next = map_next(m, s * 512), k = s;
		bool found = map_find(m, s * 512, (SECTORS - s) * 512, &p, &n);

		struct cell got = {found ? p.epoch : 0, found ? p.entry : 0, found ? p.kind : 0};
		uint64_t i = s;

		/* The answer holds for all of the length that it claims. */
		while (i < s + n / 512 && same(&model[i], &got))
			i++;
		while (k < SECTORS && !model[k].epoch)
			k++;
		ck_assert_msg(n && i == s + n / 512 && (!found || p.offset == s * 512) &&
				      next == (k < SECTORS ? k * 512 : UINT64_MAX),
			      "sector %d", (int)s);
	}
}

START_TEST(random_epochs)
{
	struct cell model[SECTORS] = {0};
	uint64_t seed = (uint64_t)_i, dropped = EPOCHS / 3;
	struct map m = {0};
	struct index ix;

	check(&m, model);
	for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
		random_index(&seed, epoch, &ix, model);
		ck_assert_int_eq(add(&m, &ix), 0);
		check(&m, model);
	}
	ck_assert_uint_lt(m.levels, 8);
	if (_i % 2) {
		ck_assert_int_eq(map_collapse(&m), 0);
		ck_assert_uint_eq(m.levels, 1);
		check(&m, model);
	}
	map_drop(&m, dropped);
	for (int i = 0; i < SECTORS; i++) {
		if (model[i].epoch <= dropped)
			model[i] = (struct cell){0};
	}
	check(&m, model);
	map_clear(&m);
}
END_TEST

START_TEST(damage_is_covered_by_newer)
{
	struct index_entry entry = {.offset = 512, .length = 1024, .type = WIRE_DATA};
	struct index ix = {.epoch = 3, .entries = &entry, .count = 1};
	struct map m = {0};
	struct piece p;
	uint64_t n;

	ck_assert_int_eq(map_add_unknown(&m, 2, 8192, PIECE_DAMAGED), 0);
	ck_assert_int_eq(add(&m, &ix), 0);
	ck_assert(map_find(&m, 0, 8192, &p, &n));
	ck_assert_uint_eq(p.kind, PIECE_DAMAGED);
	ck_assert_uint_eq(n, 512);
	ck_assert(map_find(&m, 512, 8192, &p, &n));
	ck_assert_uint_eq(p.kind, PIECE_DATA);
	ck_assert_uint_eq(n, 1024);
	ck_assert(map_find(&m, 1536, 8192, &p, &n));
	ck_assert_uint_eq(p.kind, PIECE_DAMAGED);
	ck_assert(!map_find(&m, 8192, 512, &p, &n));
	map_clear(&m);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("map");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, random_epochs, 0, 40);
	tcase_add_test(t, damage_is_covered_by_newer);
	return run_tcase("map", t);
}
