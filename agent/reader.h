/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads of disks. One may never come back, and the kernel lets nobody out of it: so a worker's read that takes long and that nobody wants any
 * more is left behind, with the thread that makes it and the buffer that it goes to, and another thread goes on in its place.
 * Thread and buffer go when the read comes back.
 *
 *	struct reads	the reads of one disk that are under way, those left behind as well: any thread that has a
 *			reference
 *	struct reader	the thread of one worker reads; reader_leave() is for another
 */
#ifndef MOBILITY_AGENT_READER_H
#define MOBILITY_AGENT_READER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct reads;
struct reads *reads_new(void); /* NULL: out of memory */
void reads_put(struct reads *r); /* NULL is fine */
/* For how long none of them has come back, and none has begun; 0: none is under way. */
uint64_t reads_hanging_ns(const struct reads *r);

/* With so many left behind no other is: it is waited for. */
#define READER_LEFT_MAX 32

struct reading;
struct reader {
	/* The buffer that the reads go to, or to parts of it, and its size: NULL and 0 when it was left behind. */
	uint8_t **buf;
	size_t *buf_size;
	struct reads *reads; /* of the disk that is read; NULL: nobody counts them */
	struct reading *reading; /* reader_init() */
};

/* buf and buf_size are set. Returns 0 or -ENOMEM. */
int reader_init(struct reader *r);
void reader_clear(struct reader *r); /* no read is under way; one that is cleared is fine */
/*
 * As pread(), but for a negative errno, and to be asked again after no EINTR. What is read is in [buf, buf + len), within *r->buf.
 * Does not return to a thread that was left behind, which ends here: so its callers hold no lock and own nothing that whoever
 * goes on in its place does not find.
 */
ssize_t reader_pread(struct reader *r, int fd, void *buf, size_t len, uint64_t offset);
/*
 * The same for whatever else asks the disk: fn on a descriptor of its own, with an arg that is the thread's (its stack stays
 * where it is left behind). Its result, or a negative errno.
 */
int64_t reader_call(struct reader *r, int fd, int64_t (*fn)(int fd, const void *arg),
		    const void *arg);
/*
 * Leaves the read behind that has been under way for two seconds, and starts instead(arg), which has the reader from then on; *thread, which was the
 * reading one, is the new one. False: there is no such read, too many were left behind already, or there can be no thread.
 */
bool reader_leave(struct reader *r, pthread_t *thread, void *(*instead)(void *arg), void *arg);

#endif
