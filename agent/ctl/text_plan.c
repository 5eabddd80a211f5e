// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/ctl/text.h"
#include "lib/clock.h"

static uint64_t num(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void show_rates(FILE *f, const json_t *rates)
{
	char mean[32], p50[32], p95[32], max[32];

	fprintf(f, "  written     mean %s/s, p50 %s/s, p95 %s/s, most %s/s\n",
		size_format(num(rates, "mean"), mean), size_format(num(rates, "p50"), p50),
		size_format(num(rates, "p95"), p95), size_format(num(rates, "max"), max));
}

static void show_rpo(FILE *f, const json_t *list)
{
	char line[32], p50[32], p95[32], max[32];
	const json_t *r;
	size_t i;

	json_array_foreach (list, i, r)
		fprintf(f, "  at %10s/s  RPO p50 %s, p95 %s, most %s%s\n",
			size_format(num(r, "bandwidth_bytes_per_s"), line),
			duration_format(num(r, "rpo_p50_ns"), p50),
			duration_format(num(r, "rpo_p95_ns"), p95),
			duration_format(num(r, "rpo_max_ns"), max),
			json_is_true(json_object_get(r, "keeps_up"))
				? ""
				: "; DOES NOT KEEP UP: more is written than can be sent");
}

static void show_forecast(FILE *f, const json_t *plan, const json_t *o)
{
	const json_t *overwrite = json_object_get(o, "overwrite_factor");
	char journal[32], day[32], retention[32];

	show_rates(f, json_object_get(o, "churn_bytes_per_s"));
	show_rpo(f, json_object_get(o, "rpo"));
	fprintf(f, "  journal     at most %s for a retention of %s (%s a day)\n",
		size_format(num(o, "journal_bytes"), journal),
		duration_format(num(plan, "retention_ns"), retention),
		size_format(num(o, "journal_bytes_per_day"), day));
	if (json_is_real(overwrite))
		fprintf(f, "  overwrites  each changed byte was written %.1f times\n",
			json_real_value(overwrite));
	else
		fputs("  overwrites  unknown: only the kernel module can tell what was written again\n",
		      f);
}

char *text_plan(const json_t *plan)
{
	const json_t *disks = json_object_get(plan, "disks"), *d;
	char watched[32], size[32], *text = NULL;
	size_t i, len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f, "Watched for %s. Everything is before compression.\n",
		duration_format(num(plan, "watched_ns"), watched));
	json_array_foreach (disks, i, d) {
		fprintf(f, "\n%s, %s, watched by %s\n",
			json_string_value(json_object_get(d, "name")),
			size_format(num(d, "size"), size),
			json_string_value(json_object_get(d, "from")));
		show_forecast(f, plan, d);
	}
	if (json_array_size(disks) > 1) {
		fputs("\nAll together\n", f);
		show_forecast(f, plan, json_object_get(plan, "sum"));
	}
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}
