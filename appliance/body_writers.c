/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/body.h"
#include "lib/json.h"

#define WRITERS_MAX 128
#define NAME_MAX_BYTES 128

static int check_writer(const json_t *o, struct err *e)
{
	static const char *const members[] = {"name", "result", "text", "freeze_us", NULL};
	static const char *const results[] = {"ok", "skipped", "refused", "failed"};
	const char *name, *result, *text;
	uint64_t us;
	int rc;

	if (!json_is_object(o))
		return err_set(e, -EBADMSG, "an element of writers is not an object");
	if ((rc = json_only_keys(o, members, e)) ||
	    (rc = json_get_str(o, "name", 1, NAME_MAX_BYTES, &name, e)) ||
	    (rc = json_get_str(o, "result", 1, 16, &result, e)) ||
	    (rc = json_get_opt_str(o, "text", REASON_MAX - 1, &text, e)) ||
	    (rc = json_get_u64(o, "freeze_us", INT64_MAX, &us, e)) ||
	    (rc = body_printable(name, "name of a writer", e)) ||
	    (text && (rc = body_printable(text, "text of a writer", e))))
		return rc;
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		if (!strcmp(result, results[i]))
			return 0;
	}
	return err_set(e, -EBADMSG, "result of a writer is none of ok, skipped, refused, failed");
}

int body_writers(const json_t *root, char **out, struct err *e)
{
	json_t *list;
	size_t n;
	int rc;

	*out = NULL;
	if (!json_object_get(root, "writers"))
		return 0;
	rc = json_get_array(root, "writers", WRITERS_MAX, &list, e);
	if (rc < 0)
		return rc;
	n = json_array_size(list);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = check_writer(json_array_get(list, i), e);
	if (rc < 0 || n == 0)
		return rc;
	*out = json_text(list);
	return *out ? 0 : err_set(e, -ENOMEM, "out of memory");
}
