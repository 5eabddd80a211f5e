// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/api_http.h"
#include "include/mobility/wire.h"
#include "lib/codec.h"

#define DISKS_MAX 4096

/* A member that an answer must have; what cannot be understood is final. */
static int bad_answer(struct err *e)
{
	if (e)
		e->code = -EPROTO;
	err_prefix(e, "the answer of the appliance cannot be understood");
	return -EPROTO;
}

static int get_text(const json_t *o, const char *key, char *out, size_t size, struct err *e)
{
	const char *s;
	int r = json_get_str(o, key, 0, size - 1, &s, e);

	if (!r)
		strcpy(out, s);
	return r;
}

static int get_id(const json_t *o, const char *key, char out[UUID_TEXT_BYTES], struct err *e)
{
	uint8_t bytes[UUID_BYTES];
	int r = get_text(o, key, out, UUID_TEXT_BYTES, e);

	if (!r && uuid_parse_text(out, bytes))
		r = err_set(e, -EBADMSG, "'%s' is not an id", key);
	return r;
}

static int get_disk(const json_t *o, struct remote_disk *d, struct err *e)
{
	char state[16];
	int r, s;

	if ((r = get_id(o, "id", d->id, e)) ||
	    (r = get_text(o, "key", d->key, sizeof(d->key), e)) ||
	    (r = get_text(o, "source", d->source, sizeof(d->source), e)) ||
	    (r = get_text(o, "state", state, sizeof(state), e)) ||
	    (r = json_get_u64(o, "size", INT64_MAX, &d->size, e)) ||
	    (r = json_get_u64(o, "granule", INT64_MAX, &d->granule, e)) ||
	    (r = json_get_u64(o, "replicated", INT64_MAX, &d->replicated, e)) ||
	    (r = json_get_u64(o, "epoch", INT64_MAX, &d->epoch, e)))
		return r;
	s = disk_state_parse(state);
	if (s < 0)
		return err_set(e, -EBADMSG, "'%s' is not a state of a disk", state);
	d->state = (enum disk_state)s;
	return 0;
}

static int get_point(const json_t *o, struct remote_point *p, struct err *e)
{
	const char *name;
	int r;

	if ((r = json_get_u64(o, "id", INT64_MAX, &p->id, e)) ||
	    (r = json_get_u64(o, "time", INT64_MAX, &p->time, e)) ||
	    (r = get_text(o, "consistency", p->consistency, sizeof(p->consistency), e)) ||
	    (r = json_get_opt_str(o, "name", sizeof(p->name) - 1, &name, e)))
		return r;
	snprintf(p->name, sizeof(p->name), "%s", name ? name : "");
	return 0;
}

static int get_dialect(const json_t *o, struct dialect *d, struct err *e)
{
	const json_t *versions = json_object_get(o, "segment_versions");
	const json_t *codecs = json_object_get(o, "codecs");
	const char *name;
	json_t *item;
	size_t i;

	*d = (struct dialect){.segment_version = WIRE_VERSION_OLD,
			      .codecs = 1u << WIRE_CODEC_NONE | 1u << WIRE_CODEC_ZLIB |
					1u << WIRE_CODEC_ZSTD};
	if ((versions && !json_is_array(versions)) || (codecs && !json_is_array(codecs)))
		return err_set(e, -EBADMSG, "'segment_versions' or 'codecs' is not a list");
	json_array_foreach ((json_t *)versions, i, item) {
		if (json_integer_value(item) == WIRE_VERSION)
			d->segment_version = WIRE_VERSION;
	}
	if (codecs)
		d->codecs = 1u << WIRE_CODEC_NONE;
	json_array_foreach ((json_t *)codecs, i, item) {
		name = json_string_value(item);
		if (name && codec_parse(name) >= 0)
			d->codecs |= 1u << codec_parse(name);
	}
	return 0;
}

static int get_machine(const json_t *o, struct remote_machine *m, struct err *e)
{
	json_t *disks, *point, *item, *policy;
	size_t i;
	int r;

	if ((r = json_get_u64(o, "epoch", INT64_MAX, &m->epoch, e)) ||
	    (r = json_get_array(o, "disks", DISKS_MAX, &disks, e)) ||
	    (r = json_get_opt_object(o, "last_point", &point, e)) ||
	    (r = json_get_opt_object(o, "policy", &policy, e)) ||
	    (r = get_dialect(o, &m->dialect, e)))
		return r;
	if (policy && (r = json_get_u64(policy, "retention_s", INT64_MAX, &m->retention_s, e)))
		return r;
	if (point) {
		m->has_point = true;
		r = get_point(point, &m->point, e);
	}
	m->disk_count = json_array_size(disks);
	m->disk = calloc(m->disk_count + 1, sizeof(*m->disk));
	if (!m->disk)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; !r && i < m->disk_count; i++) {
		item = json_array_get(disks, i);
		r = json_is_object(item) ? get_disk(item, &m->disk[i], e)
					 : err_set(e, -EBADMSG, "'disks' holds no objects");
	}
	return r;
}

int api_machine(struct api *a, struct remote_machine *m, struct err *e)
{
	_cleanup_json_ json_t *o = NULL;
	int r;

	memset(m, 0, sizeof(*m));
	r = api_json(a, "GET", false, "/v1/machine", NULL, &o, e);
	if (r)
		return r;
	r = get_machine(o, m, e);
	if (r) {
		api_machine_clear(m);
		return bad_answer(e);
	}
	return 0;
}

