/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which parts of a disk an epoch could not read: all bytes are counted, the ranges of the lowest
 * offsets are named, neighbours joined. Pure; the caller locks.
 */
#ifndef MOBILITY_AGENT_UNREAD_H
#define MOBILITY_AGENT_UNREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/runs.h"

#define UNREAD_RANGES 8

struct unread {
	struct run range[UNREAD_RANGES]; /* ascending, not touching */
	unsigned int count;
	bool more; /* there are others, at higher offsets */
	uint64_t bytes;
};

/* What is added does not overlap what was; it may come in any order. */
void unread_add(struct unread *u, uint64_t offset, uint64_t length);
bool unread_same(const struct unread *a, const struct unread *b);
/* A sentence without its full stop. */
void unread_text(const struct unread *u, const char *path, char *out, size_t size);

#endif
