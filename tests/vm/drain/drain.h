/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small user of the kernel module's interface, for tests: keeps a replica of each disk, a file or
 * another disk, by taking boundaries and applying every epoch to it. Nothing of the agent is used, so
 * that the interface is tested as its manual describes it. One thread; all functions may sleep.
 *
 * Functions that return int give 0, or -1 after a sentence on stderr, unless they say otherwise.
 */
#ifndef DRAIN_H
#define DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/mobility/uapi.h"

#define DISKS_MAX 8

struct source {
	char *device;
	char *replica; /* NULL where none is needed */
	int bdev_fd;
	int direct_fd; /* the same, O_DIRECT */
	int disk_fd;
	int replica_fd;
	uint32_t disk_id;
	uint64_t size;
	uint32_t granule_shift;
};

/* How far an epoch has come. */
enum hold_stage {
	HOLD_CLOSING,
	HOLD_SEALED,
	HOLD_READING, /* from here on its granules are read */
	HOLD_READ,
	HOLD_STAGES
};

struct run_options {
	unsigned int epochs; /* stop after so many commits, 0: until SIGTERM */
	unsigned int abort_every; /* every n-th epoch is read in part and closed, 0: none */
	unsigned int interval_ms; /* between a commit and the next boundary */
	unsigned int delay_us; /* between two reads, so that more is overwritten meanwhile */
	unsigned int read_kib; /* at most so much at once */
	bool random_order; /* of the reads */
	bool bypass; /* read the disk itself: no preserved copies, so a wrong image */
	bool torn_ok; /* a torn epoch is not a failure */
	const char *progress; /* file to copy before and after each boundary */
	const char *check; /* shell command run for each point */
	enum hold_stage until; /* of hold */
	bool commit; /* hold ends with reading it all and a commit, not with closing it */
};

struct totals {
	unsigned int committed, torn, aborted, checked;
	uint64_t granules, bytes, zero_bytes;
	uint64_t longest_advance_ns;
};

/* mob.c: the ioctls */
int mob_open(void); /* the control fd, or -1 */
int mob_info(int control, struct mob_info *info);
int mob_attach(int control, struct source *s, uint32_t granule_shift, uint64_t pool, bool dirty);
int mob_reopen(int control, struct source *s);
int mob_detach(const struct source *s);
int mob_disk_status(const struct source *s, struct mob_disk_status *status);
int mob_mark(const struct source *s, uint64_t offset, uint64_t length);
int mob_grow(struct source *s); /* to what the disk has now; the error stays in errno */

/* 1: not now, an epoch is still being closed or its bits given back */
int mob_advance(int control, struct mob_advance *advance);
int mob_wait_sealed(int epoch_fd); /* one minute at most */
int mob_epoch_status(int epoch_fd, struct mob_epoch_status *status);
int mob_commit(int epoch_fd);

/* 1: the epoch has nothing of this disk */
int mob_drain(int epoch_fd, const struct source *s, struct mob_drain *drain);

uint64_t now_ns(void);

/* apply.c: reads the dirty granules of a disk and writes them to its replica; `part` in (0, 1] of them */
int apply_disk(int epoch_fd, const struct source *s, const struct run_options *o, double part,
	       struct totals *totals);

/* diff.c: in how many granules a disk differs from its replica, both as they are on the disks now */
int diff(const struct source *s, uint64_t *granules);

/* run.c: the loop; returns the exit status of the program */
int run(int control, struct source *sources, unsigned int count, const struct run_options *o);

/* Its parts. The boundary is tried for a minute; `progress` is copied before and after it. */
int take_boundary(int control, const struct run_options *o, struct mob_advance *a,
		  struct totals *totals);
int apply_all(int epoch_fd, struct source *sources, unsigned int count, const struct run_options *o,
	      double part, struct totals *totals);

/*
 * hold.c: takes a boundary and goes on with its epoch to the stage o->until, where it waits for SIGTERM;
 * then the epoch is closed, or read to its end and committed. Prints a line at each stage. Returns
 * the exit status of the program.
 */
int hold(int control, struct source *sources, unsigned int count, const struct run_options *o);
int hold_stage(const char *name); /* or -1 */

#endif
