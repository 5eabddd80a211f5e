/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets to listen on. Any thread.
 */
#ifndef APPLIANCE_LISTEN_H
#define APPLIANCE_LISTEN_H

#include <stddef.h>
#include <sys/socket.h>

#include "lib/err.h"

/* Split "ADDR:PORT" or "[ADDR6]:PORT"; numeric only; -EINVAL. */
int listen_parse(const char *text, struct sockaddr_storage *address, socklen_t *len, struct err *e);
/* A listening socket; *port is the port it has (a free one for port 0). */
int listen_open(const char *text, unsigned int *port, struct err *e);
/* The address without the port, for logs and limits. */
void listen_peer(const struct sockaddr *address, char *out, size_t size);

#endif
