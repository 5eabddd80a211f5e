/* SPDX-License-Identifier: Apache-2.0 */
/* One request to mobilityd over its socket. One thread; sleeps until the answer. */
#ifndef MOBILITY_CTL_CLIENT_H
#define MOBILITY_CTL_CLIENT_H

#include <jansson.h>

#include "lib/err.h"

/*
 * The answer, owned by the caller; NULL and *e when mobilityd refused (its sentence) or cannot be
 * asked. -ECONNREFUSED: it does not run. The request is borrowed.
 */
json_t *client_ask(const char *socket_path, const json_t *request, struct err *e);

#endif
