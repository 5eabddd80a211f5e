// SPDX-License-Identifier: Apache-2.0
#include "agent/application.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/epoch.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text.h"

static void fail(struct application *app, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The first reason stays. */
static void fail(struct application *app, const char *fmt, ...)
{
	va_list args;

	if (app->reason[0])
		return;
	va_start(args, fmt);
	text_vformat(app->reason, sizeof(app->reason), fmt, args);
	va_end(args);
}

/* While a disk is not complete there is no point, and nothing to be held for. */
static bool all_complete(const struct disk_table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		if (t->disk[i]->state != DISK_PROTECTED)
			return false;
	}
	return true;
}

uint64_t application_due(const struct session *s, uint64_t now)
{
	uint64_t interval = s->a->config.app_consistent_interval;

	if (!interval || !all_complete(s->a->disks))
		return UINT64_MAX;
	return now - s->application_ns >= interval ? 0 : interval - (now - s->application_ns);
}

/* "MAJOR:MINOR,…" of the disks; NULL with the reason: one of them has no boundary. */
static char *disk_numbers(struct epoch *ep)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (size_t i = 0; f && i < ep->table->count; i++) {
		const struct disk *d = ep->table->disk[i];
		struct stat st;

		if (!d->source || !d->source->ops->tracks)
			fail(&ep->app,
			     "%s is scanned: without the kernel module a copy takes "
			     "longer than applications can be held",
			     d->name);
		else if (stat(d->path, &st) || !S_ISBLK(st.st_mode))
			fail(&ep->app, "%s is not a block device", d->path);
		else
			fprintf(f, "%s%u:%u", i ? "," : "", major(st.st_rdev), minor(st.st_rdev));
	}
	if (!f || fclose(f))
		fail(&ep->app, "out of memory");
	if (ep->app.reason[0]) {
		free(text);
		return NULL;
	}
	return text;
}

/*
 * Nobody is held for an epoch of which no point can be made. One that could not read a disk will hardly be able to
 * now; if it is, the next one is for the bookmark.
 */
static void put_off(struct epoch *ep)
{
	struct application *app = &ep->app;

	snprintf(app->put_off, sizeof(app->put_off), "%s", ep->fuzzy);
	for (size_t i = 0; !app->put_off[0] && i < ep->table->count; i++) {
		struct disk *d = ep->table->disk[i];
		uint64_t bytes = disk_unread_told(d);

		if (bytes)
			snprintf(app->put_off, sizeof(app->put_off),
				 "%llu bytes of %s could not be read", (unsigned long long)bytes,
				 d->name);
	}
	app->wanted = !app->put_off[0];
}

static int hold(struct agent *a, struct shim *shim, const char *disks, struct err *e)
{
	int r;

	waiting_begin(a, WAIT_PREPARE, NULL);
	r = shim_prepare(shim, disks, e);
	if (!r) {
		waiting_begin(a, WAIT_FREEZE, NULL);
		r = shim_freeze(shim, e);
	}
	waiting_end(a);
	return r;
}

void application_freeze(struct epoch *ep)
{
	struct application *app = &ep->app;
	_cleanup_free_ char *disks = NULL;
	struct err e;

	if (!app->wanted)
		return;
	put_off(ep);
	if (app->wanted || app->scheduled)
		ep->s->application_ns = clock_monotonic_ns();
	if (!app->wanted)
		return;
	disks = disk_numbers(ep);
	if (!disks)
		return;
	if (shim_open(ep->s->a->config.shim_socket, &app->shim, &e)) {
		fail(app, "%s", e.text);
		return;
	}
	app->tried = true;
	shim_attend(app->shim, session_beat, ep->s, &ep->s->a->cancel);
	if (!hold(ep->s->a, app->shim, disks, &e))
		return;
	fail(app, "%s", e.text);
	shim_close(app->shim);
	app->shim = NULL;
}

bool application_holds(const struct epoch *ep)
{
	return ep->app.shim && !ep->app.thawed;
}

void application_thaw(struct epoch *ep, bool taken)
{
	struct application *app = &ep->app;
	struct err e;

	if (!application_holds(ep))
		return;
	app->thawed = true;
	if (!taken)
		fail(app, "the kernel module could not take a boundary at once");
	if (shim_thaw(app->shim, &e))
		fail(app, "%s", e.text);
}

