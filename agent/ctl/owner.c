// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/owner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/ctl/actions.h"
#include "agent/ctl/churn.h"
#include "agent/ctl/client.h"
#include "agent/state.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/json.h"

/* What an agent that does not run has written down. */
static bool recorded(const struct ctl *c, const struct watched *w)
{
	_cleanup_free_ char *text = NULL;
	char file[PATH_MAX];
	struct state st;
	bool found = false;
	size_t len;
	int r;

	snprintf(file, sizeof(file), "%s/" STATE_FILE, c->state_dir);
	r = io_read_file(file, STATE_FILE_MAX, &text, &len, NULL);
	if (r)
		return r != -ENOENT;
	if (state_from_text(text, len, &st, NULL))
		return true;
	for (size_t i = 0; i < st.disk_count; i++)
		found |= !st.disk[i].removing && !strcmp(st.disk[i].path, w->path);
	state_clear(&st);
	return found;
}

bool owner_is_agent(const struct ctl *c, const struct watched *w)
{
	_cleanup_json_ json_t *request = json_pack("{s:s}", "command", "status");
	_cleanup_json_ json_t *status = NULL;
	const json_t *d;
	struct err e;
	size_t i;

	status = request ? client_ask(c->socket, request, &e) : NULL;
	if (!status)
		return !request || e.code != -ECONNREFUSED || recorded(c, w);
	json_array_foreach (json_object_get(status, "disks"), i, d) {
		const char *path = json_string_value(json_object_get(d, "path"));

		if (path && !strcmp(path, w->path))
			return true;
	}
	return false;
}
