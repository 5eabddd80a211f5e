/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that the shim started, with a pipe to each of its three standard descriptors, in a
 * session and process group of its own. For the main thread alone, while no other thread starts
 * programs.
 */
#ifndef VSS_SHIM_CHILD_H
#define VSS_SHIM_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

#define TAIL_BYTES 4096

struct child {
	pid_t pid; /* 0: none */
	int pidfd, in, out, err; /* -1: closed */
	char tail[TAIL_BYTES]; /* the last that it wrote to its standard error */
	size_t tail_used;
};

#define CHILD_NONE                                                                                 \
	{                                                                                          \
		.pidfd = -1, .in = -1, .out = -1, .err = -1                                        \
	}

/* argv and env end with NULL; nothing else is inherited. The pipes do not block. */
int child_start(const char *const *argv, const char *const *env, struct child *c, struct err *e);
/* Read what there is of standard error; closes it at its end. */
void child_drain_err(struct child *c);
/* The last line of standard error, or "" ; borrowed, until the next call for this child. */
const char *child_last_line(struct child *c);
void child_close_in(struct child *c);
void child_close_out(struct child *c);
/* To the whole group; nothing if there is none. */
void child_signal(const struct child *c, int sig);
/* It has ended, and is to be reaped: what it wrote is all there. */
bool child_ended(const struct child *c);
/* If it has ended: reap it, kill what is left of its group, close everything; *status of waitpid. */
bool child_reap(struct child *c, int *status);
/*
 * Kill all children of this process that keep does not know (programs that left their group and
 * whose parent is gone; we are their subreaper). Returns how many there were.
 */
int child_sweep(bool (*keep)(pid_t pid, void *arg), void *arg);

#endif
