/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking every stored digest of a disk: each block of the base, each segment of the journals (trailer, extents against their bytes), each index
 * against its journal. Content is judged extent by extent where the trailer proves the segment's extents or the index has the same; where neither is so
 * it is unknown what the journal wrote. One thread, with a lease on the machine.
 */
#ifndef APPLIANCE_VERIFY_H
#define APPLIANCE_VERIFY_H

#include "appliance/lease.h"
#include "appliance/point.h"

struct damage {
	uint64_t epoch; /* of the journal; 0: the base */
	uint64_t offset,
		length; /* on the disk; length 0: unknown what of it, at most what the journal wrote */
	char text[512]; /* what, and where in the store */
};

struct verify {
	struct home *home;
	struct lease *lease;
	const struct disk_row *disk;
	/* Called for each damage, the base's first, then those of the journals in the order of their epochs; neighbours come as one. */
	int (*found)(void *arg, const struct damage *d, struct err *e);
	void *arg;
	uint64_t checked; /* bytes of the store that were read and checked */
};

/* All that the disk's image as of `epoch` is made of (UINT64_MAX: all there is). 0 when all was looked at, damaged or not. */
int verify_disk(struct verify *v, uint64_t epoch, struct err *e);

#endif
