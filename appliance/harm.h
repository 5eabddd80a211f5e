/* SPDX-License-Identifier: Apache-2.0 */
/* Which recovery points a damage harms: those from its epoch on, until later epochs have written all of it again. */
#ifndef APPLIANCE_HARM_H
#define APPLIANCE_HARM_H

#include "appliance/verify.h"

struct harm {
	struct damage damage;
	uint64_t
		until; /* the first epoch that has nothing of what is damaged; UINT64_MAX: none up to `last` */
};

/*
 * Find `until` of n damages of the disk, which are in the order of verify_disk(). One pass over the indexes of the journals up to epoch `last`, and one
 * map, however many points and damages there are; it has what overlaps a damage (of unknown extents: all), and no index is in memory. Keeps the lease.
 */
int harm_find(struct home *h, struct lease *l, const struct disk_row *d, uint64_t last,
	      struct harm *list, size_t n, struct err *e);

#endif
