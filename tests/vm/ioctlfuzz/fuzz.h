/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzzer of the kernel module's interface (include/mobility/uapi.h). Threads call everything that
 * a descriptor of the module offers, with valid, boundary and random arguments, on descriptors that
 * other threads close and replace meanwhile, while others write to the disks. What can be said of an
 * answer is checked; the kernel's own checkers and the host look for the rest.
 *
 *	table.c		anybody; a descriptor may be replaced at any time
 *	call.c, ops.c	fuzzing threads; each has its struct fuzz
 *	load.c		writer threads
 *	deny.c		the main thread, in a child without privileges
 */
#ifndef IOCTLFUZZ_H
#define IOCTLFUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/mobility/uapi.h"

#define SLOTS 48
#define MAPS 8
#define DEVICES_MAX 4

enum kind { KIND_CONTROL, KIND_DISK, KIND_EPOCH, KIND_DRAIN, KIND_BDEV, KIND_OTHER, KINDS };

struct map {
	unsigned char *at;
	size_t bytes;
};

/* A thread's own state. */
struct fuzz {
	uint64_t random;
	unsigned int number;
	unsigned char *page; /* the last one before an unmapped one */
	unsigned char *read_only;
	char *buffer; /* what is read into */
	struct map maps[MAPS];
	int fail_nth; /* of this thread in /proc, -1: the kernel injects no faults */
	uint64_t calls, accepted, walks;
};

#define BUFFER_BYTES (1U << 20)

struct settings {
	unsigned int devices;
	char *device[DEVICES_MAX];
	bool denied; /* every call must be refused */
	bool faults; /* let allocations fail */
	bool unsure; /* the table may be wrong about any descriptor */
};

extern struct settings settings;

/* Ends the program with a sentence, which the test shows. */
_Noreturn void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

uint64_t fuzz_random(struct fuzz *f);
static inline uint64_t below(struct fuzz *f, uint64_t n)
{
	return fuzz_random(f) % n;
}
static inline bool one_in(struct fuzz *f, unsigned int n)
{
	return below(f, n) == 0;
}
/* A value that bounds are drawn around, or any. */
uint64_t fuzz_interesting(struct fuzz *f);

/* table.c: the shared descriptors. The generation of a slot is odd while it changes. */
struct held {
	int fd;
	enum kind kind;
	unsigned int slot;
	unsigned int generation;
};
void table_init(void);
/* Some slot; of that kind if there is one and kind is not KINDS. */
struct held table_pick(struct fuzz *f, enum kind kind);
/* Has the slot held the same descriptor all the time since it was picked? */
bool table_unchanged(const struct held *h);
/* Puts a descriptor into a slot, closing what was in it. */
void table_put(struct fuzz *f, int fd, enum kind kind);
void table_drop(const struct held *h);
void table_close_all(void);
/* Opens something anew: the control device, a disk, something that is none of ours. */
int table_open(struct fuzz *f, enum kind *kind);

/* call.c: one ioctl; checks its answer. */
void call_one(struct fuzz *f);

/* ops.c: one call that is not an ioctl of the module, or a whole round. */
void op_one(struct fuzz *f);
void op_unmap_all(struct fuzz *f);
/* Attach, boundary, drain, commit as they are meant. With nobody else it has to succeed. */
int walk(struct fuzz *f, bool alone);

/* walk.c has walk(). */

/* load.c: writers on the devices, until load_stop. */
void load_start(uint64_t seed);
void load_stop(void);

/* deny.c: without CAP_SYS_ADMIN everything is refused. Returns how many calls were. */
uint64_t deny_all(struct fuzz *f, uint64_t seed);

#endif
