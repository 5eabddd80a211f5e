/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/body.h"
#include "appliance/journal.h"
#include "include/mobility/wire.h"
#include "lib/cleanup.h"
#include "lib/digest_tree.h"
#include "lib/json.h"
#include "lib/text.h"

static int open_object(const void *data, size_t len, size_t max, const char *const *members,
		       json_t **root, struct err *e)
{
	*root = json_parse_object(data, len, max, e);
	if (!*root)
		return e->code ? e->code : err_set(e, -EBADMSG, "the body is not a JSON object");
	return json_only_keys(*root, members, e);
}

int body_printable(const char *s, const char *member, struct err *e)
{
	if (text_printable(s, strlen(s)))
		return 0;
	return err_set(e, -EBADMSG, "%s has a control character", member);
}

static int get_text(const json_t *o, const char *member, size_t min, size_t max, char *out,
		    struct err *e)
{
	const char *s;
	int rc = json_get_str(o, member, min, max, &s, e);

	if (rc == 0)
		rc = body_printable(s, member, e);
	if (rc == 0)
		strcpy(out, s);
	return rc;
}

/* The same for a member that may be null or absent, which is "". */
static int get_opt_text(const json_t *o, const char *member, size_t max, char *out, struct err *e)
{
	const char *s;
	int rc = json_get_opt_str(o, member, max, &s, e);

	if (rc == 0 && s)
		rc = body_printable(s, member, e);
	if (rc == 0)
		strcpy(out, s ? s : "");
	return rc;
}

static int get_id(const json_t *o, const char *member, char out[UUID_TEXT_BYTES], struct err *e)
{
	uint8_t id[UUID_BYTES];
	const char *s;
	int rc = json_get_str(o, member, 36, 36, &s, e);

	if (rc < 0)
		return rc;
	if (uuid_parse_text(s, id) < 0)
		return err_set(e, -EBADMSG, "%s is not a lower-case UUID", member);
	strcpy(out, s);
	return 0;
}

int body_enroll(const void *data, size_t len, struct body_enroll *b, struct err *e)
{
	static const char *const members[] = {"token", "hostname", "csr", NULL};
	int rc;

	*b = (struct body_enroll){0};
	rc = open_object(data, len, BODY_ENROLL_MAX, members, &b->root, e);
	if (rc == 0)
		rc = json_get_str(b->root, "token", 1, 128, &b->token, e);
	if (rc == 0)
		rc = json_get_str(b->root, "hostname", 1, TEXT_MAX - 1, &b->hostname, e);
	if (rc == 0)
		rc = body_printable(b->hostname, "hostname", e);
	if (rc == 0)
		rc = json_get_str(b->root, "csr", 1, 16384, &b->csr, e);
	return rc;
}

void body_enroll_clear(struct body_enroll *b)
{
	json_decref(b->root);
	*b = (struct body_enroll){0};
}

int body_renew(const void *data, size_t len, struct body_renew *b, struct err *e)
{
	static const char *const members[] = {"csr", NULL};
	int rc;

	*b = (struct body_renew){0};
	rc = open_object(data, len, BODY_ENROLL_MAX, members, &b->root, e);
	return rc == 0 ? json_get_str(b->root, "csr", 1, 16384, &b->csr, e) : rc;
}

void body_renew_clear(struct body_renew *b)
{
	json_decref(b->root);
	*b = (struct body_renew){0};
}

