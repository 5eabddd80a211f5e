/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the content of a disk, and the knowledge of what changed, comes from: the kernel module
 * (kmod) or reading everything (scan). The rest of the agent sees this interface alone.
 *
 *	struct source	one disk. status() may be called from any thread, with the disk's lock held;
 *			mark, ack, drain_*, grow (with that lock held) and detach by the session; read by several workers at
 *			once, between drain_open and drain_close; mark by workers too.
 *	struct kmod	the module of this machine: the session. kmod_view from any thread.
 *	struct boundary	one epoch of the module: the session.
 *
 * All calls may sleep. Sizes and offsets are bytes. Errors are negative errnos; those with a
 * struct err fill it.
 */
#ifndef MOBILITY_AGENT_SOURCE_H
#define MOBILITY_AGENT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/identify.h"
#include "agent/reader.h"
#include "lib/err.h"

struct source;
struct boundary;

#define SOURCE_SUSPECT 1u /* writes of unknown range: resync */
#define SOURCE_RESIZED 2u
#define SOURCE_GONE 4u /* removed, or detached by somebody: nothing tracks it any more */

struct source_status {
	uint64_t size_now;
	uint64_t dirty_bytes; /* of the active epoch; 0 for a scan */
	uint64_t written_bytes; /* since attach; 0 for a scan */
	unsigned int events; /* SOURCE_* not acknowledged yet */
};

/* What is dirty in the epoch that is drained; valid until drain_close. */
struct source_map {
	bool present; /* the disk has a part in this epoch */
	const uint8_t *bitmap; /* bit n is granule n */
	uint64_t granules, dirty_granules;
	unsigned int shift;
};

struct source_ops {
	const char *name; /* "kmod" "scan" */
	bool tracks; /* has a bitmap and boundaries; else everything is read each time */
	int (*status)(struct source *s, struct source_status *out, struct err *e);
	int (*mark)(struct source *s, uint64_t offset, uint64_t length, struct err *e);
	int (*ack)(struct source *s, unsigned int events, struct err *e);
	/*
	 * Take the larger size that the disk has now, and with it size, without missing a write.
	 * -EAGAIN: not now, ask again; -ERANGE: it is smaller; another error: it stays as it is.
	 * NULL: it is to be opened again.
	 */
	int (*grow)(struct source *s, struct err *e);
	int (*drain_open)(struct source *s, struct boundary *b, struct source_map *out,
			  struct err *e);
	void (*drain_close)(struct source *s);
	/*
	 * Exactly len bytes, whole granules. buf is aligned to 4096 and has room for len rounded
	 * up to 4096, and via reads into it. -EIO: not readable (try a part); -ESTALE: the epoch is
	 * gone. Does not return to a thread that was left behind (reader.h).
	 */
	int (*read)(struct source *s, struct reader *via, void *buf, size_t len, uint64_t offset);
	/*
	 * [offset, offset + len) reads as zeros, without reading it; NULL: never known. Any thread,
	 * between drain_open and drain_close as read, and like it does not return to a thread that was left behind.
	 */
	bool (*hole)(struct source *s, struct reader *via, uint64_t offset, size_t len);
	int (*detach)(struct source *s, struct err *e); /* end tracking; close it after */
	void (*close)(struct source *s); /* tracking goes on without us */
};

/* The common part; implementations begin with it. Constant after opening, but for size: grow. */
struct source {
	const struct source_ops *ops;
	uint64_t size;
	unsigned int shift; /* of a granule */
	int poll_fd; /* POLLIN: dirty, POLLPRI: an event; -1: none */
	bool fresh; /* attached by this call, not found attached */
	char attach_id[33]; /* hex; "" for a scan */
};

/* path: a block device or plain file. */
int source_scan_open(const char *path, struct source **out, struct err *e);

/* --- kernel module ---------------------------------------------------------------------------- */

struct kmod;

enum kmod_mode { KMOD_ABSENT, KMOD_HOOK, KMOD_TRACK_ONLY };

struct kmod_view {
	enum kmod_mode mode;
	char reason[160]; /* why it is absent or tracks only */
	char module_id[33];
	uint64_t epoch, committed_epoch, pool_limit, pool_used, boundaries, torn_epochs;
	uint64_t held_writes, held_max_ns, held_total_ns;
};

/* -ENODEV (with the reason and remedy): the module is not loaded. */
int kmod_open(struct kmod **out, struct err *e);
void kmod_close(struct kmod *k);
int kmod_view(struct kmod *k, struct kmod_view *out, struct err *e);
const char *kmod_mode_name(enum kmod_mode m); /* "absent" "hook" "track-only" */

/* Attach, or find attached. */
int source_kmod_open(struct kmod *k, const char *path, struct source **out, struct err *e);
/* Find attached, never attach: -ENODEV. */
int source_kmod_find(struct kmod *k, const char *path, struct source **out, struct err *e);

struct boundary_info {
	uint64_t epoch; /* of the module */
	uint64_t realtime_ns, monotonic_ns;
};

/* Takes a boundary. -EAGAIN: the module is still busy with the last. */
int boundary_take(struct kmod *k, struct boundary **out, struct boundary_info *info, struct err *e);
/*
 * Is the epoch sealed, that is, has every write of it completed? Waits for that a moment (200 ms). 1 yes, 0 not yet: *in_flight of its writes are under
 * way.
 */
int boundary_sealed(struct boundary *b, uint64_t *in_flight, struct err *e);
/* Torn? reason ("" if not) has room for size bytes. */
int boundary_torn(struct boundary *b, bool *torn, char *reason, size_t size, struct err *e);
/* The epoch is durable elsewhere: forget its bits. */
int boundary_commit(struct boundary *b, struct err *e);
/* Without a commit before it, its bits go back into the active epoch. NULL is fine. */
void boundary_close(struct boundary *b);
int boundary_fd(const struct boundary *b); /* for source_kmod.c */

#endif
