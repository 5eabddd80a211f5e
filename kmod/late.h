/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes that were on their way when their disk was attached, whole or in part: nobody counts
 * them, so their completion marks what they wrote, in the epoch that is active then. So does that
 * of writes that track-only mode does not see before, and an ended epoch that they may have got
 * into is torn. Nothing here sleeps.
 *
 *	mob_late_may_count, _note_front, _mark_polled	in the marking section
 *	mob_late_complete				any context
 */
#ifndef MOB_LATE_H
#define MOB_LATE_H

struct bio;
struct mob_disk;
struct mob_io;

/*
 * On a disk that takes bios. Device mapper keeps a list of its own in the bi_private of a bio
 * that is polled for, so nobody polls for one that we count. False: it has begun to split the
 * bio before the attachment, and has its list or is about to. Then the bio is to be passed to
 * mob_late_mark_polled(), and its completion marks it again.
 */
bool mob_late_may_count(struct bio *bio);
void mob_late_mark_polled(struct mob_disk *disk, struct bio *bio);

/* The bio, of a disk that takes bios, got the context @io. Its front may be on its way already. */
void mob_late_note_front(struct mob_io *io, struct bio *bio);

/*
 * A bio that is not tracked on its disk, at its completion. @advanced: over what it did, perhaps;
 * else its range is what it will have done.
 */
void mob_late_complete(struct bio *bio, bool advanced);

#endif
