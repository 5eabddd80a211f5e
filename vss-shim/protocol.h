/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said to the shim: orders of the requester (vss-shim(8)), answers and descriptions of the
 * writers (mobility-writers(7)). Pure functions for any thread; the bytes are not trusted, and a
 * length never counts a newline.
 */
#ifndef VSS_SHIM_PROTOCOL_H
#define VSS_SHIM_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

#define ANSWER_MAX 511 /* bytes of a line, without its newline */
#define IDENTIFY_MAX 4096 /* bytes of the output of identify */
#define ORDER_DISKS_MAX 256
#define WINDOW_MIN_MS 100
#define WINDOW_MAX_MS 60000

enum answer_kind { ANSWER_OK, ANSWER_SKIP, ANSWER_FAIL };

struct answer {
	enum answer_kind kind;
	char text[ANSWER_MAX + 1]; /* "" if none */
};

/* -EBADMSG: garbage. */
int answer_parse(const char *line, size_t len, struct answer *out);

struct identity {
	char title[128], promise[256]; /* "" if not told */
	uint64_t instances; /* 0: not told */
	uint64_t prepare_ms, freeze_ms; /* 0: not told */
};

int identity_parse(const char *text, size_t len, struct identity *out, struct err *e);

enum order_kind { ORDER_SET, ORDER_FREEZE, ORDER_THAW, ORDER_ABORT, ORDER_WRITERS };

struct order {
	enum order_kind kind;
	uint64_t window_ms; /* 0: as configured */
	bool named; /* only filesystems on these disks */
	dev_t disk[ORDER_DISKS_MAX];
	size_t disk_count;
};

int order_parse(const char *line, size_t len, struct order *out, struct err *e);

#endif
