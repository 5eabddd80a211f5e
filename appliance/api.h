/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handlers of docs/protocol.md, one for each method and path. Each runs in the thread of its connection, may sleep, gets a request whose path and
 * certificate were checked and whose body is whole, and leaves exactly one reply in it.
 */
#ifndef APPLIANCE_API_H
#define APPLIANCE_API_H

#include "appliance/request.h"

/* api_identity.c */
void api_ca(struct request *r);
void api_enroll(struct request *r);
void api_renew(struct request *r);
/* api_disks.c */
void api_disk_put(struct request *r);
void api_disk_get(struct request *r);
void api_disk_delete(struct request *r);
void api_disk_doubt(struct request *r);
/* api_machine.c */
void api_machine(struct request *r);
void api_points(struct request *r);
/* api_epochs.c */
void api_epoch_open(struct request *r);
void api_commit(struct request *r);
/* api_segments.c */
void api_segment(struct request *r);
/* api_digests.c */
void api_digests(struct request *r);

/* JSON forms; NULL: out of memory. */
json_t *json_of_disk(const struct disk_row *d);
/* disks: of the point, n of them; writers: JSON array as text, "": none */
json_t *json_of_point(const struct point_row *p, const struct point_disk *disks, size_t n,
		      const char *writers);
json_t *json_of_points(struct catalog *c, const char *machine, size_t limit, struct err *e);

#endif
