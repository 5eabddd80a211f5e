// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/actions.h"
#include "agent/ctl/client.h"
#include "lib/clock.h"
#include "lib/json.h"

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static uint64_t num(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void show_last(const json_t *last)
{
	char when[32], held[32];

	if (!json_is_object(last)) {
		fputs("not run yet", stdout);
		return;
	}
	printf("%s at %s", str(last, "result"), clock_format_utc(num(last, "time"), when));
	if (num(last, "held_us"))
		printf(", held for %s", duration_format(num(last, "held_us") * 1000, held));
	if (str(last, "text")[0])
		printf(" (%s)", str(last, "text"));
}

static void show(const json_t *w)
{
	const char *state = str(w, "state");

	printf("%-24s %-9s ", str(w, "name"), state);
	if (!strcmp(state, "ready")) {
		printf("%s", str(w, "title"));
		if (num(w, "instances"))
			printf(", %" PRIu64 " found", num(w, "instances"));
		fputs("; last ", stdout);
		show_last(json_object_get(w, "last"));
	} else {
		fputs(str(w, "text"), stdout);
	}
	putchar('\n');
}

int ctl_writers(struct ctl *c)
{
	_cleanup_json_ json_t *request = json_pack("{s:s}", "command", "writers");
	_cleanup_json_ json_t *answer = NULL;
	struct err e = {0};
	const json_t *w;
	size_t i;

	answer = client_ask(c->socket, request, &e);
	if (!answer) {
		fprintf(stderr, "mobilityctl: %s\n", e.text);
		return e.code == -ECONNREFUSED ? CTL_NOT_RUNNING : CTL_FAILED;
	}
	if (c->json) {
		_cleanup_free_ char *text = NULL;

		json_object_del(answer, "ok");
		text = json_dumps(answer, JSON_INDENT(2));
		if (!text) {
			fputs("mobilityctl: out of memory\n", stderr);
			return CTL_FAILED;
		}
		return puts(text) >= 0 ? CTL_OK : CTL_FAILED;
	}
	if (!json_array_size(json_object_get(answer, "writers")))
		puts("There are no writers; filesystems are frozen all the same.");
	json_array_foreach (json_object_get(answer, "writers"), i, w)
		show(w);
	return CTL_OK;
}
