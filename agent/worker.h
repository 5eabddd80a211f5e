/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker of the pool and what it does with a piece. Everything here belongs to that worker's
 * thread, but for the disk's atomics and the parts of agent.h that lock. Between drain.c
 * (threads) and worker*.c alone.
 */
#ifndef MOBILITY_AGENT_WORKER_H
#define MOBILITY_AGENT_WORKER_H

#include "agent/agent.h"
#include "agent/runs.h"
#include "agent/sender.h"
#include "agent/tuner.h"
#include "agent/uplink.h"
#include "lib/codec.h"
#include "lib/frame.h"

/*
 * From so many extents on the rest of a disk waits for the next epoch. What is left of the bound is more than all workers make of what they
 * are at.
 */
#define WORKER_EXTENTS (WIRE_EPOCH_EXTENTS_MAX - 65536u)
#define WORKER_READ_BYTES (1u << 20) /* read at a time, or a granule if that is larger */

struct worker {
	struct agent *agent;
	bool (*given_up)(void *arg); /* another thread failed, or the epoch is cancelled */
	void (*begun)(void *arg); /* a segment goes to the senders */
	void *arg;
	struct senders *senders;
	uint64_t epoch;

	struct reader reader; /* into buf */
	struct uplink uplink; /* to ask for digests */
	struct codec *codec;
	struct tuner tuner;
	bool behind; /* the segment being built had to wait for memory */
	struct parcel *open; /* the segment being built; NULL: none */
	size_t filled; /* bytes of data in it, before compression */
	uint8_t *buf;
	size_t buf_size;
	uint8_t *expected; /* the appliance's digests of a piece to compare, as asked last */
	uint8_t *own, *theirs; /* digests of what is in the buffer, here and there */
	/* which part of a piece expected is of; compare.c */
	struct leaves {
		uint64_t from, to, piece_end, step;
	} leaves;
};

/* Room for size bytes in buf. */
int worker_buffer(struct worker *w, size_t size, struct err *e);
int worker_init(struct worker *w, struct agent *a, struct err *e);
void worker_clear(struct worker *w);

/* Read, compare and add a piece to the segment; full segments are sent on the way. */
int worker_piece(struct worker *w, const struct piece *p, struct err *e);
/* Hand what is left to the senders. */
void worker_flush(struct worker *w);
/* Forget what was not sent: the epoch is abandoned. */
void worker_forget(struct worker *w);

/* The digest of a block as the protocol has it (all zero bytes: wholly zero). (worker_send.c) */
void worker_digest(struct worker *w, const void *data, size_t len, uint8_t out[DIGEST_BYTES],
		   bool *zero);
/*
 * Add one extent of at most WIRE_BLOCK bytes to the segment of d; digest is NULL if unknown, else
 * as of worker_digest.
 */
int worker_add(struct worker *w, struct disk *d, uint64_t offset, const uint8_t *data, size_t len,
	       const uint8_t *digest, struct err *e);
/* The same for any length of zeros. */
int worker_add_zero(struct worker *w, struct disk *d, uint64_t offset, size_t len, struct err *e);
/* The appliance's digests of a range, asked until there is an answer. */
int worker_ask_digests(struct worker *w, struct disk *d, uint64_t offset, uint64_t length,
		       struct err *e);

#endif
