/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a committed epoch of a disk: its extents in ascending order, each with where its bytes are in the journal. It is kept
 * beside the journal (.mji, docs/store.md) with a digest of its own, and is rebuilt from the journal, whose trailers
 * are checked then, when it is missing or damaged. An epoch may have millions of extents: everybody takes them a few at a time (index_make,
 * index_walk, index_open), which needs no memory for each. Any thread.
 */
#ifndef APPLIANCE_INDEX_H
#define APPLIANCE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/store/store.h"
#include "include/mobility/wire.h"
#include "lib/frame.h"

/* As in the file, little-endian there. */
struct index_entry {
	uint64_t offset, length; /* on the disk */
	uint64_t at; /* of the stored bytes in the journal object */
	uint32_t stored_len;
	uint8_t type; /* enum wire_type */
	uint8_t codec; /* enum wire_codec */
	uint16_t reserved;
	uint8_t digest[WIRE_DIGEST_BYTES];
};
static_assert(sizeof(struct index_entry) == 64, "index_entry");

/* Which journal: of this disk and epoch, with so many segments in so many bytes. */
struct index_of {
	struct store *store;
	const char *machine, *disk;
	uint64_t epoch, segments, bytes;
};

/* Of an extent whose stored bytes are there. */
struct index_entry index_entry_of(const struct frame_extent *x, uint64_t at);

/*
 * Gets the entries of an index in ascending order. It is called with NULL at first: `count` come, and what came before is void. Unless it returns 0 that
 * is the end, with what it returned.
 */
typedef int (*index_fn)(void *arg, uint64_t count, const struct index_entry *entries, size_t n,
			struct err *e);

/*
 * From the journal; check: verify the trailers (a journal just received needs none), which prove the index; content is for its readers to check. -EBADMSG:
 * the journal is damaged; -ENOENT: it is not there. (index_merge.c)
 */
int index_merge(const struct index_of *of, bool check, index_fn fn, void *arg, struct err *e);
/* From the file, whose digest is looked at last: what fn got is worth nothing unless 0 comes back. -ENOENT, -EBADMSG */
int index_read(const struct index_of *of, index_fn fn, void *arg, struct err *e);
/* The file from the journal. */
int index_make(const struct index_of *of, bool check, struct err *e);
/* From the file, which is made again where that is needed. */
int index_walk(const struct index_of *of, index_fn fn, void *arg, struct err *e);

/*
 * The file to be looked at entry by entry; its digest was right when it was opened. 16 KiB, whatever the number of entries. Errors as of index_read(). One
 * thread; the store outlives it.
 */
struct index_file;
int index_open(const struct index_of *of, struct index_file **out, struct err *e);
void index_close(struct index_file *f); /* NULL is fine */
/* 1 and the entry that begins at offset; 0: there is none. */
int index_find(struct index_file *f, uint64_t offset, struct index_entry *n, struct err *e);
/* 1: the file (NULL: none) is what the journal makes, whose trailers are not checked; 0: it is not. -EBADMSG: the journal makes none. */
int index_matches(const struct index_file *f, const struct index_of *of, struct err *e);

#endif
