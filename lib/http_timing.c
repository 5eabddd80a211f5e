/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http_timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"

#define LINE_MAX_BYTES 512
#define NAME "server-timing:"

/* The value of dur of one metric, after its name; negative: none. */
static double duration_of(char *params)
{
	char *save, *p, *end;
	double ms;

	for (p = strtok_r(params, "; \t", &save); p; p = strtok_r(NULL, "; \t", &save)) {
		if (strncasecmp(p, "dur=", 4) != 0)
			continue;
		ms = strtod(p + 4, &end);
		return end != p + 4 && !*end && isfinite(ms) && ms < 1e9 ? ms : -1;
	}
	return -1;
}

static void one_metric(char *metric, uint64_t *total_ns, uint64_t *disk_ns)
{
	char *name = metric + strspn(metric, " \t"), *params = name + strcspn(name, "; \t");
	uint64_t *out = NULL;
	double ms;

	if (*params)
		*params++ = '\0';
	if (!strcmp(name, "total"))
		out = total_ns;
	else if (!strcmp(name, "disk"))
		out = disk_ns;
	ms = out ? duration_of(params) : -1;
	if (ms >= 0)
		*out = (uint64_t)(ms * (double)NSEC_PER_SEC / 1000);
}

void http_timing(const char *line, size_t len, uint64_t *total_ns, uint64_t *disk_ns)
{
	char copy[LINE_MAX_BYTES], *next = copy, *metric;

	if (len <= strlen(NAME) || len >= sizeof(copy) || strncasecmp(line, NAME, strlen(NAME)) != 0)
		return;
	memcpy(copy, line + strlen(NAME), len - strlen(NAME));
	copy[len - strlen(NAME)] = '\0';
	copy[strcspn(copy, "\r\n")] = '\0';
	while ((metric = strsep(&next, ",")))
		one_metric(metric, total_ns, disk_ns);
}
