/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/api.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/codec.h"
#include "lib/json.h"

json_t *json_of_point(const struct point_row *p, const struct point_disk *disks, size_t n,
		      const char *writers)
{
	json_t *list = json_array(), *how = NULL;

	for (size_t i = 0; i < n; i++) {
		if (json_array_append_new(list, json_pack("{s:s, s:I}", "disk", disks[i].disk,
							  "size", (json_int_t)disks[i].size)) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	/* It was checked when it came. */
	if (*writers)
		how = json_loads(writers, 0, NULL);
	return json_pack("{s:I, s:s, s:I, s:I, s:s, s:s?, s:s?, s:s?, s:o, s:o}", "id",
			 (json_int_t)p->epoch, "machine", p->machine, "epoch", (json_int_t)p->epoch,
			 "time", (json_int_t)p->time, "consistency", p->consistency, "name",
			 p->name[0] ? p->name : NULL, "reason", p->reason[0] ? p->reason : NULL,
			 "doubt", p->doubt[0] ? p->doubt : NULL, "writers",
			 how ? how : json_array(), "disks", list);
}

json_t *json_of_points(struct catalog *c, const char *machine, size_t limit, struct err *e)
{
	_cleanup_free_ struct point_row *points = NULL;
	_cleanup_json_ json_t *list = json_array();
	int n = catalog_points(c, machine, limit, &points, e);

	for (int i = 0; i < n; i++) {
		_cleanup_free_ struct point_disk *disks = NULL;
		_cleanup_free_ char *writers = NULL;
		int count = catalog_point_disks(c, points[i].machine, points[i].epoch, &disks, e);

		if (count < 0 ||
		    catalog_point_writers(c, points[i].machine, points[i].epoch, &writers, e) < 0)
			return NULL;
		if (json_array_append_new(list, json_of_point(&points[i], disks, (size_t)count,
							      writers)) < 0) {
			err_set(e, -ENOMEM, "out of memory");
			return NULL;
		}
	}
	if (n < 0)
		return NULL;
	return cleanup_steal_ptr(&list);
}

static json_t *json_of_disks(const struct disk_row *disks, int n)
{
	json_t *list = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(list, json_of_disk(&disks[i]));
	return list;
}

static json_t *json_of_machine(struct request *r, const struct machine_row *m, struct err *e)
{
	const struct config *conf = &r->app->home.config;
	_cleanup_free_ struct disk_row *disks = NULL;
	_cleanup_json_ json_t *points = NULL;
	json_t *open = json_null();
	int n = catalog_disks(r->app->home.catalog, r->machine, true, &disks, e);

	if (n < 0)
		return NULL;
	points = json_of_points(r->app->home.catalog, r->machine, 1, e);
	if (!points)
		return NULL;
	if (m->open_epoch)
		open = json_pack("{s:I, s:s}", "epoch", (json_int_t)m->open_epoch, "attempt",
				 m->open_attempt);
	return json_pack(
		"{s:s, s:s, s:I, s:o, s:o, s:O?, s:I, s:{s:I, s:I}, s:[i, i], s:[s, s, s]}",
		"machine", m->id, "hostname", m->hostname, "epoch", (json_int_t)m->committed,
		"open", open, "disks", json_of_disks(disks, n), "last_point",
		json_array_get(points, 0), "time", (json_int_t)clock_realtime_ns(), "policy",
		"retention_s", (json_int_t)(conf->retention_ns / NSEC_PER_SEC), "point_interval_s",
		(json_int_t)(conf->point_interval_ns / NSEC_PER_SEC), "segment_versions",
		WIRE_VERSION_OLD, WIRE_VERSION, "codecs", codec_name(WIRE_CODEC_NONE),
		codec_name(WIRE_CODEC_ZLIB), codec_name(WIRE_CODEC_ZSTD));
}

void api_machine(struct request *r)
{
	struct machine_row m;
	struct err e = {0};
	json_t *o;

	if (!request_machine(r, &m))
		return;
	o = json_of_machine(r, &m, &e);
	if (!o && e.code)
		reply_failed(r, e.code, &e);
	else
		reply_json(r, 200, o);
}

void api_points(struct request *r)
{
	struct err e = {0};
	json_t *list = json_of_points(r->app->home.catalog, r->machine, 0, &e);

	if (!list)
		reply_failed(r, e.code ? e.code : -ENOMEM, &e);
	else
		reply_json(r, 200, json_pack("{s:o}", "points", list));
}
