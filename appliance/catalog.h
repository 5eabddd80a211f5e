/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog: machines, tokens, disks, epochs, recovery points, leases and known damage, in one SQLite file (WAL,
 * synchronous=FULL: what a function reports as done outlives a power cut). One struct catalog for each process; its
 * functions may be called from any thread (one lock inside) and may sleep on the disk. Other processes may have the
 * same file open (the commands that work while `serve` runs).
 *
 * All functions return 0 (or a count) or a negative errno with a sentence in *e: -ENOENT no such row, -EBUSY another
 * process held the file for long, -ENOSPC, -EUCLEAN damaged file. Lists are allocated; the caller frees them.
 * Times are ns since the Unix epoch, sizes bytes.
 */
#ifndef APPLIANCE_CATALOG_H
#define APPLIANCE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/digest.h"
#include "lib/err.h"

#define TEXT_MAX 256 /* with the terminator: host names, keys, names, sources */
#define REASON_MAX 512 /* with the terminator */

struct catalog;

int catalog_open(const char *path, bool create, struct catalog **out, struct err *e);
void catalog_close(struct catalog *c); /* NULL is fine */

/* --- machines and tokens ------------------------------------------------------------------ */

struct machine_row {
	char id[UUID_TEXT_BYTES];
	char hostname[TEXT_MAX];
	uint64_t enrolled; /* time */
	uint64_t used_epoch; /* the largest epoch number ever given */
	uint64_t committed; /* the last committed epoch, 0: none */
	uint64_t open_epoch; /* 0: none is open */
	char open_attempt[UUID_TEXT_BYTES];
};

int catalog_machine(struct catalog *c, const char *id, struct machine_row *m, struct err *e);
/* *list has the returned number of rows, by time of enrolment. */
int catalog_machines(struct catalog *c, struct machine_row **list, struct err *e);

struct token_row {
	uint8_t digest[DIGEST_BYTES]; /* of the token; the token itself is nowhere */
	uint64_t expires;
	bool used;
	uint8_t key_digest[DIGEST_BYTES]; /* of the key that used it */
	char machine[UUID_TEXT_BYTES];
	char *certificate; /* owned by the row */
	uint64_t certificate_expires;
};

int catalog_token_add(struct catalog *c, const uint8_t digest[DIGEST_BYTES], uint64_t expires,
		      struct err *e);
int catalog_token(struct catalog *c, const uint8_t digest[DIGEST_BYTES], struct token_row *t,
		  struct err *e);
/* Uses the token up and adds the machine, both or neither; -EEXIST: the token was used meanwhile. */
int catalog_enrol(struct catalog *c, const struct token_row *t, const char *hostname, uint64_t now,
		  struct err *e);
int catalog_tokens_expire(struct catalog *c, uint64_t now, struct err *e);

/* --- disks -------------------------------------------------------------------------------- */

enum disk_state { DISK_INITIAL, DISK_RESYNC, DISK_PROTECTED };

struct disk_row {
	char id[UUID_TEXT_BYTES];
	char machine[UUID_TEXT_BYTES];
	char key[TEXT_MAX], name[TEXT_MAX], source[TEXT_MAX];
	uint64_t size, granule, replicated;
	enum disk_state state;
	uint64_t epoch; /* the last committed epoch that had the disk */
	bool active; /* part of new epochs */
	uint64_t base_epoch; /* the base is the disk's image as of this epoch */
	uint64_t fold_target; /* the epoch that a fold under way goes to, 0: none */
	uint64_t fold_block; /* the first block that this fold has not made durable */
	bool fold_active; /* this fold may be writing right now, or was when it was killed */
};

const char *disk_state_name(enum disk_state s);
int disk_state_parse(const char *s); /* enum disk_state or -EINVAL */

int catalog_disk(struct catalog *c, const char *id, struct disk_row *d, struct err *e);
int catalog_disk_by_key(struct catalog *c, const char *machine, const char *key, struct disk_row *d,
			struct err *e);
/* Disks of the machine (NULL: of all), by machine and name. */
int catalog_disks(struct catalog *c, const char *machine, bool active_only, struct disk_row **list,
		  struct err *e);
/* Add the disk, or store name, size, granule, state, replicated and active of one that exists. -ENOENT: there is no such machine. */
int catalog_disk_put(struct catalog *c, const struct disk_row *d, struct err *e);
/* Another disk may have the key of this one from here on; its recovery points stay. */
int catalog_disk_retire(struct catalog *c, const char *id, struct err *e);
/*
 * Forget a disk and its epochs, and note that its data goes. -EAGAIN: it is protected, some point has it, or the machine is leased at now (by the monotonic
 * clock).
 */
int catalog_disk_remove(struct catalog *c, const char *id, uint64_t now, struct err *e);

struct gone_row {
	char disk[UUID_TEXT_BYTES], machine[UUID_TEXT_BYTES];
	char name[TEXT_MAX];
};

/* Disks that are forgotten and may still have data. */
int catalog_gone(struct catalog *c, struct gone_row **list, struct err *e);
/* The last of its data is removed. */
int catalog_gone_forget(struct catalog *c, const char *disk, struct err *e);
/* Forget a machine and everything of it but its disks' data, and note for good that it was removed. */
int catalog_machine_remove(struct catalog *c, const char *id, struct err *e);
/* 1 if the machine was removed, else 0: also for one that was never there. */
int catalog_machine_removed(struct catalog *c, const char *id, struct err *e);

/* --- epochs and points -------------------------------------------------------------------- */

/* Open the next epoch of the machine; *epoch is its number. */
int catalog_epoch_open(struct catalog *c, const char *machine, const char *attempt, uint64_t *epoch,
		       struct err *e);