int body_disk(const void *data, size_t len, struct body_disk *b, struct err *e)
{
	static const char *const members[] = {"key", "name", "size", "granule", NULL};
	_cleanup_json_ json_t *root = NULL;
	int rc;

	*b = (struct body_disk){0};
	rc = open_object(data, len, BODY_JSON_MAX, members, &root, e);
	if (rc == 0)
		rc = get_text(root, "key", 1, TEXT_MAX - 1, b->key, e);
	if (rc == 0)
		rc = get_text(root, "name", 1, TEXT_MAX - 1, b->name, e);
	if (rc == 0 && (strchr(b->name, '/') || b->name[0] == '.'))
		rc = err_set(e, -EBADMSG, "name begins with a dot or has a slash: it names files");
	if (rc == 0)
		rc = json_get_u64(root, "size", BODY_DISK_MAX, &b->size, e);
	if (rc == 0 && (b->size == 0 || b->size % WIRE_SECTOR))
		rc = err_set(e, -EBADMSG, "size is 0 or not a multiple of 512");
	if (rc == 0)
		rc = json_get_u64(root, "granule", 1ull << 30, &b->granule, e);
	if (rc == 0 && (b->granule < WIRE_SECTOR || (b->granule & (b->granule - 1))))
		rc = err_set(e, -EBADMSG, "granule is not a power of two of at least 512");
	return rc;
}

int body_open(const void *data, size_t len, struct body_open *b, struct err *e)
{
	static const char *const members[] = {"attempt", NULL};
	_cleanup_json_ json_t *root = NULL;
	int rc;

	*b = (struct body_open){0};
	rc = open_object(data, len, BODY_JSON_MAX, members, &root, e);
	return rc == 0 ? get_id(root, "attempt", b->attempt, e) : rc;
}

static int commit_disk(const json_t *o, struct commit_disk *d, struct err *e)
{
	static const char *const members[] = {"disk",	    "segments", "state",
					      "replicated", "source",	NULL};
	const char *state;
	int rc;

	if (!json_is_object(o))
		return err_set(e, -EBADMSG, "an element of disks is not an object");
	rc = json_only_keys(o, members, e);
	if (rc == 0)
		rc = get_id(o, "disk", d->disk, e);
	if (rc == 0)
		rc = json_get_u64(o, "segments", JOURNAL_SEGMENTS_MAX, &d->segments, e);
	if (rc == 0)
		rc = json_get_str(o, "state", 1, 16, &state, e);
	if (rc == 0 && disk_state_parse(state) < 0)
		rc = err_set(e, -EBADMSG, "state is none of initial, resync, protected");
	if (rc == 0) {
		d->state = (enum disk_state)disk_state_parse(state);
		rc = json_get_u64(o, "replicated", BODY_DISK_MAX, &d->replicated, e);
	}
	return rc == 0 ? get_text(o, "source", 0, TEXT_MAX - 1, d->source, e) : rc;
}

static int by_disk(const void *a, const void *b)
{
	return strcmp(((const struct commit_disk *)a)->disk, ((const struct commit_disk *)b)->disk);
}

static int commit_disks(const json_t *root, struct body_commit *b, struct err *e)
{
	json_t *list;
	int rc = json_get_array(root, "disks", BODY_DISKS_MAX, &list, e);

	if (rc < 0)
		return rc;
	b->disks = calloc(json_array_size(list) + 1, sizeof(*b->disks));
	if (!b->disks)
		return err_set(e, -ENOMEM, "out of memory");
	b->disk_count = json_array_size(list);
	for (size_t i = 0; rc == 0 && i < b->disk_count; i++)
		rc = commit_disk(json_array_get(list, i), &b->disks[i], e);
	if (rc < 0)
		return rc;
	qsort(b->disks, b->disk_count, sizeof(*b->disks), by_disk);
	for (size_t i = 1; i < b->disk_count; i++) {
		if (!by_disk(&b->disks[i - 1], &b->disks[i]))
			return err_set(e, -EBADMSG, "disks names %s twice", b->disks[i].disk);
	}
	return 0;
}

static int commit_bookmark(const json_t *root, struct body_commit *b, struct err *e)
{
	static const char *const members[] = {"name", "type", NULL};
	const char *type;
	json_t *o;
	int rc = json_get_opt_object(root, "bookmark", &o, e);

	if (rc < 0 || !o)
		return rc;
	b->bookmark = true;
	rc = json_only_keys(o, members, e);
	if (rc == 0)
		rc = get_opt_text(o, "name", 128, b->name, e);
	if (rc == 0)
		rc = json_get_str(o, "type", 1, 16, &type, e);
	if (rc == 0 && strcmp(type, "crash") && strcmp(type, "application"))
		rc = err_set(e, -EBADMSG, "bookmark.type is neither crash nor application");
	return rc;
}

