/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON bodies of requests (docs/protocol.md): each is checked whole, member by member, and becomes a struct. Pure functions for
 * any thread, on bytes that nobody trusts. 0, or -EBADMSG with a sentence that says what is wrong. Strings are copied or borrowed
 * from root; body_*_clear() frees what a struct owns and is fine after a failure.
 */
#ifndef APPLIANCE_BODY_H
#define APPLIANCE_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliance/catalog.h"
#include "lib/err.h"

#define BODY_JSON_MAX (1u << 20)
#define BODY_ENROLL_MAX (64u << 10)
#define BODY_DISKS_MAX 1024
#define BODY_DIGEST_RANGE_MAX (1ull << 30)
#define BODY_DISK_MAX (1ull << 56) /* bytes */

/* Text for people to see: no control characters (lib/text.h). */
int body_printable(const char *s, const char *member, struct err *e);

struct body_enroll {
	json_t *root;
	const char *token, *hostname, *csr; /* borrowed from root */
};
int body_enroll(const void *data, size_t len, struct body_enroll *b, struct err *e);
void body_enroll_clear(struct body_enroll *b);

struct body_renew {
	json_t *root;
	const char *csr;
};
int body_renew(const void *data, size_t len, struct body_renew *b, struct err *e);
void body_renew_clear(struct body_renew *b);

struct body_disk {
	char key[TEXT_MAX], name[TEXT_MAX];
	uint64_t size, granule;
};
int body_disk(const void *data, size_t len, struct body_disk *b, struct err *e);

struct body_open {
	char attempt[UUID_TEXT_BYTES];
};
int body_open(const void *data, size_t len, struct body_open *b, struct err *e);

struct body_commit {
	char attempt[UUID_TEXT_BYTES];
	uint64_t boundary;
	char consistency[16];
	char reason[REASON_MAX];
	bool bookmark;
	char name[TEXT_MAX]; /* of the bookmark */
	struct commit_disk
		*disks; /* owned; bytes and size are not set; ascending by id, none twice */
	size_t disk_count;
	char *writers; /* owned: JSON array as text, checked; NULL: none */
	uint8_t digest[DIGEST_BYTES]; /* the same for bodies that say the same */
};
int body_commit(const void *data, size_t len, struct body_commit *b, struct err *e);
void body_commit_clear(struct body_commit *b);
/* body_writers.c: the member writers of a commit; *out is allocated, NULL if there is none. */
int body_writers(const json_t *root, char **out, struct err *e);

struct body_digests {
	uint64_t offset, length;
	uint64_t block; /* a level of lib/digest_tree.h */
};
int body_digests(const void *data, size_t len, struct body_digests *b, struct err *e);

struct body_doubt {
	uint64_t after; /* an epoch */
	uint64_t offset, bytes;
};
int body_doubt(const void *data, size_t len, struct body_doubt *b, struct err *e);

#endif
