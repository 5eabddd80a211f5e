/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

json_t *json_parse_object(const void *data, size_t len, size_t max, struct err *e)
{
	json_error_t je;

	if (len > max) {
		err_set(e, -EMSGSIZE, "the JSON text has %zu bytes, at most %zu are allowed", len,
			max);
		return NULL;
	}

	json_t *o = json_loadb(data ? data : "", len, JSON_REJECT_DUPLICATES, &je);

	if (!o) {
		err_set(e, -EBADMSG, "not valid JSON at line %d, column %d: %s", je.line, je.column,
			je.text);
		return NULL;
	}
	if (!json_is_object(o)) {
		json_decref(o);
		err_set(e, -EBADMSG, "the JSON text is not an object");
		return NULL;
	}
	return o;
}

static int get_member(const json_t *o, const char *key, json_t **out, struct err *e)
{
	*out = json_object_get(o, key);
	if (!*out)
		return err_set(e, -EBADMSG, "member \"%s\" is missing", key);
	return 0;
}

static int check_str(const json_t *v, const char *key, size_t min, size_t max, const char **out,
		     struct err *e)
{
	size_t len = json_string_length(v);

	if (!json_is_string(v))
		return err_set(e, -EBADMSG, "member \"%s\" is not a string", key);
	if (len < min || len > max)
		return err_set(e, -EBADMSG, "member \"%s\" has %zu bytes, it must have %zu to %zu",
			       key, len, min, max);
	*out = json_string_value(v);
	return 0;
}

int json_get_str(const json_t *o, const char *key, size_t min, size_t max, const char **out,
		 struct err *e)
{
	json_t *v;
	int r = get_member(o, key, &v, e);

	return r ? r : check_str(v, key, min, max, out, e);
}

int json_get_u64(const json_t *o, const char *key, uint64_t max, uint64_t *out, struct err *e)
{
	json_t *v;
	int r = get_member(o, key, &v, e);

	if (r)
		return r;
	if (!json_is_integer(v))
		return err_set(e, -EBADMSG, "member \"%s\" is not an integer", key);

	json_int_t n = json_integer_value(v);

	if (n < 0 || (uint64_t)n > max)
		return err_set(e, -EBADMSG,
			       "member \"%s\" is %" JSON_INTEGER_FORMAT
			       ", it must be from 0 to %" PRIu64,
			       key, n, max);
	*out = (uint64_t)n;
	return 0;
}

int json_get_bool(const json_t *o, const char *key, bool *out, struct err *e)
{
	json_t *v;
	int r = get_member(o, key, &v, e);

	if (r)
		return r;
	if (!json_is_boolean(v))
		return err_set(e, -EBADMSG, "member \"%s\" is not true or false", key);
	*out = json_is_true(v);
	return 0;
}

int json_get_object(const json_t *o, const char *key, json_t **out, struct err *e)
{
	json_t *v;
	int r = get_member(o, key, &v, e);

	if (r)
		return r;
	if (!json_is_object(v))
		return err_set(e, -EBADMSG, "member \"%s\" is not an object", key);
	*out = v;
	return 0;
}

int json_get_array(const json_t *o, const char *key, size_t max, json_t **out, struct err *e)
{
	json_t *v;
	int r = get_member(o, key, &v, e);

	if (r)
		return r;
	if (!json_is_array(v))
		return err_set(e, -EBADMSG, "member \"%s\" is not an array", key);
	if (json_array_size(v) > max)
		return err_set(e, -EBADMSG,
			       "member \"%s\" has %zu elements, at most %zu are allowed", key,
			       json_array_size(v), max);
	*out = v;
	return 0;
}

static bool absent(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return !v || json_is_null(v);
}

int json_get_opt_object(const json_t *o, const char *key, json_t **out, struct err *e)
{
	*out = NULL;
	return absent(o, key) ? 0 : json_get_object(o, key, out, e);
}

int json_get_opt_str(const json_t *o, const char *key, size_t max, const char **out, struct err *e)
{
	*out = NULL;
	return absent(o, key) ? 0 : json_get_str(o, key, 0, max, out, e);
}

static bool listed(const char *key, const char *const *keys)
{
	for (; *keys; keys++) {
		if (strcmp(key, *keys) == 0)
			return true;
	}
	return false;
}

int json_only_keys(const json_t *o, const char *const *keys, struct err *e)
{
	json_t *object =
		(json_t *)o; /* jansson's iteration has no const form; nothing is changed */
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		if (!listed(key, keys))
			return err_set(e, -EBADMSG, "member \"%s\" is not known here", key);
	}
	return 0;
}

char *json_text(const json_t *o)
{
	return json_dumps(o, JSON_COMPACT);
}
