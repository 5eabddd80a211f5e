/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the appliance's unit tests share: a scratch folder, a home without the CLI, segments, and a store that fails or dies on demand. For tests alone; a
 * failure inside ends the test.
 */
#ifndef TESTS_UNIT_APPLIANCE_HELPERS_H
#define TESTS_UNIT_APPLIANCE_HELPERS_H

#include <check.h>

#include "appliance/home.h"
#include "appliance/index.h"
#include "appliance/journal.h"
#include "appliance/request.h"
#include "tests/unit/run_tcase.h"

#define MACHINE "00000000-0000-4000-8000-000000000001"
#define OTHER_MACHINE "00000000-0000-4000-8000-000000000002"
#define DISK "00000000-0000-4000-8000-0000000000d1"

/* A new empty folder that scratch_remove() removes with all that is in it. */
char *scratch_make(void);
void scratch_remove(char *dir);

/* A bit of a file below dir is another one from now on. */
void flip(const char *dir, const char *name, off_t at);

/* A home below dir with an empty catalog and defaults for the configuration; no keys. */
void home_make(struct home *h, const char *dir);
/* A machine as if enrolled. */
void machine_make(struct home *h, const char *id);
/* An appliance below a new empty folder, which is returned, with MACHINE; and its end. */
char *appliance_make(struct appliance *app);
void appliance_remove(struct appliance *app, char *dir);
/* Stop? For whatever asks now and then. */
bool never(void *arg);
/* A disk of MACHINE with this size, state initial. */
void disk_make(struct home *h, const char *id, uint64_t size, struct disk_row *d);

uint32_t random_next(uint64_t *seed);
void random_fill(uint64_t *seed, uint8_t *buf, size_t len);

/* An extent of a segment: data NULL is zeros. */
struct part {
	uint64_t offset, length;
	const uint8_t *data;
};
/* Of the segments that are made from now on; WIRE_VERSION at first. */
extern uint16_t segment_version;
/* The segment in malloc'ed memory; parts ascend. */
uint8_t *segment_make(const char *disk, uint64_t epoch, uint32_t number, const struct part *parts,
		      size_t count, size_t *len);
/* Parse and append it. */
int segment_append(struct journal *j, const uint8_t *segment, size_t len, struct err *e);

/* Write an epoch of DISK with one segment for each group of parts, commit it, make its index. */
void epoch_make(struct home *h, const struct disk_row *d, uint64_t epoch, const struct part *parts,
		size_t count, bool point);

/* Commit an epoch of a disk whose journal is there, with an index. */
void epoch_commit(struct home *h, const struct disk_row *d, uint64_t epoch, uint64_t segments,
		  uint64_t bytes, bool point);

/* An index as a whole, as index_read() or index_walk() gives it. */
struct index {
	uint64_t epoch;
	struct index_entry *entries;
	size_t count;
};
int index_load(int (*from)(const struct index_of *of, index_fn fn, void *arg, struct err *e),
	       const struct index_of *of, struct index *ix, struct err *e);
void index_clear(struct index *ix);

/*
 * A store over another one that counts the calls that change something, and at call number `at` (from 1; 0: never) does what `how` says. Destroying
 * it destroys the inner one.
 */
enum fault {
	FAULT_FAIL, /* this call and all after it return `error` without doing anything */
	FAULT_FAIL_ONCE,
	FAULT_KILL, /* half of a write is done, then the process ends with status 42 */
	FAULT_POWER, /* the same, and of what was not synced any page may be lost */
};
struct fault_store;
struct store *fault_store_new(struct store *inner, unsigned int at, enum fault how, int error,
			      uint64_t seed);
unsigned int fault_store_calls(struct store *s);
void fault_store_arm(struct store *s, unsigned int at);
/* Reading these bytes of the object fails with -EIO from now on; name NULL: none do. */
void fault_store_deny(struct store *s, const char *name, uint64_t off, uint64_t len);
/* Writing to the object fails with this error from now on, half-way; name NULL: to none. */
void fault_store_refuse(struct store *s, const char *name, int error);
/* It says that so much is free; 0: what is. */
void fault_store_space(struct store *s, uint64_t bytes);

#endif
