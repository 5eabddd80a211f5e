/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write-order oracle: what lies where, so that an image of the disks alone tells exactly which
 * writes it holds.
 *
 * T threads write to D disks. Thread t writes numbered blocks, 1, 2, 3 …, each only after the one
 * before it has completed, into a ring of N slots spread over all disks (N is a multiple of D): block
 * s goes to slot s mod N, that is, to disk s mod D. At any instant the disks therefore hold the N
 * newest blocks of a prefix 1…p of each thread's history, and at most one block more, p+1, in flight,
 * of which each sector may be there or not. Anything else is a violation:
 *	- a slot that holds another block than the prefix says (a lost, stale or misplaced write);
 *	- sectors of two blocks in a slot whose write had completed (torn);
 *	- block s of thread t although it was written after t had seen block r of thread u complete, and
 *	  the image does not hold r: each block says what its thread had seen of all others (seen[]).
 *
 * A row of slots is one slot of each thread side by side, so that threads share granules, and blocks
 * lie across the edges of granules. Threads of the kinds zero and discard do one thing more before
 * each block s: step s-1 on their scratch ranges, which is either "fill range j" or "make range j
 * zeros", so that the ring tells what each scratch range must hold.
 *
 * Every sector (512 bytes) carries all of this and a pattern derived from it, so it is checked by
 * itself. Integers are of the machine's byte order. All functions may be called from any thread; only
 * the writer starts threads.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORC_MAGIC 0x31656c6361726f77ULL
#define ORC_SECTOR 512u
#define ORC_PAGE 4096u
#define ORC_MAX_THREADS 16u
#define ORC_MAX_DISKS 8u
#define ORC_MAX_SIZE (64u << 10)
#define ORC_SCRATCHES 4u /* scratch ranges of a thread, over all disks */
#define ORC_SCRATCH_SIZE (72u << 10) /* bytes of one */

/* How a thread's blocks reach the disk. */
enum orc_kind {
	ORC_DIRECT, /* pwrite, O_DIRECT */
	ORC_DSYNC, /* pwrite, O_DIRECT | O_DSYNC */
	ORC_BUFFERED, /* pwrite through the page cache, then fdatasync */
	ORC_VECTOR, /* pwritev of sectors and of the rest, O_DIRECT */
	ORC_NOWAIT, /* pwritev2 with RWF_NOWAIT, until it is taken */
	ORC_HIPRI, /* pwritev2 with RWF_HIPRI (polled where the disk can) */
	ORC_AIO, /* io_submit, io_getevents */
	ORC_ZERO, /* as direct; its scratch ranges are zeroed with BLKZEROOUT */
	ORC_DISCARD, /* as direct; its scratch ranges are zeroed with BLKDISCARD */
	ORC_KINDS
};

enum orc_sector_type {
	ORC_CONFIG = 1,
	ORC_RING,
	ORC_SCRATCH,
};

struct orc_thread {
	uint32_t kind; /* enum orc_kind */
	uint32_t size; /* bytes of a block: a multiple of 512, at most ORC_MAX_SIZE */
};

/* The geometry, the same on all disks. It is the payload of each area's first sector. */
struct orc_config {
	uint32_t disks;
	uint32_t threads;
	uint32_t rows; /* slots of a thread on each disk; the ring has rows * disks */
	uint32_t reserved;
	struct orc_thread thread[ORC_MAX_THREADS];
};

struct orc_sector {
	uint64_t magic;
	uint64_t run; /* random for each formatting */
	uint16_t type; /* enum orc_sector_type */
	uint16_t thread;
	uint16_t disk;
	uint16_t index; /* of the sector within its slot or range */
	uint32_t slot; /* of the ring; or the number of the scratch range */
	uint32_t reserved;
	uint64_t seq; /* block number, 0: as formatted; in a scratch range: the step */
	union {
		uint64_t seen[ORC_MAX_THREADS]; /* completed blocks of each thread */
		struct orc_config config;
	};
	uint64_t pattern[(ORC_SECTOR - 40 - sizeof(struct orc_config)) / 8];
};

/*
 * What a writer has completed, shared through a file that others map or copy while it runs; each
 * value is stored after its block has completed (release).
 */
struct orc_progress {
	uint64_t magic;
	uint64_t run;
	uint64_t completed[ORC_MAX_THREADS];
};

struct orc_layout {
	struct orc_config config;
	uint64_t run;
	uint32_t ring; /* slots of a thread */
	uint32_t at[ORC_MAX_THREADS]; /* of the thread's slot within a row */
	uint32_t pitch; /* bytes of a row */
	uint32_t scratchers; /* threads with scratch ranges */
	int scratcher[ORC_MAX_THREADS]; /* number among these, or -1 */
	uint64_t scratch_at; /* where the scratch ranges begin, on every disk */
	uint64_t area; /* bytes used on each disk */
};

