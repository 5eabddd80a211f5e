/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mobilityctl asks of mobilityd: one JSON object a connection, ended by a newline or the end
 * of the stream, answered by one JSON object: {"ok": true, …} or {"ok": false, "error":
 * SENTENCE}. Pure; any thread. The bytes are not trusted.
 */
#ifndef MOBILITY_AGENT_REQUEST_H
#define MOBILITY_AGENT_REQUEST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/bookmark.h"
#include "agent/config.h"
#include "lib/err.h"

#define REQUEST_MAX 65536 /* bytes */
#define REQUEST_DISKS_MAX 64
#define REQUEST_TOKEN_MAX 4096

enum command {
	COMMAND_ENROLL,
	COMMAND_PROTECT,
	COMMAND_UNPROTECT,
	COMMAND_STATUS,
	COMMAND_BOOKMARK,
	COMMAND_RESYNC,
	COMMAND_VERIFY,
	COMMAND_PAUSE,
	COMMAND_RESUME,
	COMMAND_EXPLAIN,
	COMMAND_WRITERS,
};

struct request {
	enum command command;
	/* enroll */
	char host[256];
	unsigned int port;
	char fingerprint[80];
	char token[REQUEST_TOKEN_MAX + 1];
	/* protect, unprotect, resync; verify: none are all */
	char *disk[REQUEST_DISKS_MAX]; /* owned */
	size_t disk_count;
	int source; /* enum source_choice, or -1: as configured */
	bool now; /* resync: without waiting for the window */
	/* bookmark */
	char name[BOOKMARK_NAME_BYTES]; /* "" if none */
	uint64_t timeout_ns;
	bool app;
};

int request_parse(const void *data, size_t len, struct request *out, struct err *e);
void request_clear(struct request *q); /* also wipes the token */

#endif
