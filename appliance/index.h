/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a committed epoch of a disk: its extents in ascending order, each with where its bytes are in the journal. It is kept
 * beside the journal (.mji, docs/store.md) with a digest of its own, and is rebuilt from the journal, whose trailers
 * are checked then, when it is missing or damaged. An index belongs to one thread at a time.
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

struct index {
	uint64_t epoch, segments, bytes; /* of the journal */
	struct index_entry *entries; /* owned */
	size_t count;
};
void index_clear(struct index *ix);

/* Which journal: of this disk and epoch, with so many segments in so many bytes. */
struct index_of {
	struct store *store;
	const char *machine, *disk;
	uint64_t epoch, segments, bytes;
};

/* Of an extent whose stored bytes are there. */
struct index_entry index_entry_of(const struct frame_extent *x, uint64_t at);

/*
 * From the journal; check: verify the trailers (a journal just received needs none), which prove the index; content is for its readers to check. -EBADMSG:
 * the journal is damaged.
 */
int index_build(const struct index_of *of, bool check, struct index *ix, struct err *e);
int index_save(const struct index_of *of, const struct index *ix, struct err *e);
/* From the file, else rebuilt and saved. */
int index_load(const struct index_of *of, struct index *ix, struct err *e);
/* Like index_load, of the file alone: -ENOENT, -EBADMSG */
int index_load_file(const struct index_of *of, struct index *ix, struct err *e);

#endif
