/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the disks of a recovery point as image files, every digest checked on the way. One thread; sleeps.
 */
#ifndef APPLIANCE_EXPORT_H
#define APPLIANCE_EXPORT_H

#include "appliance/lease.h"
#include "appliance/point.h"

/*
 * Write size bytes of the image as the sparse file folder/name.raw: complete and durable, or not there. *data: bytes that were not holes.
 * -EILSEQ, -EBADMSG: the stored data is damaged, *e says where. -EBUSY: another export is writing that file.
 */
int export_raw(const struct image *im, struct lease *lease, uint64_t size, const char *folder,
	       const char *name, uint64_t *data, struct err *e);

#endif
