/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent remembers between its lives: STATE_DIR/state.json, replaced atomically at each
 * change. The keys and certificates are files beside it. What was replicated is not here: the
 * appliance knows it.
 *
 * A struct store may be used from any thread. A struct state is a private copy of its caller.
 */
#ifndef MOBILITY_AGENT_STATE_H
#define MOBILITY_AGENT_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/config.h"
#include "agent/continuity.h"
#include "agent/left_out.h"
#include "lib/err.h"

#define STATE_DISKS_MAX 256
#define STATE_FILE "state.json" /* in the state directory */
#define STATE_FILE_MAX (8u << 20)
#define STATE_TEXT 256
#define STATE_HEX_ID 33 /* 16 bytes as hex, with the terminator */

struct state_disk {
	char key[STATE_TEXT]; /* the stable name, also the appliance's */
	char name[STATE_TEXT];
	char path[PATH_MAX]; /* where it was when it was last seen */
	char path_boot_id[STATE_TEXT]; /* and in which life of the machine; "" not known */
	bool file; /* a plain file */
	enum source_choice source;
	enum disk_state last_state; /* to show until the appliance has told it */
	bool removing; /* protection ended here; the appliance has not been told yet */
	/* Of the attachment that replication last went on from; "" if none. */
	char attach_id[STATE_HEX_ID], module_id[STATE_HEX_ID], boot_id[STATE_TEXT];
	char resync_cause[STATE_TEXT]; /* "" unless a resync is due or under way */
	bool resync_requested; /* to begin from 0; cleared when the appliance knows */
	bool resync_scheduled; /* the operator asked for one at the next resync_window */
	uint64_t
		proven_ns; /* real time at which it was last proven equal on the appliance; 0 never */
	uint64_t proven_epoch; /* verify.h; the appliance's number; 0: not known */
	struct left_out left_out; /* since the disk was last read from its beginning */
	bool resync_now; /* it does not wait for the window */
};

struct state {
	char host[STATE_TEXT]; /* of the appliance; "" before enrolment */
	unsigned int control_port, data_port;
	char machine[40]; /* "" before enrolment */
	bool paused;
	struct state_disk *disk;
	size_t disk_count;
};

void state_clear(struct state *s);
struct state_disk *state_find(struct state *s, const char *key); /* NULL: none */
/* A zeroed disk at the end of the list; NULL: out of memory, or too many. */
struct state_disk *state_add(struct state *s);
void state_remove(struct state *s, const char *key);

/* For the file and for tests. The caller frees the text. NULL: out of memory, or not all of it is UTF-8. */
char *state_to_text(const struct state *s);
int state_from_text(const char *text, size_t len, struct state *out, struct err *e);

struct store;
/* Creates dir (0700). -EBUSY: another agent uses it. */
int store_open(const char *dir, struct store **out, struct err *e);
void store_close(struct store *s);
int store_copy(struct store *s, struct state *out, struct err *e); /* state_clear it */

/*
 * Change the state: edit gets a copy, which becomes the state when it returned 0 and the file has
 * been replaced. announce: the change is for the session to act on (store_generation grows).
 */
int store_update(struct store *s, bool announce,
		 int (*edit)(struct state *st, void *arg, struct err *e), void *arg, struct err *e);
uint64_t store_generation(struct store *s);
/* Did the last write of the file fail? e (NULL: nobody asks): why, code 0 if it did not. */
bool store_failing(struct store *s, struct err *e);
/*
 * If so, and 10 s are over, write what is there: that tells when it works again. Then the generation
 * grows, so that the session goes through what could not be changed.
 */
void store_retry(struct store *s);

/* STATE_DIR/name; borrowed, lives as long as the store. */
const char *store_ca_file(struct store *s);
const char *store_cert_file(struct store *s);
const char *store_key_file(struct store *s);
const char *store_new_key_file(struct store *s); /* of an enrolment under way */

#endif
