/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One kept connection to the appliance and the patience to use it: a request is made again until it
 * is done, refused for good, or nobody wants it any more. A struct uplink belongs to one thread: each
 * sender and each worker has one, and the session.
 */
#ifndef MOBILITY_AGENT_UPLINK_H
#define MOBILITY_AGENT_UPLINK_H

#include "agent/agent.h"

struct uplink {
	struct agent *agent;
	bool (*given_up)(void *arg); /* nobody wants the answer any more */
	void (*beat)(void *arg); /* before each wait; NULL: nothing is to be done then */
	void *arg;
	/* its own */
	struct api *api; /* NULL: not connected yet */
	uint64_t identity; /* of the certificate that api uses */
};

/* The connection under the identity as it is now; api is NULL when there is none. */
int uplink_connect(struct uplink *u, struct err *e);
typedef int (*uplink_fn)(struct api *api, void *request, struct err *e);
/* 0, -ECANCELED, or a final error of api.h. */
int uplink_until(struct uplink *u, uplink_fn once, void *request, struct err *e);
void uplink_clear(struct uplink *u);

#endif
