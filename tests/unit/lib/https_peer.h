/* SPDX-License-Identifier: Apache-2.0 */
/* A real TLS server (https_server.py), and certificates for it of our own making in the test's temporary folder. What fails ends the program. */
#ifndef MOBILITY_TEST_HTTPS_PEER_H
#define MOBILITY_TEST_HTTPS_PEER_H

#include <sys/types.h>

#include "lib/err.h"

struct https_peer {
	pid_t pid;
	int in; /* its stdin: it ends with us */
	unsigned int port, proxy;
};

void https_peer_check(int result, const struct err *e);
/* server, client and foreign (.key and .pem), ca and other-ca. */
void https_peer_certificates(void);
void https_peer_start(struct https_peer *s, const char *option);
void https_peer_stop(struct https_peer *s);

#endif
