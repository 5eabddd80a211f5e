// SPDX-License-Identifier: GPL-2.0
#include <linux/atomic.h>
#include <linux/kernel.h>

#include "epoch.h"

void mob_epochs_init(struct mob_epochs *m)
{
	m->word = mob_word(1, MOB_PHASE_OPEN);
	m->stage = MOB_STAGE_NONE;
	m->ended = 0;
	m->committed = 0;
	m->torn[0] = NULL;
	m->torn[1] = NULL;
	atomic64_set(&m->torn_epochs, 0);
}

u64 mob_epoch_begin(struct mob_epochs *m)
{
	u64 ended = mob_epoch_active(m);

	if (m->stage != MOB_STAGE_NONE)
		return 0;
	WRITE_ONCE(m->ended, ended);
	/* Release: the stage says that ended is to be read. */
	smp_store_release(&m->stage, MOB_STAGE_WINDOW);
	/*
	 * Release: whoever sees the new epoch sees its slots clear and the stage
	 * above. This one store is the boundary, for all disks at once.
	 */
	smp_store_release(&m->word, mob_word(ended + 1, MOB_PHASE_WINDOW));
	return ended;
}

/* A torn image needs no protection. Both changes of the phase race with each other. */
static void mob_epoch_stop_protecting(struct mob_epochs *m)
{
	u64 epoch = READ_ONCE(m->ended) + 1;

	cmpxchg64(&m->word, mob_word(epoch, MOB_PHASE_PROTECT), mob_word(epoch, MOB_PHASE_OPEN));
}

void mob_epoch_window_over(struct mob_epochs *m)
{
	u64 epoch = m->ended + 1;

	/* Release: readers are let in by the stage, and see the final bits. */
	smp_store_release(&m->stage, MOB_STAGE_CLOSING);
	/*
	 * The sections that marked for the ended epoch are over: its bits are final.
	 * Release: a writer that sees PROTECT sees every one of them.
	 */
	smp_store_release(&m->word, mob_word(epoch, MOB_PHASE_PROTECT));
	/*
	 * Full barrier, against the one in mob_epoch_tear(): either we see its reason,
	 * or it sees our phase; one of us takes the phase back.
	 */
	smp_mb();
	if (mob_epoch_torn(m, m->ended))
		mob_epoch_stop_protecting(m);
}

void mob_epoch_seal(struct mob_epochs *m)
{
	/* Release: what the completed writes left behind comes before the stage. */
	smp_store_release(&m->stage, MOB_STAGE_SEALED);
}

void mob_epoch_retire_begin(struct mob_epochs *m)
{
	WRITE_ONCE(m->stage, MOB_STAGE_RETIRING);
	mob_epoch_stop_protecting(m);
	/*
	 * Full barrier between the stage and the caller's look at readers, against the
	 * one in mob_epoch_reader_get(): a reader either sees the stage or is seen.
	 */
	smp_mb();
}

void mob_epoch_retire_end(struct mob_epochs *m, bool committed)
{
	WRITE_ONCE(m->torn[mob_parity(m->ended)], NULL);
	if (committed)
		WRITE_ONCE(m->committed, m->ended);
	/* Release: the slots are clear before the next boundary can use them. */
	smp_store_release(&m->stage, MOB_STAGE_NONE);
}

bool mob_epoch_reader_get(const struct mob_epochs *m, atomic_t *readers, u64 epoch)
{
	int stage;

	atomic_inc(readers);
	/* Pairs with the barrier in mob_epoch_retire_begin(). */
	smp_mb__after_atomic();
	/* Acquire: the stage says which epoch is ended. */
	stage = smp_load_acquire(&m->stage);
	if (stage != MOB_STAGE_NONE && stage != MOB_STAGE_RETIRING && READ_ONCE(m->ended) == epoch)
		return true;
	mob_epoch_reader_put(readers);
	return false;
}

void mob_epoch_reader_put(atomic_t *readers)
{
	/* Release: what the reader did to the slots comes before their clearing. */
	smp_mb__before_atomic();
	atomic_dec(readers);
}

static void mob_epoch_tear(struct mob_epochs *m, u64 epoch, const char *reason)
{
	const char **torn = &m->torn[mob_parity(epoch)];

	if (READ_ONCE(*torn) || cmpxchg(torn, NULL, reason))
		return;
	atomic64_inc(&m->torn_epochs);
}

void mob_epoch_tear_ended(struct mob_epochs *m, const char *reason)
{
	/* Acquire: the stage says which epoch is ended. */
	int stage = smp_load_acquire(&m->stage);

	if (stage == MOB_STAGE_NONE || stage == MOB_STAGE_RETIRING)
		return;
	mob_epoch_tear(m, READ_ONCE(m->ended), reason);
	/* Pairs with the barrier in mob_epoch_window_over(). */
	smp_mb();
	mob_epoch_stop_protecting(m);
}

void mob_epoch_tear_all(struct mob_epochs *m, const char *reason)
{
	mob_epoch_tear(m, mob_epoch_active(m), reason);
	mob_epoch_tear_ended(m, reason);
}
