/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Online verification: is what the appliance has what the disk has?
 *
 * A tracked disk, in slices: after the commit of epoch E a slice is read from the disk as it is, and its digests are compared with the appliance's as of E.
 * Blocks that differ are suspects. Epoch E+1 judges them: its bitmap has every write between the two boundaries, and a bit is set before its
 * data can be seen. A suspect that is dirty was written meanwhile and goes with E+1; one that is clean is a mismatch: it is named, and marked, so that
 * the next epoch sends it again; E+1 lacks it, and becomes no recovery point; older points are in doubt (doubt.h). A pass over the disk without a mismatch proves it equal at its last
 * boundary, since everything else that was written in between was sent; it proves nothing if the epoch of that boundary could not read all that it had
 * to, or did not know of all. What cannot be read in a slice is marked, so that E+1 tries.
 *
 * What initial replication leaves out (skip.h) differs by design; blocks that it touches are not judged.
 *
 * A scanned disk: its next scan, at once, asks the appliance for every digest instead of remembering them; it proves the disk equal if the scan makes a
 * recovery point. If not, the ordinary scans after it do the same until one proves it. What the appliance has acknowledged and does not have any more is a
 * mismatch.
 *
 *	verify_ask		any thread
 *	verify_prove, _mismatch	workers
 *	verify_scan		the session, workers
 *	all others		the session
 */
#ifndef MOBILITY_AGENT_VERIFY_H
#define MOBILITY_AGENT_VERIFY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/api.h"
#include "agent/runs.h"
#include "agent/skip.h"
#include "agent/source.h"
#include "lib/err.h"

#define VERIFY_SUSPECTS 1024

struct disk;
struct epoch;
struct session;
struct worker;

struct verify {
	_Atomic bool asked; /* by the operator: at full speed */
	_Atomic bool untried; /* of a scanned disk: no scan has begun since */
	_Atomic uint64_t mismatched_bytes; /* in all passes */
	_Atomic bool failed; /* a worker could not go on with the slice */
	/* session; status reads the first two under the disk's lock */
	uint64_t
		proven_ns; /* real time of the boundary at which the disk was proven equal; 0 never */
	/*
	 * The appliance's number of the epoch as of which that pass began: what it looked at first may have come to differ since. 0: none, or not known.
	 */
	uint64_t proven_epoch;
	uint64_t cursor; /* of the pass under way; 0: none is */
	uint64_t end; /* [cursor, end) was read and is not judged yet; 0: nothing is */
	uint64_t pass_mismatches; /* bytes, when the pass began */
	uint64_t pass_epoch; /* the last committed one then */
	uint64_t sliced_ns; /* monotonic time of the last slice */
	uint64_t again_ns; /* and before which no slice is begun */
	bool scanning; /* the scan under way asks the appliance for everything */
	struct source *live; /* of a tracked disk: reads it as it is */
	struct skip_set left_out; /* of the slice: what initial replication did not send */
	/* under lock */
	pthread_mutex_t lock;
	struct doubt untold; /* mismatches that the appliance was not told of; without `after` */
	unsigned int count;
	bool too_many; /* for the slice: it is read again, less at a time */
	struct run suspect[VERIFY_SUSPECTS];
};

void verify_init(struct verify *v);
void verify_clear(struct verify *v);

/* The source changes: nothing that was read counts. */
void verify_reset(struct disk *d);

void verify_ask(struct disk *d);

/* Before an epoch: read the slices that are due. A disk with which that fails waits; other errors as of drain_run. */
int verify_slices(struct session *s, struct err *e);
/* Does some disk need an epoch to go on? */
bool verify_needs_epoch(const struct session *s);
/* Does somebody wait for one, and not only the background's rate? */
bool verify_hurries(const struct session *s);
/* Is a scan of this disk due because somebody asked? Once for each time. */
bool verify_scan_due(const struct disk *d);
/* A scan of this disk begins: is it to ask the appliance for everything? */
void verify_scan_begin(struct disk *d);
bool verify_scan(const struct disk *d);
/* The dirty bitmap of the epoch after a slice: mark the mismatches, which this epoch lacks. */
int verify_judge(struct epoch *ep, struct disk *d, const struct source_map *map, struct err *e);
struct verify_commit {
	uint64_t epoch; /* the appliance's number */
	uint64_t boundary_ns; /* real time */
	bool fuzzy; /* it is no image of an instant */
};
/* The epoch is committed. */
void verify_committed(struct disk *d, const struct verify_commit *c);
/* The epoch failed, or the disk was not in it: what was read proves nothing. */
void verify_abandon(struct disk *d);

/* A run of PIECE_PROVE. */
int verify_prove(struct worker *w, struct disk *d, const struct run *run, struct err *e);
/* The appliance does not have what it should have. */
void verify_mismatch(struct disk *d, uint64_t offset, uint64_t length);

#endif