static int commit_consistency(const json_t *root, struct body_commit *b, struct err *e)
{
	int rc = get_text(root, "consistency", 1, sizeof(b->consistency) - 1, b->consistency, e);

	if (rc == 0 && strcmp(b->consistency, "crash") && strcmp(b->consistency, "application") &&
	    strcmp(b->consistency, "fuzzy"))
		rc = err_set(e, -EBADMSG, "consistency is none of crash, application, fuzzy");
	return rc == 0 ? get_opt_text(root, "reason", REASON_MAX - 1, b->reason, e) : rc;
}

static int commit_digest(const json_t *root, struct body_commit *b, struct err *e)
{
	_cleanup_free_ char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	digest_sha256(text, strlen(text), b->digest);
	return 0;
}

int body_commit(const void *data, size_t len, struct body_commit *b, struct err *e)
{
	static const char *const members[] = {"attempt",  "boundary", "consistency", "reason",
					      "bookmark", "disks",    "writers",     NULL};
	_cleanup_json_ json_t *root = NULL;
	int rc;

	*b = (struct body_commit){0};
	rc = open_object(data, len, BODY_JSON_MAX, members, &root, e);
	if (rc == 0)
		rc = get_id(root, "attempt", b->attempt, e);
	if (rc == 0)
		rc = json_get_u64(root, "boundary", INT64_MAX, &b->boundary, e);
	if (rc == 0)
		rc = commit_consistency(root, b, e);
	if (rc == 0)
		rc = commit_bookmark(root, b, e);
	if (rc == 0)
		rc = commit_disks(root, b, e);
	if (rc == 0)
		rc = body_writers(root, &b->writers, e);
	return rc == 0 ? commit_digest(root, b, e) : rc;
}

void body_commit_clear(struct body_commit *b)
{
	free(b->disks);
	free(b->writers);
	*b = (struct body_commit){0};
}

int body_digests(const void *data, size_t len, struct body_digests *b, struct err *e)
{
	static const char *const members[] = {"offset", "length", "block", NULL};
	_cleanup_json_ json_t *root = NULL;
	int rc;

	*b = (struct body_digests){0};
	rc = open_object(data, len, BODY_JSON_MAX, members, &root, e);
	if (rc == 0)
		rc = json_get_u64(root, "offset", BODY_DISK_MAX, &b->offset, e);
	if (rc == 0)
		rc = json_get_u64(root, "length", BODY_DIGEST_RANGE_MAX, &b->length, e);
	if (rc == 0)
		rc = json_get_u64(root, "block", TREE_TOP, &b->block, e);
	if (rc == 0 && !digest_tree_level(b->block))
		rc = err_set(e, -EBADMSG, "block is none of %llu, %llu and %llu",
			     (unsigned long long)TREE_LEAF, (unsigned long long)TREE_NODE,
			     (unsigned long long)TREE_TOP);
	if (rc == 0 && b->offset % b->block)
		rc = err_set(e, -EBADMSG, "offset is not a multiple of block");
	if (rc == 0 && b->length == 0)
		rc = err_set(e, -EBADMSG, "length is 0");
	return rc;
}

int body_doubt(const void *data, size_t len, struct body_doubt *b, struct err *e)
{
	static const char *const members[] = {"after", "offset", "bytes", NULL};
	_cleanup_json_ json_t *root = NULL;
	int rc;

	*b = (struct body_doubt){0};
	rc = open_object(data, len, BODY_JSON_MAX, members, &root, e);
	if (rc == 0)
		rc = json_get_u64(root, "after", INT64_MAX, &b->after, e);
	if (rc == 0)
		rc = json_get_u64(root, "offset", BODY_DISK_MAX, &b->offset, e);
	if (rc == 0)
		rc = json_get_u64(root, "bytes", BODY_DISK_MAX, &b->bytes, e);
	return rc;
}