struct commit_disk {
	char disk[UUID_TEXT_BYTES];
	uint64_t segments; /* 0: the disk has no journal of this epoch */
	uint64_t bytes; /* of the journal */
	uint64_t size; /* of the disk */
	uint64_t replicated;
	enum disk_state state;
	char source[TEXT_MAX];
};

struct commit_row {
	char machine[UUID_TEXT_BYTES];
	uint64_t epoch;
	char attempt[UUID_TEXT_BYTES];
	uint8_t body_digest[DIGEST_BYTES];
	uint64_t boundary; /* by the machine's clock */
	uint64_t committed_at; /* by ours */
	char consistency[16]; /* "crash" "application" "fuzzy" */
	char reason[REASON_MAX];
	char name[TEXT_MAX]; /* of the bookmark, "": none */
	bool point; /* the epoch is a recovery point */
	const char *writers; /* JSON array as text, "": none */
	const char *answer; /* text of the answer, given again to the same request */
	const struct commit_disk *disks;
	size_t disk_count;
};

/* Everything of the commit or nothing. */
int catalog_commit(struct catalog *c, const struct commit_row *r, struct err *e);
/* The commit of that epoch: attempt, body digest and the answer (*answer is allocated). */
int catalog_committed(struct catalog *c, const char *machine, uint64_t epoch, struct commit_row *r,
		      char **answer, struct err *e);

struct point_row {
	char machine[UUID_TEXT_BYTES];
	uint64_t epoch;
	uint64_t time; /* of the boundary, by the machine's clock */
	uint64_t committed_at;
	char consistency[16];
	char name[TEXT_MAX]; /* "": none */
	char reason[REASON_MAX]; /* why it is not application-consistent, though asked for; "" */
	char doubt[REASON_MAX]; /* why it may not be what the disks had; "" */
};

/* Points of the machine (NULL: of all), newest first, at most limit (0: all). */
int catalog_points(struct catalog *c, const char *machine, size_t limit, struct point_row **list,
		   struct err *e);
int catalog_point(struct catalog *c, const char *machine, uint64_t epoch, struct point_row *p,
		  struct err *e);

/* JSON array as text of how each writer did, "" if there was none; *text is allocated. */
int catalog_point_writers(struct catalog *c, const char *machine, uint64_t epoch, char **text,
			  struct err *e);

/* The points after epoch that have the disk are in doubt; what was said of one first stays. How many there are that were not so before. */
int catalog_points_doubt(struct catalog *c, const char *machine, const char *disk, uint64_t epoch,
			 const char *why, struct err *e);

struct point_disk {
	char disk[UUID_TEXT_BYTES];
	char name[TEXT_MAX]; /* of the disk now */
	uint64_t size; /* at the point's time */
};

int catalog_point_disks(struct catalog *c, const char *machine, uint64_t epoch,
			struct point_disk **list, struct err *e);
/* 1 if some point has the disk, else 0 */
int catalog_disk_in_points(struct catalog *c, const char *disk, struct err *e);
int catalog_points_remove(struct catalog *c, const char *machine, const uint64_t *epochs, size_t n,
			  struct err *e);

struct journal_row {
	uint64_t epoch, segments, bytes;
};

/* Journals of a disk after its base, up to epoch (inclusive), oldest first. */
int catalog_journals(struct catalog *c, const char *disk, uint64_t up_to, struct journal_row **list,
		     struct err *e);
/* Those of epochs after this one, oldest first. */
int catalog_journals_after(struct catalog *c, const char *disk, uint64_t epoch,
			   struct journal_row **list, struct err *e);

/*
 * --- leases: while a machine has one, nothing of it expires and nothing is folded -----------
 * Their times are of the monotonic clock (lease.h).
 */

int catalog_lease_take(struct catalog *c, const char *machine, uint64_t until, uint64_t *lease,
		       struct err *e);
/* -ENOENT: it had run out and was taken away */
int catalog_lease_extend(struct catalog *c, uint64_t lease, uint64_t now, uint64_t until,
			 struct err *e);
int catalog_lease_drop(struct catalog *c, uint64_t lease, struct err *e);
/* Take away those that ran out before now, or that last past longest, which none can. */
int catalog_leases_expire(struct catalog *c, uint64_t now, uint64_t longest, struct err *e);
/* 1 if somebody holds one at now, else 0 */
int catalog_leased(struct catalog *c, const char *machine, uint64_t now, struct err *e);

/* --- folding ------------------------------------------------------------------------------ */

/* Mark the fold as writing unless the machine is leased (-EAGAIN). */
int catalog_fold_begin(struct catalog *c, const char *disk, uint64_t target, uint64_t now,
		       struct err *e);
int catalog_fold_progress(struct catalog *c, const char *disk, uint64_t block, bool active,
			  struct err *e);
/* The base is the image of target now: the journals up to it are no longer rows. */
int catalog_fold_done(struct catalog *c, const char *disk, uint64_t target, struct err *e);
/* Answers to commits up to epoch and older than before are forgotten. */
int catalog_epochs_prune(struct catalog *c, const char *machine, uint64_t epoch, uint64_t before,
			 struct err *e);

/* --- damage found by verify ---------------------------------------------------------------- */

struct damage_row {
	uint64_t offset, length;
};

int catalog_damage_add(struct catalog *c, const char *disk, uint64_t offset, uint64_t length,
		       struct err *e);
/* By offset and length. */
int catalog_damage(struct catalog *c, const char *disk, struct damage_row **list, struct err *e);
/* All of these or none. */
int catalog_damage_forget(struct catalog *c, const char *disk, const struct damage_row *list,
			  size_t n, struct err *e);

#endif
