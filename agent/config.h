/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of the agent (/etc/mobility/mobility.conf), shared by mobilityd and
 * mobilityctl. Loaded once before threads start and constant afterwards: any thread may read it.
 */
#ifndef MOBILITY_AGENT_CONFIG_H
#define MOBILITY_AGENT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/window.h"
#include "lib/err.h"
#include "lib/timetable.h"

#define CONFIG_PATH "/etc/mobility/mobility.conf"

enum source_choice { SOURCE_AUTO, SOURCE_KMOD, SOURCE_SCAN };

struct config {
	char *state_dir, *socket, *shim_socket;
	int log_level; /* enum log_level */
	int source; /* enum source_choice: for disks protected without --source */
	uint64_t workers; /* threads that read and compress */
	uint64_t connections; /* segments that are on their way at a time */
	uint64_t memory_limit; /* bytes: what was read and is not acknowledged */
	int compression; /* enum wire_codec */
	uint64_t compression_level; /* 0: adapts */
	bool skip_swap, skip_free; /* what initial replication sends as zeros */
	uint64_t min_epoch_interval, scan_interval; /* ns */
	uint64_t app_consistent_interval; /* ns, 0: off */
	uint64_t connect_timeout, stall_timeout; /* ns */
	char *proxy; /* NULL or "": none */
	char *no_proxy; /* NULL: none */
	char *bandwidth_limit; /* as it was written; NULL: none */
	struct timetable bandwidth; /* what it says */
	char *resync_window_text;
	struct window resync_window; /* that text, parsed */
	uint64_t verify_rate; /* bytes/s of the background verification; 0: off */
};

/* path NULL: CONFIG_PATH, which may be absent; a path that was asked for must exist. */
int config_load(const char *path, struct config *c, struct err *e);
void config_clear(struct config *c);

const char *source_choice_name(enum source_choice s); /* "auto" "kmod" "scan" */
int source_choice_parse(const char *name); /* enum source_choice or -EINVAL */

#endif
