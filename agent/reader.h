/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of disks. One may never come back, so nobody else may depend on the thread that makes it: each worker has a reader, a
 * thread that reads for it. A read that takes long and that nobody wants any more is left behind, with its thread and the buffer that it
 * goes to; both are freed when it comes back.
 *
 *	struct reads	the reads of one disk that are under way, those left behind as well: any thread that has a
 *			reference
 *	struct reader	one worker
 */
#ifndef MOBILITY_AGENT_READER_H
#define MOBILITY_AGENT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct reads;
struct reads *reads_new(void); /* NULL: out of memory */
void reads_put(struct reads *r); /* NULL is fine */
/* For how long none of them has come back, and none has begun; 0: none is under way. */
uint64_t reads_hanging_ns(const struct reads *r);

/* With more than so many left behind no other is: the next is waited for. */
#define READER_LEFT_MAX 32

struct reader_thread;
struct reader {
	bool (*given_up)(void *arg); /* is the read not wanted any more? */
	void *arg;
	/* The buffer that the reads go to, or to parts of it, and its size: NULL and 0 when it was left behind. */
	uint8_t **buf;
	size_t *buf_size;
	struct reads *reads; /* of the disk that is read; NULL: nobody counts them */
	struct reader_thread *thread; /* NULL: none */
};

/*
 * As pread(), but for a negative errno, and to be asked again after no EINTR. -ECANCELED: it was left behind. What is read is in
 * [buf, buf + len), within *r->buf.
 */
ssize_t reader_pread(struct reader *r, int fd, void *buf, size_t len, uint64_t offset);
void reader_clear(struct reader *r);

#endif
