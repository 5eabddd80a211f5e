// SPDX-License-Identifier: Apache-2.0
#include "agent/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"

#define STATE_SCHEMA 1

void state_clear(struct state *s)
{
	free(s->disk);
	memset(s, 0, sizeof(*s));
}

struct state_disk *state_find(struct state *s, const char *key)
{
	for (size_t i = 0; i < s->disk_count; i++) {
		if (!strcmp(s->disk[i].key, key))
			return &s->disk[i];
	}
	return NULL;
}

struct state_disk *state_add(struct state *s)
{
	struct state_disk *bigger;

	if (s->disk_count >= STATE_DISKS_MAX)
		return NULL;
	bigger = realloc(s->disk, (s->disk_count + 1) * sizeof(*bigger));
	if (!bigger)
		return NULL;
	s->disk = bigger;
	memset(&s->disk[s->disk_count], 0, sizeof(*bigger));
	return &s->disk[s->disk_count++];
}

void state_remove(struct state *s, const char *key)
{
	struct state_disk *d = state_find(s, key);

	if (!d)
		return;
	s->disk_count--;
	memmove(d, d + 1, (size_t)(s->disk + s->disk_count - d) * sizeof(*d));
}

static json_t *left_out_to_json(const struct left_out *l)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < l->count; i++)
		json_array_append_new(list, json_pack("[I, I]", (json_int_t)l->range[i].from,
						      (json_int_t)l->range[i].to));
	return list;
}

static json_t *disk_to_json(const struct state_disk *d)
{
	return json_pack(
		"{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:b, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:I, "
		"s:I, s:o}",
		"key", d->key, "name", d->name, "path", d->path, "path_boot_id", d->path_boot_id,
		"file", d->file, "source", source_choice_name(d->source), "last_state",
		disk_state_name(d->last_state), "removing", d->removing, "attach_id", d->attach_id,
		"module_id", d->module_id, "boot_id", d->boot_id, "resync_cause", d->resync_cause,
		"resync_requested", d->resync_requested, "resync_scheduled", d->resync_scheduled,
		"resync_now", d->resync_now, "proven", (json_int_t)d->proven_ns, "proven_epoch",
		(json_int_t)d->proven_epoch, "left_out", left_out_to_json(&d->left_out));
}

char *state_to_text(const struct state *s)
{
	_cleanup_json_ json_t *o = NULL;
	json_t *disks = json_array();

	for (size_t i = 0; i < s->disk_count; i++) {
		/* Never without one of them: its protection would end with that. */
		if (json_array_append_new(disks, disk_to_json(&s->disk[i]))) {
			json_decref(disks);
			return NULL;
		}
	}
	o = json_pack("{s:i, s:s, s:i, s:i, s:s, s:b, s:o}", "schema", STATE_SCHEMA, "host",
		      s->host, "control_port", (int)s->control_port, "data_port", (int)s->data_port,
		      "machine", s->machine, "paused", s->paused, "disks", disks);
	if (!o)
		return NULL;
	return json_dumps(o, JSON_INDENT(1));
}

static int copy_text(const json_t *o, const char *key, char *out, size_t size, struct err *e)
{
	const char *text;
	int r = json_get_str(o, key, 0, size - 1, &text, e);

	if (!r)
		strcpy(out, text);
	return r;
}

/* What a state that was written by an older agent does not have is "", false, or 0. */
static int opt_text(const json_t *o, const char *key, char *out, size_t size, struct err *e)
{
	out[0] = '\0';
	return json_object_get(o, key) ? copy_text(o, key, out, size, e) : 0;
}

static int opt_bool(const json_t *o, const char *key, bool *out, struct err *e)
{
	*out = false;
	return json_object_get(o, key) ? json_get_bool(o, key, out, e) : 0;
}

static int opt_u64(const json_t *o, const char *key, uint64_t *out, struct err *e)
{
	*out = 0;
	return json_object_get(o, key) ? json_get_u64(o, key, INT64_MAX, out, e) : 0;
}

static int left_out_from_json(const json_t *o, struct left_out *out, struct err *e)
{
	const json_t *item;
	json_t *list;
	size_t i;
	int r;

	*out = (struct left_out){0};
	if (!json_object_get(o, "left_out"))
		return 0;
	r = json_get_array(o, "left_out", LEFT_OUT_RANGES, &list, e);
	if (r)
		return r;
	json_array_foreach (list, i, item) {
		json_int_t from = json_integer_value(json_array_get(item, 0));
		json_int_t to = json_integer_value(json_array_get(item, 1));

		if (from < 0 || to <= from)
			return err_set(e, -EBADMSG, "'left_out' holds no ranges");
		left_out_add(out, (uint64_t)from, (uint64_t)to);
	}
	return 0;
}

