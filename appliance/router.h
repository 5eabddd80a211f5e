/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From method and path to handler. Pure: any thread.
 */
#ifndef APPLIANCE_ROUTER_H
#define APPLIANCE_ROUTER_H

#include "appliance/request.h"

struct route {
	const char *method,
		*path; /* with {d}, {e}, {n} for a disk id, an epoch and a segment number */
	unsigned int listeners; /* of enum listener */
	bool open; /* for anybody, without a certificate */
	size_t body_max; /* 0: the method has no body */
	bool secret; /* what is wrong with the body is not logged */
	void (*handler)(struct request *r);
};

/* The route, with the path's parts in r; NULL with the reply made (not-found, method). */
const struct route *router_find(struct request *r);

#endif
