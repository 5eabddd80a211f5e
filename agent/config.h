/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of the agent (/etc/mobility/mobility.conf), shared by mobilityd and
 * mobilityctl. Loaded once before threads start and constant afterwards: any thread may read it.
 */
#ifndef MOBILITY_AGENT_CONFIG_H
#define MOBILITY_AGENT_CONFIG_H

#include <stdint.h>

#include "lib/err.h"

#define CONFIG_PATH "/etc/mobility/mobility.conf"

enum source_choice { SOURCE_AUTO, SOURCE_KMOD, SOURCE_SCAN };

struct config {
	char *state_dir, *socket;
	int log_level; /* enum log_level */
	int source; /* enum source_choice: for disks protected without --source */
	uint64_t workers; /* threads that read and compress */
	uint64_t connections; /* segments that are on their way at a time */
	uint64_t memory_limit; /* bytes: what was read and is not acknowledged */
	int compression; /* enum wire_codec */
	uint64_t compression_level; /* 0: adapts */
	uint64_t min_epoch_interval, scan_interval; /* ns */
	uint64_t connect_timeout, stall_timeout; /* ns */
	char *proxy; /* NULL or "": none */
};

/* path NULL: CONFIG_PATH, which may be absent; a path that was asked for must exist. */
int config_load(const char *path, struct config *c, struct err *e);
void config_clear(struct config *c);

const char *source_choice_name(enum source_choice s); /* "auto" "kmod" "scan" */
int source_choice_parse(const char *name); /* enum source_choice or -EINVAL */

#endif