static int disk_from_json(const json_t *o, struct state_disk *d, struct err *e)
{
	char source[16], last_state[16];
	int r, choice, known;

	if ((r = copy_text(o, "key", d->key, sizeof(d->key), e)) ||
	    (r = copy_text(o, "name", d->name, sizeof(d->name), e)) ||
	    (r = copy_text(o, "path", d->path, sizeof(d->path), e)) ||
	    (r = opt_text(o, "path_boot_id", d->path_boot_id, sizeof(d->path_boot_id), e)) ||
	    (r = json_get_bool(o, "file", &d->file, e)) ||
	    (r = copy_text(o, "source", source, sizeof(source), e)) ||
	    (r = copy_text(o, "last_state", last_state, sizeof(last_state), e)) ||
	    (r = json_get_bool(o, "removing", &d->removing, e)) ||
	    (r = copy_text(o, "attach_id", d->attach_id, sizeof(d->attach_id), e)) ||
	    (r = copy_text(o, "module_id", d->module_id, sizeof(d->module_id), e)) ||
	    (r = copy_text(o, "boot_id", d->boot_id, sizeof(d->boot_id), e)) ||
	    (r = copy_text(o, "resync_cause", d->resync_cause, sizeof(d->resync_cause), e)) ||
	    (r = json_get_bool(o, "resync_requested", &d->resync_requested, e)) ||
	    (r = opt_bool(o, "resync_scheduled", &d->resync_scheduled, e)) ||
	    (r = opt_bool(o, "resync_now", &d->resync_now, e)) ||
	    (r = opt_u64(o, "proven", &d->proven_ns, e)) ||
	    (r = opt_u64(o, "proven_epoch", &d->proven_epoch, e)) ||
	    (r = left_out_from_json(o, &d->left_out, e)))
		return r;
	choice = source_choice_parse(source);
	if (choice < 0)
		return err_set(e, -EBADMSG, "source '%s' is none of auto, kmod, scan", source);
	known = disk_state_parse(last_state);
	if (known < 0)
		return err_set(e, -EBADMSG, "'%s' is not a state of a disk", last_state);
	d->source = (enum source_choice)choice;
	d->last_state = (enum disk_state)known;
	return 0;
}

static int disks_from_json(const json_t *array, struct state *out, struct err *e)
{
	const json_t *item;
	size_t i;
	int r;

	json_array_foreach (array, i, item) {
		struct state_disk *d = state_add(out);

		if (!d)
			return err_set(e, -ENOMEM, "out of memory");
		r = disk_from_json(item, d, e);
		if (r)
			return err_prefix(e, "disk %zu", i);
	}
	return 0;
}

static int fill(const json_t *o, struct state *out, struct err *e)
{
	uint64_t schema, control, data;
	json_t *disks;
	int r;

	if ((r = json_get_u64(o, "schema", UINT32_MAX, &schema, e)) ||
	    (r = copy_text(o, "host", out->host, sizeof(out->host), e)) ||
	    (r = json_get_u64(o, "control_port", 65535, &control, e)) ||
	    (r = json_get_u64(o, "data_port", 65535, &data, e)) ||
	    (r = copy_text(o, "machine", out->machine, sizeof(out->machine), e)) ||
	    (r = json_get_bool(o, "paused", &out->paused, e)) ||
	    (r = json_get_array(o, "disks", STATE_DISKS_MAX, &disks, e)))
		return r;
	if (schema != STATE_SCHEMA)
		return err_set(e, -EPROTONOSUPPORT,
			       "schema %llu was written by another version of the agent",
			       (unsigned long long)schema);
	out->control_port = (unsigned int)control;
	out->data_port = (unsigned int)data;
	return disks_from_json(disks, out, e);
}

int state_from_text(const char *text, size_t len, struct state *out, struct err *e)
{
	_cleanup_json_ json_t *o = json_parse_object(text, len, STATE_FILE_MAX, e);
	int r;

	memset(out, 0, sizeof(*out));
	if (!o)
		return e ? e->code : -EBADMSG;
	r = fill(o, out, e);
	if (r)
		state_clear(out);
	return r;
}