/* A disk, or an image of one, from the start of its area. */
struct orc_image {
	uint8_t *data; /* area bytes, owned by whoever made it */
	char name[192];
};

struct orc_state { /* of one thread in a set of images, found by verify */
	uint64_t prefix; /* the last block that is wholly there */
	uint64_t newest; /* the last of which anything is there: prefix or + 1 */
	uint64_t seen[ORC_MAX_THREADS]; /* by the newest */
};

/* What verify finds, each kind of violation counted. */
enum orc_violation {
	ORC_V_CORRUPT, /* a sector that nobody wrote */
	ORC_V_LOST, /* a slot holds an older block than the prefix demands */
	ORC_V_TORN, /* a completed block is there in part */
	ORC_V_CAUSE, /* a block without one that its thread had seen completed */
	ORC_V_SCRATCH, /* a scratch range holds the wrong thing */
	ORC_V_AT_LEAST, /* a block that had completed before the boundary is not there */
	ORC_V_AT_MOST, /* a block that was not yet submitted at the boundary is there */
	ORC_VIOLATIONS
};

struct orc_report {
	unsigned int count[ORC_VIOLATIONS];
	unsigned int total;
	bool quiet; /* count, do not print */
	struct orc_state state[ORC_MAX_THREADS];
};

extern const char *const orc_kind_names[ORC_KINDS];
extern const char *const orc_violation_names[ORC_VIOLATIONS];

/* layout.c */

/* Fills the layout from its config; false, with a sentence on stderr, if the config is not valid. */
bool orc_layout_init(struct orc_layout *l, const struct orc_config *config, uint64_t run);

/* Where slot 0 <= slot < ring of a thread lies: its disk; *offset is from the area's start. */
uint32_t orc_slot_at(const struct orc_layout *l, uint32_t thread, uint32_t slot, uint64_t *offset);

/* The same for a scratch range (< ORC_SCRATCHES) of a thread that has some. */
uint32_t orc_scratch_at(const struct orc_layout *l, uint32_t thread, uint32_t range,
			uint64_t *offset);

/* Step n (0, 1 …) of a thread on its scratch ranges: which range, and does it fill it or zero it? */
uint32_t orc_step_range(uint64_t step);
bool orc_step_fills(uint64_t step);

/* Writes the content of a whole slot (the thread's size), or of a filled scratch range, to buf. */
void orc_make_block(const struct orc_layout *l, uint32_t thread, uint64_t seq, const uint64_t *seen,
		    void *buf);
void orc_make_slot(const struct orc_layout *l, uint32_t thread, uint32_t slot, uint64_t seq,
		   const uint64_t *seen, void *buf);
void orc_make_scratch(const struct orc_layout *l, uint32_t thread, uint64_t step, void *buf);
void orc_make_config(const struct orc_layout *l, uint32_t disk, void *buf);

/* Is this a sector that some writer made, unchanged? */
bool orc_sector_ok(const struct orc_sector *s);

/* Fills a disk's area as formatted. */
void orc_format_image(const struct orc_layout *l, uint32_t disk, uint8_t *data);

/* verify.c */

/*
 * Checks images[0 … disks-1], in the order of the disks. at_least, at_most may be NULL. Fills the
 * report (whose `quiet` the caller sets) and returns the number of violations.
 */
unsigned int orc_verify(const struct orc_layout *l, const struct orc_image *images,
			const struct orc_progress *at_least, const struct orc_progress *at_most,
			struct orc_report *report);

/* Reads the geometry from an image's first sector; false if there is none. */
bool orc_read_config(const void *first_sector, struct orc_layout *l, uint32_t *disk);

/* write.c */

struct orc_write_options {
	const char *progress; /* file to share, or NULL */
	unsigned int seconds; /* 0: until SIGTERM or SIGINT */
	unsigned int pause_us; /* between two blocks of a thread */
};

/* Both return the exit status of the program: 0, or 2 after a sentence on stderr. */
int orc_format(const struct orc_layout *l, char **disks);
int orc_write(char **disks, unsigned int count, const struct orc_write_options *options);

/* Splits "PATH@OFFSET" (OFFSET in bytes, or with suffix K, M, G); false if it is not valid. */
bool orc_split_disk(const char *arg, char path[192], uint64_t *offset);

/* selftest.c */
int orc_selftest(unsigned int rounds, uint64_t seed);

#endif
