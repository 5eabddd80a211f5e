/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May deltas go on from what the appliance has, or must a disk be read again? Clean is proven,
 * dirty is assumed: replication goes on only when the attachment is the one that the appliance's
 * last commit names, and the module was never told to forget more than the appliance has. Pure
 * functions; any thread.
 */
#ifndef MOBILITY_AGENT_CONTINUITY_H
#define MOBILITY_AGENT_CONTINUITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_state { DISK_INITIAL, DISK_RESYNC, DISK_PROTECTED };

const char *disk_state_name(enum disk_state s); /* as in the protocol */
int disk_state_parse(const char *name); /* enum disk_state or -EINVAL */

#define CONTINUITY_SOURCE_BYTES 256
#define CONTINUITY_CAUSE_BYTES 200

/* "kmod:ATTACH_ID:EPOCH"; attach_id is 32 hex digits. */
void continuity_format(char out[CONTINUITY_SOURCE_BYTES], const char *attach_id, uint64_t epoch);
/* -EINVAL for anything else */
int continuity_parse(const char *source, char attach_id[33], uint64_t *epoch);

#define RESYNC_OPERATOR "the operator asked for it"

struct continuity_in {
	/* here */
	bool tracked; /* by the module, else scanned */
	const char *attach_id, *module_id, *boot_id;
	uint64_t module_epoch, committed_epoch; /* of the module: active, last told to forget */
	uint64_t size, granule;
	/* what the agent recorded when it last decided to go on; "" if never */
	const char *old_attach_id, *old_module_id, *old_boot_id;
	const char *cause; /* recorded cause of a resync that is due or under way; "" */
	bool older; /* the appliance had committed more before than it has now */
	bool grown; /* it is larger than the appliance knew it */
	bool requested; /* a resync from 0 is due, whatever the appliance says */
	/* the appliance's disk object */
	enum disk_state state;
	uint64_t replicated, remote_size, remote_epoch;
	const char *source;
};

struct continuity_out {
	enum disk_state state;
	uint64_t replicated; /* go on from here: the size, or a multiple of the granule */
	bool restart; /* a resync that begins now */
	char cause[CONTINUITY_CAUSE_BYTES]; /* of a resync, "" else */
};

void continuity_decide(const struct continuity_in *in, struct continuity_out *out);

#endif
