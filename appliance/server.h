/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two HTTPS listeners, over libmicrohttpd: connections, limits, bodies, the peer's identity; what a request means is router.h's and api.h's.
 * One server for each process; start and stop belong to the main thread. Each connection has a thread, so handlers may sleep.
 */
#ifndef APPLIANCE_SERVER_H
#define APPLIANCE_SERVER_H

#include "appliance/request.h"

struct server;

/* Listen and serve; app->control_port and data_port are set. tls_load() comes before. */
int server_start(struct appliance *app, struct server **out, struct err *e);
/* No new connections; requests under way end; NULL is fine. */
void server_stop(struct server *s);

#endif
