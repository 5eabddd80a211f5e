/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Committing an epoch: checks that all of it is here, then makes it visible for all disks of the machine in one transaction of the catalog.
 */
#ifndef APPLIANCE_COMMIT_H
#define APPLIANCE_COMMIT_H

#include "appliance/body.h"
#include "appliance/request.h"

/*
 * With m->lock held exclusively. *answer: JSON text, owned by the caller. The same body for the same epoch again gives the same answer. -EEXIST: conflict (the body says
 * something else than what is stored, or than what was committed); -EBADMSG.
 */
int commit_epoch(struct appliance *app, struct live_machine *m, uint64_t epoch,
		 struct body_commit *b, char **answer, struct err *e);

#endif
