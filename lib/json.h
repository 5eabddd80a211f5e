/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reading of JSON objects, over jansson. Any thread, on objects that it alone uses. Getters
 * fail with -EBADMSG and a sentence that names the member when it is missing or of another type or
 * out of range.
 */
#ifndef MOBILITY_JSON_H
#define MOBILITY_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/cleanup.h"
#include "lib/err.h"

static inline void cleanup_json_decrefp(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(cleanup_json_decrefp)

/*
 * Parse one object of at most max bytes; duplicates refused, nothing may follow it. NULL on error.
 * The caller owns it.
 */
json_t *json_parse_object(const void *data, size_t len, size_t max, struct err *e);

/* *out is borrowed from o. Lengths in bytes, min..max inclusive. */
int json_get_str(const json_t *o, const char *key, size_t min, size_t max, const char **out,
		 struct err *e);
/* 0 <= value <= max */
int json_get_u64(const json_t *o, const char *key, uint64_t max, uint64_t *out, struct err *e);
int json_get_bool(const json_t *o, const char *key, bool *out, struct err *e);
/* borrowed */
int json_get_object(const json_t *o, const char *key, json_t **out, struct err *e);
int json_get_array(const json_t *o, const char *key, size_t max, json_t **out, struct err *e);
/* A member that may be null or absent gives *out = NULL. */
int json_get_opt_object(const json_t *o, const char *key, json_t **out, struct err *e);
int json_get_opt_str(const json_t *o, const char *key, size_t max, const char **out, struct err *e);

/* -EBADMSG if o has a member that is not in the NULL-terminated list. */
int json_only_keys(const json_t *o, const char *const *keys, struct err *e);

/* Compact text; the caller frees. NULL only when out of memory. */
char *json_text(const json_t *o);

#endif
