/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `serve` keeps in memory of machines and disks: the journals of the open epoch, and the map of a disk whose digests were asked for.
 * Everything can be thrown away and comes back from catalog and store. Maps take map_memory together: beyond that those go that were not used for
 * the longest time, but none that is being read.
 *
 * Locks, in this order: live_machine.lock (shared: storing segments; exclusive: opening and committing epochs, changes of disks), then live_disk.lock
 * (shared: reading the disk's image; exclusive: making or changing its map, folding it), for which nobody waits who has the former: making a map takes
 * minutes. Entries are never freed before live_free().
 */
#ifndef APPLIANCE_LIVE_H
#define APPLIANCE_LIVE_H

#include <pthread.h>
#include <stdbool.h>

#include "appliance/admission.h"
#include "appliance/home.h"
#include "appliance/journal.h"
#include "appliance/point.h"

struct live;

struct live_disk {
	struct live_disk *next;
	struct live *live;
	char id[UUID_TEXT_BYTES], machine[UUID_TEXT_BYTES];
	struct journal *journal; /* of the machine's open epoch; opening: machine->journals */
	pthread_rwlock_t lock;
	bool mapped; /* image is there, as of map_epoch */
	struct image image;
	uint64_t map_epoch;
	/* epochs after map_epoch were committed while the lock was taken: whoever reads next adds them first */
	_Atomic bool map_behind;
	uint64_t map_used; /* monotonic ns */
	_Atomic uint64_t map_bytes; /* what the map takes; 0: there is none */
	_Atomic uint64_t
		digest_reads; /* bytes of content read for digest queries since the start */
	/* the keeper's: digests were computed in advance up to this epoch, in a pass last begun at this monotonic time */
	uint64_t filled_epoch, filled_ns;
	/* the pass under way: where it goes on (0: there is none), up to which epoch, and whether there was a map before */
	uint64_t fill_offset, fill_epoch;
	bool fill_mapped;
};

struct live_machine {
	struct live_machine *next;
	char id[UUID_TEXT_BYTES];
	pthread_rwlock_t lock;
	pthread_mutex_t journals; /* protects the disks' `journal` under a shared lock */
	struct live *live;
	struct admission_flow flow; /* its share of the memory for bodies */
};

int live_new(struct home *home, struct live **out, struct err *e);
void live_free(struct live *l); /* NULL is fine; no thread may be inside */

/* The entry of a machine or disk that the catalog has; NULL: out of memory. */
struct live_machine *live_machine(struct live *l, const char *id);
struct live_disk *live_disk(struct live *l, const char *machine, const char *id);

/* All machines: the first; `next` leads to the others. */
struct live_machine *live_machines(struct live *l);

/* The journal of the machine's open epoch for the disk, opened when needed. With machine->lock held, shared or exclusive. */
int live_journal(struct live_machine *m, struct live_disk *d, uint64_t epoch, struct journal **out,
		 struct err *e);
/* Close the journals of the machine's disks; with machine->lock held exclusively. */
void live_close_journals(struct live_machine *m);
/* Nobody asks for the disk any more, or for any of the machine: close journals, drop maps that nobody reads. With machine->lock held exclusively. */
void live_release_disk(struct live_disk *d);
void live_release(struct live_machine *m);

/*
 * Begin reading the disk as of the last committed epoch: makes the map if there is none, has it follow if it is behind, and leaves d->lock held, shared;
 * pthread_rwlock_unlock() ends it.
 */
int live_read_begin(struct live *l, struct live_disk *d, struct err *e);
/*
 * The epoch was committed, in the catalog too, with this journal: a map that is there follows. Never waits for who reads or makes one, as the machine's lock
 * is held. Without a lock of a disk held.
 */
void live_committed(struct live_disk *d, const struct journal_row *j);
/* Everything up to this epoch is in the base now; with disk->lock held exclusively. */
void live_folded(struct live_disk *d, uint64_t epoch);
/* What all maps take now. */
uint64_t live_map_bytes(struct live *l);
/* Is there a map in memory? Only a hint. */
bool live_mapped(struct live_disk *d);
/* Wait for all who read the disk, and drop its map: who begins after this looks it up in the catalog first. Without a machine's lock. */
void live_end_reading(struct live_disk *d);
/* Drop the map of a disk, if nobody reads. */
void live_drop_map(struct live_disk *d);
/* Drop maps that nobody used for idle_ns. */
void live_trim(struct live *l, uint64_t idle_ns);

#endif
