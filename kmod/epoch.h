/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The epoch machine: which epoch is active, what a writer of it has to respect,
 * and how far the epoch before it has come. Nothing here knows of disks.
 *
 * A marking section is a stretch of code with local interrupts off that reads
 * mob_epochs.word once, takes an in-flight reference on the epoch in it and sets
 * bits. mob_sections_sync() returns when every section that began before it is
 * over: it sends an interrupt to every CPU, so it takes microseconds, whatever
 * the load. No writer ever waits for a boundary.
 *
 *	stage		phase of the word	what holds
 *	NONE		OPEN			no epoch is ended; a boundary may be taken
 *	WINDOW		WINDOW			a section may still mark for the ended epoch:
 *						a clear bit proves nothing
 *	CLOSING		PROTECT, or OPEN if torn the bits of the ended epoch are final, some
 *						of its writes are in flight
 *	SEALED		the same		all its writes have completed: it can be drained
 *	RETIRING	OPEN			its bits are dropped or given back
 *
 *	function				caller
 *	mob_epoch_begin, _window_over, _seal,
 *	_retire_begin, _retire_end		serialised (mob_mutex)
 *	mob_epoch_tear_all			within a marking section
 *	mob_epoch_tear_ended			within a section, or a reader
 *	mob_epoch_reader_get, _put		anybody; a reader may sleep, and nobody
 *						clears the slots that its count guards
 *						meanwhile; their bits are final from
 *						CLOSING on
 *	everything else				anybody, any context
 */
#ifndef MOB_EPOCH_H
#define MOB_EPOCH_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/types.h>

enum mob_phase {
	MOB_PHASE_OPEN		= 0,
	MOB_PHASE_WINDOW	= 1,
	MOB_PHASE_PROTECT	= 2,
};

enum mob_stage {
	MOB_STAGE_NONE,
	MOB_STAGE_WINDOW,
	MOB_STAGE_CLOSING,
	MOB_STAGE_SEALED,
	MOB_STAGE_RETIRING,
};

struct mob_epochs {
	/* Active epoch << 2 | phase: one load tells a writer all it needs. */
	u64 word ____cacheline_aligned;

	int stage ____cacheline_aligned;	/* enum mob_stage */
	u64 ended;				/* the epoch of any stage but NONE */
	u64 committed;				/* the last one, 0 if none */
	const char *torn[2];			/* by parity: the first reason */
	atomic64_t torn_epochs;
};

static inline u64 mob_word(u64 epoch, enum mob_phase phase)
{
	return epoch << 2 | phase;
}

static inline u64 mob_word_epoch(u64 word)
{
	return word >> 2;
}

static inline enum mob_phase mob_word_phase(u64 word)
{
	return word & 3;
}

/* The slot of bitmaps and counters that an epoch uses. */
static inline unsigned int mob_parity(u64 epoch)
{
	return epoch & 1;
}

/*
 * Acquire: pairs with the releases of the word. Whoever sees an epoch sees its slots
 * as they were cleared for it, and whoever sees PROTECT the final bits of the ended one;
 * a stale safe bit of an earlier epoch would let an overwrite through.
 */
static inline u64 mob_epoch_word(const struct mob_epochs *m)
{
	/* Acquire: as said above. */
	return smp_load_acquire(&m->word);
}

static inline u64 mob_epoch_active(const struct mob_epochs *m)
{
	return mob_word_epoch(mob_epoch_word(m));
}

static inline enum mob_stage mob_epoch_stage(const struct mob_epochs *m)
{
	return READ_ONCE(m->stage);
}

/* The active epoch is 1. */
void mob_epochs_init(struct mob_epochs *m);

/*
 * Publishes the next epoch. The slots of the next parity must be clear. Returns
 * the epoch that this ended; 0 if another one is not retired yet. The caller then
 * calls mob_sections_sync() and mob_epoch_window_over().
 */
u64 mob_epoch_begin(struct mob_epochs *m);
void mob_epoch_window_over(struct mob_epochs *m);

/* Every write of the ended epoch has completed. */
void mob_epoch_seal(struct mob_epochs *m);

/*
 * From here on no new reader is let in and no writer looks at the ended epoch.
 * The caller then calls mob_sections_sync(), waits until there is no reader of any slot that it
 * clears (mob_epoch_has_readers()), clears those of the ended parity and calls _retire_end().
 */
void mob_epoch_retire_begin(struct mob_epochs *m);
void mob_epoch_retire_end(struct mob_epochs *m, bool committed);

/*
 * A reference on the slots that @readers counts the readers of, if @epoch is the ended one. Each
 * disk has a count of its own: a reader of one that does not answer keeps no other's slots.
 */
bool mob_epoch_reader_get(const struct mob_epochs *m, atomic_t *readers, u64 epoch);
void mob_epoch_reader_put(atomic_t *readers);

static inline bool mob_epoch_has_readers(const atomic_t *readers)
{
	/* Acquire: pairs with mob_epoch_reader_put(). */
	return atomic_read_acquire(readers) != 0;
}

/* @reason must live as long as the module. The first reason stays. */
void mob_epoch_tear_ended(struct mob_epochs *m, const char *reason);
void mob_epoch_tear_all(struct mob_epochs *m, const char *reason);

/* NULL if @epoch, the active or the ended one, is not torn. */
static inline const char *mob_epoch_torn(const struct mob_epochs *m, u64 epoch)
{
	return READ_ONCE(m->torn[mob_parity(epoch)]);
}

#endif
