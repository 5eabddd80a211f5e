/* SPDX-License-Identifier: Apache-2.0 */
/*
 * appliance.conf: what an operator can set. Read once at start, constant after; any thread may read it then.
 */
#ifndef APPLIANCE_CONFIG_H
#define APPLIANCE_CONFIG_H

#include <stdint.h>

#include "lib/err.h"

struct config {
	char *names; /* of the server certificate, comma-separated */
	int log_level;
	char *control, *data; /* ADDR:PORT to listen on */
	uint64_t connections; /* on each listener */
	uint64_t connections_per_address;
	uint64_t idle_timeout_ns;
	uint64_t body_memory; /* bytes of request bodies held at once */
	uint64_t map_memory; /* bytes of the maps of disks */
	uint64_t client_life_ns, server_life_ns; /* of certificates */
	int store_type;
	uint64_t reserve; /* bytes of the filesystem never used for segments */
	uint64_t retention_ns, point_interval_ns, all_points_for_ns, policy_interval_ns;
};

/* 0 or a negative errno; on success config_clear() frees what *c owns. */
int config_load(const char *path, struct config *c, struct err *e);
/* The same of the text of such a file. */
int config_parse(const char *text, struct config *c, struct err *e);
void config_clear(struct config *c);
/* The file that `init` writes. Values must not hold a newline. The caller frees; NULL: out of memory. */
char *config_text(const char *names, const char *control, const char *data);

#endif