/* --- what the shim reported ------------------------------------------------------------------- */

static json_int_t number(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? n : 0;
}

/* How long it was held; of one that failed, how long it was tried. */
static json_int_t held(const json_t *o)
{
	json_int_t us = number(o, "held_us");

	return us ? us : number(o, "freeze_us");
}

static void add_writer(json_t *list, const json_t *w)
{
	json_array_append_new(list,
			      json_pack("{s:O, s:O, s:O, s:I}", "name", json_object_get(w, "name"),
					"result", json_object_get(w, "result"), "text",
					json_object_get(w, "text"), "freeze_us", held(w)));
}

/* Both may be cut. */
static void why_failed(const json_t *fs, char *text, size_t size)
{
	const char *mount = json_string_value(json_object_get(fs, "mount"));
	const char *why = json_string_value(json_object_get(fs, "text"));
	char where[151];

	text_format(where, sizeof(where), "%s", mount ? mount : "?");
	text_format(text, size, "%s: %s", where, why ? why : "it failed");
}

/* All filesystems together are one writer of the record. */
static void add_filesystems(json_t *list, const json_t *filesystems)
{
	unsigned int ok = 0, skipped = 0;
	const char *result = "skipped";
	char text[352];
	json_int_t longest = 0;
	const json_t *fs;
	size_t i;

	text[0] = '\0';
	json_array_foreach (filesystems, i, fs) {
		const char *how = json_string_value(json_object_get(fs, "result"));

		longest = held(fs) > longest ? held(fs) : longest;
		if (how && !strcmp(how, "failed")) {
			result = "failed";
			if (!text[0])
				why_failed(fs, text, sizeof(text));
		}
		ok += how && !strcmp(how, "ok");
		skipped += how && !strcmp(how, "skipped");
	}
	if (ok && strcmp(result, "failed") != 0)
		result = "ok";
	if (!text[0])
		snprintf(text, sizeof(text), "%u frozen, %u synced only", ok, skipped);
	json_array_append_new(list,
			      json_pack("{s:s, s:s, s:s, s:I}", "name", "filesystems", "result",
					result, "text", text, "freeze_us", longest));
}

static void take_report(struct application *app, const json_t *report)
{
	const json_t *w;
	const char *reason = json_string_value(json_object_get(report, "reason"));
	size_t i;

	app->writers = json_array();
	json_array_foreach (json_object_get(report, "writers"), i, w)
		add_writer(app->writers, w);
	if (json_array_size(json_object_get(report, "filesystems")))
		add_filesystems(app->writers, json_object_get(report, "filesystems"));
	if (reason)
		fail(app, "%s", reason);
	else if (!json_is_true(json_object_get(report, "consistent")))
		fail(app, "vss-shim does not say that it is consistent");
}

void application_judge(struct epoch *ep)
{
	struct application *app = &ep->app;
	_cleanup_json_ json_t *report = NULL;
	struct err e;

	if (!app->wanted)
		return;
	if (app->shim && app->thawed) {
		waiting_begin(ep->s->a, WAIT_REPORT, NULL);
		report = shim_report(app->shim, &e);
		waiting_end(ep->s->a);
		if (report)
			take_report(app, report);
		else
			fail(app, "%s", e.text);
	}
	app->consistent = report && !app->reason[0];
	if (!app->consistent)
		fail(app, "the applications were not held");
}

void application_end(struct epoch *ep, bool committed)
{
	struct application *app = &ep->app;
	struct facts f;

	if (!app->wanted)
		return;
	shim_close(app->shim);
	app->shim = NULL;
	json_decref(app->writers);
	app->writers = NULL;
	if (!committed)
		return;
	f = agent_facts_get(ep->s->a);
	snprintf(f.application, sizeof(f.application), "%s", app->consistent ? "" : app->reason);
	agent_facts_set(ep->s->a, &f);
	if (!app->consistent)
		log_warning("epoch %llu is not application-consistent: %s",
			    (unsigned long long)ep->number, app->reason);
}
