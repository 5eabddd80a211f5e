/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What reaches a disk past the bios: commands that userspace or a driver makes up, for the
 * disk, for its controller or for a disk below it, and the requests of a request-based device
 * mapper. Their range is unknown, so the disk is flagged (MOB_EVENT_SUSPECT) and the epochs are
 * torn. Any context, nothing here sleeps.
 */
#ifndef MOB_PASSTHROUGH_H
#define MOB_PASSTHROUGH_H

struct gendisk;
struct request;

/* A request is about to be executed, or has been; @gd is the disk that it goes to, or NULL. */
void mob_passthrough(struct request *rq, const struct gendisk *gd);

/* A clone of a request is handed to the disk below. */
void mob_passthrough_cloned(struct request *rq);

#endif
