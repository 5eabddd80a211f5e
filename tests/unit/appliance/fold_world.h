/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine with one disk that has journals, for the tests of folding. A struct world belongs to one thread; what fails ends the
 * test.
 */
#ifndef TESTS_UNIT_APPLIANCE_FOLD_WORLD_H
#define TESTS_UNIT_APPLIANCE_FOLD_WORLD_H

#include "appliance/fold.h"
#include "tests/unit/appliance/helpers.h"

#define SIZE (9 * 65536 + 512) /* the last block is short */
#define EPOCHS 6
#define TARGET 4

struct world {
	char *dir;
	struct home home;
	struct disk_row disk;
	uint8_t *images[EPOCHS + 1]; /* the disk as of each epoch */
};

/* Batches so small that a fold has several. */
extern const struct fold_hooks hooks;

/* A disk with EPOCHS epochs of random content. */
void world_make(struct world *w, uint64_t seed);
/* An empty disk, for the tests that damage what is written to it. */
void empty_world(struct world *w);
void world_remove(struct world *w);
void refresh(struct world *w); /* the disk's row */
/* Fold to target, after refresh(). */
int fold(struct world *w, struct store *s, uint64_t target, struct err *e);
/* All SIZE bytes as of the epoch. */
int read_epoch(struct world *w, uint64_t epoch, uint8_t *out, struct err *e);
void check_epochs(struct world *w, uint64_t from);
void check_base_digests(struct world *w, bool allow_damage);

#endif
