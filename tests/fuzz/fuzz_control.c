/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what mobilityd reads besides segments: requests on its control socket, and its own state
 * file. A request that is accepted keeps its bounds; a state that is accepted is the same after
 * it was written and read again.
 */
#include <string.h>

#include "agent/request.h"
#include "agent/state.h"
#include "lib/json.h"
#include "tests/fuzz/fuzz.h"

static unsigned long long requests, states;

static void report(void)
{
	fprintf(stderr, "reached: %llu requests and %llu states accepted\n", requests, states);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	atexit(report);
	return 0;
}

static void check_request(const uint8_t *data, size_t size)
{
	static struct request q;
	struct err e = {0};

	if (request_parse(data, size, &q, &e)) {
		must(e.code < 0 && e.text[0]);
		must(q.disk_count == 0);
		return;
	}
	requests++;
	must(q.disk_count <= REQUEST_DISKS_MAX);
	for (size_t i = 0; i < q.disk_count; i++)
		must(q.disk[i][0] && strlen(q.disk[i]) < PATH_MAX);
	must(strlen(q.name) < sizeof(q.name) && !strchr(q.name, '/'));
	if (q.command == COMMAND_ENROLL)
		must(q.host[0] && q.port > 0 && q.port < 65536 && q.token[0]);
	request_clear(&q);
}

static void check_state(const uint8_t *data, size_t size)
{
	struct state first, second;
	struct err e = {0};
	char *text, *again;

	if (state_from_text((const char *)data, size, &first, &e)) {
		must(e.text[0] && first.disk_count == 0);
		return;
	}
	states++;
	text = state_to_text(&first);
	must(text);
	must(!state_from_text(text, strlen(text), &second, &e));
	again = state_to_text(&second);
	must(again && !strcmp(text, again));
	free(text);
	free(again);
	state_clear(&first);
	state_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_request(data, size);
	check_state(data, size);
	return 0;
}
