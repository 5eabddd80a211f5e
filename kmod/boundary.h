/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Boundaries over all attached disks, and the way of the ended epoch from closing
 * to retired. Process context. Never called with mob_mutex held.
 */
#ifndef MOB_BOUNDARY_H
#define MOB_BOUNDARY_H

#include <linux/types.h>
#include <linux/wait.h>

#include <mobility/uapi.h>

/* Woken when the ended epoch is sealed or retired. */
extern wait_queue_head_t mob_epoch_wait;

/*
 * Takes a boundary and fills the out fields but the descriptor. Waits for no I/O and no
 * writer: a filesystem may be frozen around it. -EBUSY, -ENODEV as in uapi.h.
 */
int mob_boundary_take(struct mob_advance *args);

/* Forgets a sealed epoch. -EAGAIN: still closing. -ESTALE: retired. -EINTR: killed, it goes on. */
int mob_boundary_commit(u64 epoch);

/* Gives the epoch's bits back, as soon as it is sealed; nothing if it is retired. */
void mob_boundary_abandon(u64 epoch);

/* MOB_EPOCH_CLOSING or _SEALED, or -ESTALE. */
int mob_boundary_state(u64 epoch);

/* For unload, when no disk is left. */
void mob_boundary_stop(void);

#endif
