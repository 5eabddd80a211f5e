/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which epoch's journal holds which range of a disk: the newest wins, what no journal holds is the base's. Levels of
 * sorted pieces, merged pairwise as epochs are added, so that adding is cheap and looking up is logarithmic. 32 bytes a piece.
 * Many threads may look up at once; adding and dropping need everybody else to stay out.
 */
#ifndef APPLIANCE_MAP_H
#define APPLIANCE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/index.h"

enum piece_kind {
	PIECE_DATA,
	PIECE_ZERO, /* zeros, there are no bytes */
	/* what the epoch wrote here, if anything, is unknown: */
	PIECE_DAMAGED, /* its journal is damaged */
	PIECE_MISSING, /* its journal is not there, now */
};

struct piece {
	uint64_t offset, length;
	uint64_t epoch;
	uint32_t entry; /* in that epoch's index */
	uint32_t kind; /* enum piece_kind */
};

#define MAP_LEVELS 48

struct map {
	struct {
		struct piece *pieces;
		size_t count;
		unsigned int rank; /* the level came from 2^rank epochs */
	} level[MAP_LEVELS]; /* oldest first */
	size_t levels;
};

void map_clear(struct map *m);
/* Add an epoch newer than all before; takes the pieces, which are malloc'ed and ascend. -E2BIG; the map is unchanged then. */
int map_add_pieces(struct map *m, struct piece *pieces, size_t count);
struct piece map_piece(uint64_t epoch, const struct index_entry *n, size_t number);
/* Add an epoch of whose journal nothing is known (PIECE_DAMAGED or PIECE_MISSING): it may have written anything below size. */
int map_add_unknown(struct map *m, uint64_t epoch, uint64_t size, enum piece_kind kind);
static inline bool piece_is_known(const struct piece *p)
{
	return p->kind == PIECE_DATA || p->kind == PIECE_ZERO;
}
/* Merge all levels into one, for reading through. -ENOMEM */
int map_collapse(struct map *m);
/* How much memory it takes. */
uint64_t map_bytes(const struct map *m);
/* Forget the pieces of epochs up to this one: the base has them now. */
void map_drop(struct map *m, uint64_t epoch);
/*
 * What holds the byte at offset: true and the piece cut to begin at offset; false if it is the base's. *length: for how many bytes
 * from offset the answer holds, at most `limit`.
 */
bool map_find(const struct map *m, uint64_t offset, uint64_t limit, struct piece *p,
	      uint64_t *length);
/* The first offset at or after this that some piece holds; UINT64_MAX if none. */
uint64_t map_next(const struct map *m, uint64_t offset);

#endif
