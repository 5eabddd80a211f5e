/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Preserve on overwrite: a write to an undrained granule of the ended epoch is held,
 * by a worker, just until the old content of the granule is in the pool.
 *
 * The order that makes it lock-free for the writers: a copy is visible before
 * the granule's safe bit is set, and the bit before any overwrite is issued; a drain
 * reads the disk first and looks for a copy then.
 */
#ifndef MOB_PRESERVE_H
#define MOB_PRESERVE_H

#include <linux/types.h>

struct bio;
struct mob_disk;
struct mob_io;

/* Takes the bio over; it is issued later, whatever happens. Any context. */
void mob_preserve_hold(struct mob_io *io, struct bio *bio);

/* Wakes the held writes: the closing window is over. */
void mob_preserve_window_over(void);

/* Frees every copy of the disk. No reader of the ended epoch is left. */
void mob_preserve_forget(struct mob_disk *disk);

/* The bytes of a granule that lie on the disk: the last one may be short. */
unsigned int mob_granule_length(const struct mob_disk *disk, u64 granule);

#endif
