// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/report.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json.h"

/* Text of unknown origin: what is no UTF-8 is left out rather than the whole report. */
static json_t *text_or_null(const char *s)
{
	json_t *j = *s ? json_string(s) : NULL;

	return j ? j : json_null();
}

static json_t *writer_json(const struct writer *w)
{
	const char *title = w->id.title[0] ? w->id.title : w->name;

	return json_pack("{s:s, s:o, s:I, s:s, s:o, s:I, s:I, s:I, s:I}", "name", w->name, "title",
			 text_or_null(title), "instances", (json_int_t)w->id.instances, "result",
			 result_name(w->result), "text", text_or_null(w->text), "prepare_us",
			 (json_int_t)w->prepare_us, "freeze_us", (json_int_t)w->freeze_us,
			 "held_us", (json_int_t)w->held_us, "thaw_us", (json_int_t)w->thaw_us);
}

/* What does not take part is no part of the report. */
static bool takes_part(const struct writer *w)
{
	return w->result != RESULT_DISABLED && w->result != RESULT_ABSENT;
}

static json_t *filesystem_json(const struct frozen_fs *fs, bool busy)
{
	static const char *const names[] = {"ok", "skipped", "failed"};

	if (busy) /* the thread still writes its results */
		return json_pack("{s:o, s:s, s:s, s:s, s:i, s:i}", "mount", text_or_null(fs->point),
				 "type", fs->type, "result", "failed", "text",
				 "the kernel has not finished with the filesystems", "freeze_us", 0,
				 "held_us", 0);
	return json_pack("{s:o, s:s, s:s, s:o, s:I, s:I}", "mount", text_or_null(fs->point), "type",
			 fs->type, "result", names[fs->result], "text", text_or_null(fs->text),
			 "freeze_us", (json_int_t)fs->freeze_us, "held_us",
			 (json_int_t)fs->held_us);
}

json_t *report_set(struct set *set)
{
	json_t *writers = json_array(), *filesystems = json_array();
	bool busy = freezer_busy(&set->freezer);

	for (size_t i = 0; i < set->count; i++) {
		if (takes_part(&set->writer[i]))
			json_array_append_new(writers, writer_json(&set->writer[i]));
	}
	for (size_t i = 0; i < set->freezer.count; i++)
		json_array_append_new(filesystems, filesystem_json(&set->freezer.fs[i], busy));
	return json_pack("{s:s, s:b, s:o, s:I, s:o, s:o}", "set", set->id, "consistent",
			 !set->reason[0], "reason", text_or_null(set->reason), "window_us",
			 (json_int_t)set->window_us, "writers", writers, "filesystems",
			 filesystems);
}

/* --- history ---------------------------------------------------------------------------------- */

struct history {
	json_t *by_name; /* name → how it did */
};

struct history *history_new(void)
{
	struct history *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->by_name = json_object();
	if (h->by_name)
		return h;
	free(h);
	return NULL;
}

void history_free(struct history *h)
{
	if (h)
		json_decref(h->by_name);
	free(h);
}

void history_keep(struct history *h, const struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct writer *w = &set->writer[i];
		json_t *o;

		if (!takes_part(w))
			continue;
		o = writer_json(w);
		if (!o)
			continue;
		json_object_set_new(o, "set", json_string(set->id));
		json_object_set_new(o, "time", json_integer((json_int_t)clock_realtime_ns()));
		json_object_set_new(h->by_name, w->name, o);
	}
}

static json_t *listed(const struct writer *w, const struct history *h)
{
	json_t *last = json_object_get(h->by_name, w->name);
	/* Nothing was asked of it: what identify found is all. */
	const char *state = w->result == RESULT_OK ? "ready" : result_name(w->result);
	const char *title = w->id.title[0] ? w->id.title : w->name;

	return json_pack("{s:s, s:o, s:o, s:s, s:I, s:o, s:o, s:O?}", "name", w->name, "title",
			 text_or_null(title), "path", text_or_null(w->path), "state", state,
			 "instances", (json_int_t)w->id.instances, "promise",
			 text_or_null(w->id.promise), "text", text_or_null(w->text), "last", last);
}

json_t *report_writers(const struct set *set, const struct history *h)
{
	json_t *list = json_array();

	for (size_t i = 0; i < set->count; i++)
		json_array_append_new(list, listed(&set->writer[i], h));
	return json_pack("{s:o}", "writers", list);
}
