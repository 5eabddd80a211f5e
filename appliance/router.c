/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "appliance/api.h"
#include "appliance/body.h"
#include "appliance/router.h"
#include "include/mobility/wire.h"
#include "lib/cleanup.h"

#define CONTROL LISTENER_CONTROL
#define DATA LISTENER_DATA

static const struct route routes[] = {
	{"GET", "/v1/ca", CONTROL, true, 0, false, api_ca},
	{"POST", "/v1/enroll", CONTROL, true, BODY_ENROLL_MAX, true, api_enroll},
	{"POST", "/v1/renew", CONTROL, false, BODY_ENROLL_MAX, false, api_renew},
	{"POST", "/v1/disks", CONTROL, false, BODY_JSON_MAX, false, api_disk_put},
	{"GET", "/v1/disks/{d}", CONTROL | DATA, false, 0, false, api_disk_get},
	{"DELETE", "/v1/disks/{d}", CONTROL, false, 0, false, api_disk_delete},
	{"POST", "/v1/disks/{d}/doubt", DATA, false, BODY_JSON_MAX, false, api_disk_doubt},
	{"GET", "/v1/machine", CONTROL | DATA, false, 0, false, api_machine},
	{"GET", "/v1/points", CONTROL, false, 0, false, api_points},
	{"POST", "/v1/epochs", DATA, false, BODY_JSON_MAX, false, api_epoch_open},
	{"POST", "/v1/epochs/{e}/commit", DATA, false, BODY_JSON_MAX, false, api_commit},
	{"PUT", "/v1/disks/{d}/epochs/{e}/segments/{n}", DATA, false, WIRE_SEGMENT_MAX, false,
	 api_segment},
	{"POST", "/v1/disks/{d}/digests", DATA, false, BODY_JSON_MAX, false, api_digests},
};

/* A decimal number without sign or leading zeros, at most max, of len characters. */
static bool parse_number(const char *s, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (len == 0 || len > 19 || (len > 1 && s[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	*out = v;
	return v <= max;
}

static bool parse_part(char kind, const char *s, size_t len, struct request *r)
{
	uint8_t id[UUID_BYTES];
	uint64_t v;

	switch (kind) {
	case 'd':
		if (len != UUID_TEXT_BYTES - 1)
			return false;
		memcpy(r->disk, s, len);
		r->disk[len] = 0;
		return uuid_parse_text(r->disk, id) == 0;
	case 'e':
		return parse_number(s, len, INT64_MAX, &r->epoch);
	default:
		if (!parse_number(s, len, UINT32_MAX, &v))
			return false;
		r->segment = (uint32_t)v;
		return true;
	}
}

static bool path_matches(const char *pattern, const char *path, struct request *r)
{
	while (*pattern) {
		if (*pattern == '{') {
			size_t len = strcspn(path, "/");

			if (!parse_part(pattern[1], path, len, r))
				return false;
			pattern += 3;
			path += len;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == 0;
}

const struct route *router_find(struct request *r)
{
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!(routes[i].listeners & r->listener) ||
		    !path_matches(routes[i].path, r->path, r))
			continue;
		if (!strcmp(routes[i].method, r->method))
			return &routes[i];
		known = true;
	}
	if (known)
		reply_error(r, API_METHOD, "%s does not know the method %s", r->path, r->method);
	else
		reply_error(r, API_NOT_FOUND, "there is no %s on this port", r->path);
	return NULL;
}
