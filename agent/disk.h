/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protected disk while the agent runs, and the table of them. The session alone creates,
 * changes and removes disks; status readers walk the table under RCU.
 *
 *	members				written by	read by
 *	key, name, file, choice, reads	nobody		anybody
 *	view part			the session,	the session; others under disk->lock
 *					under disk->lock
 *	session part			the session	the session
 *	atomics				workers		anybody
 *	meters				main thread	status; both under disk->lock
 */
#ifndef MOBILITY_AGENT_DISK_H
#define MOBILITY_AGENT_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/continuity.h"
#include "agent/left_out.h"
#include "agent/meter.h"
#include "agent/reader.h"
#include "agent/scan_digests.h"
#include "agent/skip.h"
#include "agent/source.h"
#include "agent/state.h"
#include "agent/unread.h"
#include "agent/verify.h"
#include "lib/digest.h"

struct disk {
	char key[STATE_TEXT], name[STATE_TEXT];
	bool file;
	enum source_choice choice;
	struct reads *reads; /* under way; workers */

	pthread_mutex_t lock;
	/* view */
	char path[PATH_MAX];
	struct source *source; /* NULL: unreachable */
	uint64_t size;
	char id[UUID_TEXT_BYTES]; /* the appliance's; "" until registered */
	enum disk_state state;
	uint64_t replicated;
	char resync_cause[STATE_TEXT];
	char error[512], remedy[256]; /* of this disk; "" if none */
	struct meter churn, progress;
	bool waiting; /* a resync that has not begun and waits for the window */
	unsigned int failures; /* epochs of a resync that failed in a row */
	char failure[512]; /* why the last of them did */

	/* under disk->lock: workers add, the session begins and judges */
	struct unread unread; /* of the epoch under way */
	struct unread unread_told; /* of the last that was judged */
	uint64_t
		reread_ns; /* monotonic: until then what could not be read is not tried; 0: it is */
	uint64_t reread_wait_ns;

	/* session */
	uint8_t id_bytes[UUID_BYTES];
	uint64_t slice; /* length of the next slice */
	uint64_t slice_end; /* of the slice in the epoch under way; the size when protected */
	char remote_source[CONTINUITY_SOURCE_BYTES]; /* of the appliance's last commit of it */
	char attach_id[STATE_HEX_ID]; /* that the module last tracked it under; "" none */
	bool resync_now; /* the resync does not wait for the window */
	bool restart; /* a resync from 0 was decided; the next commit tells the appliance */
	bool in_epoch; /* it has content in the epoch under way */
	struct skip_set skip; /* of the slice in the epoch under way: not marked, sent as zeros */
	struct left_out
		left_out; /* all that was, since the disk was last read from its beginning */
	uint64_t scanned_ns; /* monotonic time when the last scan began; 0 never */
	uint64_t look_ns; /* monotonic time at which an unreachable disk is looked for again */
	struct scan_digests *digests; /* of a scan; NULL else */
	struct verify verify; /* verify.h */
	struct compare *compare; /* of the drain under way; NULL: it compares nothing */

	/* workers */
	_Atomic uint32_t segments; /* handed out in the epoch under way */
	_Atomic uint32_t extents; /* in it; zeros that are joined count each */
	_Atomic uint64_t put_off; /* bytes that it has no room for: they come with the next */
	_Atomic uint64_t drained, planned; /* bytes of the epoch under way */
	_Atomic uint64_t changed_at; /* where the second reading found a change; UINT64_MAX none */
};

struct disk *disk_new(const struct state_disk *from); /* NULL: out of memory */
/* Closes the source (tracking goes on). */
void disk_free(struct disk *d);

void disk_set_source(struct disk *d,
		     struct source *s); /* closes the one before; NULL: unreachable */
void disk_set_error(struct disk *d, const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void disk_clear_error(struct disk *d);
/*
 * What cannot be read becomes the disk's error. Each epoch tries again: until it has found more than
 * the one before, the error stays as that one left it. A disk may take seconds for each failure: where the last epoch failed a tracked one is
 * spared for a while (5 s to a minute), unless somebody waits for the epoch (now).
 */
void disk_unread_begin(struct disk *d, bool now);
/* Is a part of the range not to be tried now? Workers. */
bool disk_spared(struct disk *d, uint64_t offset, uint64_t length);
void disk_unread(struct disk *d, uint64_t offset, uint64_t length); /* workers */
bool disk_has_unread(struct disk *d); /* since disk_unread_begin() */
/* All of the epoch was tried: bytes that could not be read. *news: they are not those of the last time. */
uint64_t disk_unread_judge(struct disk *d, bool *news);
uint64_t disk_unread_told(struct disk *d); /* bytes, of the last epoch that was judged */
/* Read of a source of the disk, its own or another, through a worker's reader: as its read. */
int disk_read(struct disk *d, struct source *s, struct reader *via, void *buf, size_t len,
	      uint64_t offset);
/* Does its source know that there is nothing there? As its hole. */
bool disk_hole(struct disk *d, struct reader *via, uint64_t offset, size_t len);
/* For how long none of the reads under way has come back, one left behind included; 0: none is. Any thread. */
uint64_t disk_reading_ns(const struct disk *d);
void disk_set_state(struct disk *d, enum disk_state state, uint64_t replicated, const char *cause);

struct disk_table {
	size_t count;
	struct disk *disk[];
};

/* NULL: none by this key. */
struct disk *disk_table_find(const struct disk_table *t, const char *key);

#endif