void api_machine_clear(struct remote_machine *m)
{
	free(m->disk);
	memset(m, 0, sizeof(*m));
}

int api_register(struct api *a, const char *key, const char *name, uint64_t size, uint64_t granule,
		 struct remote_disk *out, struct err *e)
{
	_cleanup_json_ json_t *o = NULL, *body = NULL;
	int r;

	body = json_pack("{s:s, s:s, s:I, s:I}", "key", key, "name", name, "size", (json_int_t)size,
			 "granule", (json_int_t)granule);
	if (!body)
		return err_set(e, -EINVAL, "the name of a disk is not UTF-8: %s", key);
	r = api_json(a, "POST", false, "/v1/disks", body, &o, e);
	if (r)
		return r;
	memset(out, 0, sizeof(*out));
	return get_disk(o, out, e) ? bad_answer(e) : 0;
}

int api_unregister(struct api *a, const char *disk, struct err *e)
{
	char path[128];

	snprintf(path, sizeof(path), "/v1/disks/%s", disk);
	return api_json(a, "DELETE", false, path, NULL, NULL, e);
}

int api_open_epoch(struct api *a, const char *attempt, struct opened *out, struct err *e)
{
	_cleanup_json_ json_t *o = NULL, *body = json_pack("{s:s}", "attempt", attempt);
	int r = api_json(a, "POST", true, "/v1/epochs", body, &o, e);

	if (r)
		return r;
	if (json_get_u64(o, "epoch", INT64_MAX, &out->epoch, e))
		return bad_answer(e);
	out->has_committed = json_object_get(o, "committed") != NULL;
	if (out->has_committed && json_get_u64(o, "committed", INT64_MAX, &out->committed, e))
		return bad_answer(e);
	return 0;
}

int api_put_segment(struct api *a, const char *disk, uint64_t epoch, uint32_t segment,
		    const void *data, size_t len, struct put_outcome *out, struct err *e)
{
	char path[160];
	struct api_call c = {.method = "PUT",
			     .data = true,
			     .path = path,
			     .type = "application/octet-stream",
			     .body = data,
			     .len = len,
			     .max_answer = 65536};
	struct http_response r;
	int x;

	snprintf(path, sizeof(path), "/v1/disks/%s/epochs/%" PRIu64 "/segments/%u", disk, epoch,
		 segment);
	x = api_request(a, &c, &r, e);
	out->sent = r.sent_bytes;
	memcpy(out->timing, r.server_timing, sizeof(out->timing));
	http_response_clear(&r);
	return x;
}

static int get_commit(const json_t *o, struct commit_answer *out, struct err *e)
{
	const char *refused;
	json_t *point;
	int r;

	if ((r = json_get_opt_object(o, "point", &point, e)) ||
	    (r = json_get_opt_str(o, "refused", sizeof(out->refused) - 1, &refused, e)))
		return r;
	if (refused)
		strcpy(out->refused, refused);
	if (!point)
		return 0;
	out->has_point = true;
	return get_point(point, &out->point, e);
}

int api_commit(struct api *a, uint64_t epoch, const json_t *body, struct commit_answer *out,
	       struct err *e)
{
	_cleanup_json_ json_t *o = NULL;
	char path[64];
	int r;

	memset(out, 0, sizeof(*out));
	snprintf(path, sizeof(path), "/v1/epochs/%" PRIu64 "/commit", epoch);
	r = api_json(a, "POST", true, path, body, &o, e);
	if (r)
		return r;
	return get_commit(o, out, e) ? bad_answer(e) : 0;
}

int api_digests(struct api *a, const char *disk, uint64_t offset, uint64_t length, uint64_t level,
		uint8_t *out, struct err *e)
{
	_cleanup_json_ json_t *body = NULL;
	_cleanup_free_ char *text = NULL;
	char path[96];
	struct api_call c = {.method = "POST",
			     .data = true,
			     .path = path,
			     .type = "application/json"};
	uint64_t want = (length + level - 1) / level * DIGEST_BYTES;
	struct http_response r;
	int x;

	body = json_pack("{s:I, s:I, s:I}", "offset", (json_int_t)offset, "length",
			 (json_int_t)length, "block", (json_int_t)level);
	text = json_text(body);
	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(path, sizeof(path), "/v1/disks/%s/digests", disk);
	c.body = text;
	c.len = strlen(text);
	c.max_answer = want + 65536;
	x = api_request(a, &c, &r, e);
	if (!x && r.body_len != want) {
		x = err_set(e, -EPROTO, "the appliance answered %zu bytes of digests, not %llu",
			    r.body_len, (unsigned long long)want);
	}
	if (!x)
		memcpy(out, r.body, want);
	http_response_clear(&r);
	return x;
}

int api_doubt(struct api *a, const char *disk, const struct doubt *d, uint64_t *points,
	      struct err *e)
{
	_cleanup_json_ json_t *o = NULL, *body = NULL;
	char path[96];
	int r;

	body = json_pack("{s:I, s:I, s:I}", "after", (json_int_t)d->after, "offset",
			 (json_int_t)d->offset, "bytes", (json_int_t)d->bytes);
	if (!body)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(path, sizeof(path), "/v1/disks/%s/doubt", disk);
	r = api_json(a, "POST", true, path, body, &o, e);
	if (r)
		return r;
	return json_get_u64(o, "points", INT64_MAX, points, e) ? bad_answer(e) : 0;
}
