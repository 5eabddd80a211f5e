/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The watch looks at every attached disk now and then: has it been removed or
 * resized, has it an event or enough dirty bytes to wake who polls? Writers never
 * wake anybody themselves. Process context.
 */
#ifndef MOB_WATCH_H
#define MOB_WATCH_H

#include <linux/types.h>

struct mob_disk;

/* A disk was attached, or a threshold set: look soon. */
void mob_watch_start(void);
/* For unload, when no disk is left. */
void mob_watch_stop(void);

/* Are the dirty bytes of the active epoch at or above the threshold? */
bool mob_watch_over_threshold(const struct mob_disk *disk);

#endif
