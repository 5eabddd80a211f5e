/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The appliance as the agent calls it: one function for each request of docs/protocol.md. A
 * struct api belongs to one thread at a time; each thread that talks has its own. All calls
 * sleep, until the answer, the timeout or *cancel.
 *
 * Returns 0, or a negative errno with a sentence in *e:
 *	-EHOSTDOWN	no whole answer: send the same again
 *	-EAGAIN		the appliance is busy or failed: the same (api_retry_after)
 *	-ENOSPC		the appliance is full: the same
 *	-EILSEQ		the bytes did not arrive as they were sent: send again
 *	-ESTALE		409: it conflicts with what the appliance has
 *	-EACCES		401 or 403: this machine is not (or no longer) enrolled, or does not own it
 *	-ENOENT		404
 *	-EKEYREJECTED	the certificate of the appliance (or ours) is not trusted
 *	-ENOKEY		a key or certificate of this machine is missing, unreadable, or of another
 *	-EPROTO		the request was refused for good, or the answer cannot be understood
 *	-ECANCELED	*cancel became true
 */
#ifndef MOBILITY_AGENT_API_H
#define MOBILITY_AGENT_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/continuity.h"
#include "lib/digest.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/json.h"

struct api;

/*
 * host: a DNS name or an IP address, without brackets. The files of http are those of the
 * identity to use.
 */
struct api *api_new(const char *host, unsigned int control_port, unsigned int data_port,
		    const struct http_config *http, struct err *e);
void api_free(struct api *a);
void api_freep(struct api **a);
uint64_t api_retry_after(const struct api *a); /* seconds, of the last answer; 0 none */
/* Nothing more can come of sending the same again. */
bool api_final(int error);

struct remote_disk {
	char id[UUID_TEXT_BYTES], key[256], source[256];
	uint64_t size, granule, replicated, epoch;
	enum disk_state state;
};

struct remote_point {
	uint64_t id, time;
	char consistency[16], name[256]; /* name "" if none */
};

/* What the appliance can read. One that does not say knows version 1 and the codecs of then. */
struct dialect {
	uint16_t segment_version; /* the newest that both know */
	uint32_t codecs; /* bit n: enum wire_codec n */
};

struct remote_machine {
	uint64_t epoch;
	struct remote_disk *disk;
	size_t disk_count;
	bool has_point;
	struct remote_point point;
	uint64_t retention_s; /* 0: not told */
	struct dialect dialect;
};

int api_machine(struct api *a, struct remote_machine *m, struct err *e); /* clear it */
void api_machine_clear(struct remote_machine *m);
int api_register(struct api *a, const char *key, const char *name, uint64_t size, uint64_t granule,
		 struct remote_disk *out, struct err *e);
int api_unregister(struct api *a, const char *disk, struct err *e);

struct opened {
	uint64_t epoch;
	uint64_t committed; /* what it follows; an older appliance does not tell */
	bool has_committed;
};
int api_open_epoch(struct api *a, const char *attempt, struct opened *out, struct err *e);
/* Of a request with a segment, a failed one too. */
struct put_outcome {
	uint64_t sent; /* bytes put on the wire */
	char timing[128]; /* Server-Timing of the answer; "" if there is none */
};
int api_put_segment(struct api *a, const char *disk, uint64_t epoch, uint32_t segment,
		    const void *data, size_t len, struct put_outcome *out, struct err *e);
struct commit_answer {
	bool has_point;
	struct remote_point point;
	char refused[512]; /* why a bookmark was not made; "" */
};
/* body is borrowed */
int api_commit(struct api *a, uint64_t epoch, const json_t *body, struct commit_answer *out,
	       struct err *e);
/*
 * out has DIGEST_BYTES for each node of level bytes (lib/digest_tree.h) in [offset, offset + length). -EPROTO: an old
 * appliance, which knows no level but WIRE_BLOCK.
 */
int api_digests(struct api *a, const char *disk, uint64_t offset, uint64_t length, uint64_t level,
		uint8_t *out, struct err *e);

/* A verification found mismatches on the disk: its recovery points after epoch `after` are in doubt. */
struct doubt {
	uint64_t after; /* the last epoch whose image is known to have been equal; 0: none */
	uint64_t offset, bytes; /* of the first, and of all */
};
/* *points: how many came to be in doubt by it. -ENOENT: an old appliance, which cannot note it. */
int api_doubt(struct api *a, const char *disk, const struct doubt *d, uint64_t *points,
	      struct err *e);

int api_ca(struct api *a, char **ca_pem, struct err *e); /* the caller frees */
struct enrolment {
	char machine[UUID_TEXT_BYTES];
	char *certificate; /* api_enrolment_clear */
	unsigned int data_port;
};
int api_enroll(struct api *a, const char *token, const char *hostname, const char *csr,
	       struct enrolment *out, struct err *e);
void api_enrolment_clear(struct enrolment *en);
int api_renew(struct api *a, const char *csr, char **certificate, struct err *e);

#endif
