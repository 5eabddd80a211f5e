/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches what is written to disks: by the kernel module where it is loaded, else by /proc/diskstats.
 * One thread.
 */
#ifndef MOBILITY_CTL_CHURN_H
#define MOBILITY_CTL_CHURN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/ctl/forecast.h"
#include "lib/err.h"

struct source;

struct watched {
	char name[64]; /* as in /proc/diskstats */
	char path[PATH_MAX];
	uint64_t size;
	struct source *source; /* of the module; NULL: diskstats */
	bool attached; /* by us: it is detached at the end unless the agent protects it by then */
	uint64_t written, dirty; /* when looked at last */
	uint64_t *bytes; /* of each interval; owned */
	size_t count, capacity;
	uint64_t distinct;
};

/* A block device (a disk; diskstats knows partitions as well). module: NULL when it is not loaded. */
struct kmod;
int churn_open(struct watched *w, const char *path, struct kmod *module, struct err *e);
/* End an interval: add what was written in it. */
int churn_sample(struct watched *w, struct err *e);
void churn_close(struct watched *w, bool detach);

/* Bytes written to the disk of that name, from the text of /proc/diskstats. -ENOENT. Pure. */
int churn_diskstats(const char *text, const char *name, uint64_t *written);

#endif
