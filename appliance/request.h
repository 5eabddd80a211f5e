/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way through the appliance, without anything of HTTP's or TLS's making: server.c fills it in, router.c finds its
 * handler (api_*.c), the handler leaves a reply. A request belongs to the one thread that serves its connection.
 */
#ifndef APPLIANCE_REQUEST_H
#define APPLIANCE_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/checkers.h"
#include "appliance/home.h"
#include "appliance/live.h"

enum listener { LISTENER_CONTROL = 1, LISTENER_DATA = 2 };

struct policy_clock {
	uint64_t now; /* that ages are told by; 0 before the first look */
	uint64_t realtime, boottime; /* at the last look */
	uint64_t stepped; /* by boottime: since then the clock has gone on steadily */
};

/* What the handlers share; constant while serving, but for the clock, which is the policy's thread's, and the checkers. */
struct appliance {
	struct policy_clock clock;
	struct home home;
	struct live *live;
	struct checkers checkers;
	unsigned int control_port, data_port;
};

/* The codes of docs/protocol.md. */
enum api_code {
	API_OK,
	API_MALFORMED,
	API_NO_CERTIFICATE,
	API_BAD_TOKEN,
	API_EXPIRED_TOKEN,
	API_USED_TOKEN,
	API_NOT_YOURS,
	API_NOT_FOUND,
	API_METHOD,
	API_CONFLICT,
	API_LENGTH_REQUIRED,
	API_TOO_LARGE,
	API_DIGEST,
	API_VERSION,
	API_BUSY,
	API_NO_SPACE,
	API_INTERNAL,
};

struct reply {
	unsigned int status; /* 0: no reply yet */
	enum api_code code;
	char message[512]; /* of an error */
	void *body; /* malloc'ed */
	size_t len;
	const char *type; /* Content-Type */
	unsigned int retry_after; /* seconds, 0: none */
	uint64_t verify_ns, disk_ns; /* of a segment: what it took, for Server-Timing */
};

struct request {
	struct appliance *app;
	enum listener listener;
	const char *method, *path;
	char peer[64]; /* address, for the log */
	char machine[UUID_TEXT_BYTES]; /* from the verified certificate */
	/* from the path */
	char disk[UUID_TEXT_BYTES];
	uint64_t epoch;
	uint32_t segment;
	const void *body;
	size_t len;
	struct reply reply;
};

/* Exactly one of these for each request. */
void reply_json(struct request *r, unsigned int status,
		json_t *object); /* takes object; NULL: out of memory */
void reply_text(struct request *r, unsigned int status,
		char *json); /* takes json; NULL: out of memory */
void reply_bytes(struct request *r, void *bytes, size_t len); /* takes bytes */
void reply_error(struct request *r, enum api_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* An error from inside: rc is a negative errno. What only the operator can use goes to the log, not to the peer. */
void reply_failed(struct request *r, int rc, const struct err *e);
/* The certificate is good, and its machine has been removed. */
void reply_unknown_machine(struct request *r);
void reply_clear(struct reply *p);
const char *api_code_name(enum api_code code);

/* The disk of the path if it is the machine's; else the reply is made and false comes back. */
bool request_disk(struct request *r, struct disk_row *d);
/* The machine's row; else the reply is made and false comes back. */
bool request_machine(struct request *r, struct machine_row *m);

#endif
