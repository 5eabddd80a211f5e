// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/clock.h"

/* Members that are missing or null read as 0 and "": a newer agent may leave some out. */
static uint64_t num(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool is_set(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return v && !json_is_null(v);
}

static void show_appliance(FILE *f, const json_t *status)
{
	const json_t *a = json_object_get(status, "appliance");
	char since[32];

	if (!json_is_object(a)) {
		fputs("Appliance   none: not enrolled\n", f);
		return;
	}
	if (!num(a, "since")) {
		fprintf(f, "Appliance   %s, not asked for anything yet\n", str(a, "url"));
		return;
	}
	fprintf(f, "Appliance   %s, %s since %s\n", str(a, "url"),
		json_is_true(json_object_get(a, "connected")) ? "connected" : "NOT CONNECTED",
		clock_format_utc(num(a, "since"), since));
}

static void show_module(FILE *f, const json_t *status)
{
	const json_t *m = json_object_get(status, "module");
	char used[32], limit[32], held[32];

	fprintf(f, "Module      %s", str(m, "mode"));
	if (str(m, "reason")[0])
		fprintf(f, " (%s)", str(m, "reason"));
	if (strcmp(str(m, "mode"), "absent") != 0) {
		fprintf(f, ", pool %s of %s, %" PRIu64 " boundaries, %" PRIu64 " torn",
			size_format(num(m, "pool_used"), used),
			size_format(num(m, "pool_limit"), limit), num(m, "boundaries"),
			num(m, "torn_epochs"));
		if (num(m, "held_writes"))
			fprintf(f, ", %" PRIu64 " writes held, longest %s", num(m, "held_writes"),
				duration_format(num(m, "held_max_ns"), held));
	}
	fputc('\n', f);
}

static void show_point(FILE *f, const json_t *status)
{
	const json_t *p = json_object_get(status, "last_point");
	char when[32], rpo[32];

	if (!json_is_object(p)) {
		fputs("RPO         no recovery point yet\n", f);
		return;
	}
	fprintf(f, "RPO         %s\n",
		is_set(status, "rpo_ns") ? duration_format(num(status, "rpo_ns"), rpo) : "unknown");
	fprintf(f, "Last point  recovery point %" PRIu64 ", %s, %s-consistent", num(p, "id"),
		clock_format_utc(num(p, "time"), when), str(p, "consistency"));
	if (str(p, "name")[0])
		fprintf(f, ", \"%s\"", str(p, "name"));
	fputc('\n', f);
}

static void show_flow(FILE *f, const json_t *status)
{
	const json_t *t = json_object_get(status, "totals");
	char backlog[32], churn[32], read[32], sent[32], same[32], zero[32];

	fprintf(f, "Backlog     %s, churn %s/s%s\n",
		size_format(num(status, "backlog_bytes"), backlog),
		size_format(num(status, "churn_bytes_per_s"), churn),
		json_is_true(json_object_get(status, "paused")) ? ", PAUSED" : "");
	fprintf(f,
		"Since start %s read, %s sent, %s zero, %s unchanged, %" PRIu64 " epochs, %" PRIu64
		" retries\n",
		size_format(num(t, "read_bytes"), read), size_format(num(t, "sent_bytes"), sent),
		size_format(num(t, "zero_bytes"), zero),
		size_format(num(t, "unchanged_bytes"), same), num(t, "epochs"), num(t, "retries"));
}

static void show_skipped(FILE *f, const json_t *status)
{
	const json_t *t = json_object_get(status, "totals");
	uint64_t swap = num(t, "skipped_swap_bytes"), unused = num(t, "skipped_free_bytes");
	char a[32], b[32];

	if (swap + unused)
		fprintf(f,
			"Skipped     %s of swap, %s free in filesystems: zeros in the replica, whatever is "
			"on the disk\n",
			size_format(swap, a), size_format(unused, b));
}

static void show_bandwidth(FILE *f, const json_t *status)
{
	const json_t *b = json_object_get(status, "bandwidth");
	char now[32];

	if (!json_is_object(b))
		return;
	fprintf(f, "Bandwidth   limit %s%s now (%s)\n",
		is_set(b, "now_bytes_per_s") ? size_format(num(b, "now_bytes_per_s"), now) : "none",
		is_set(b, "now_bytes_per_s") ? "/s" : "", str(b, "limit"));
}

static void show_progress(FILE *f, const json_t *d)
{
	uint64_t size = num(d, "size"), backlog = num(d, "backlog_bytes");
	uint64_t done = size > backlog ? size - backlog : 0;
	char have[32], rate[32], left[32], all[32];

	fprintf(f, "%s of %s (%.0f %%), %s/s", size_format(done, have), size_format(size, all),
		size ? 100.0 * (double)done / (double)size : 0.0,
		size_format(num(d, "rate_bytes_per_s"), rate));
	if (is_set(d, "eta_ns"))
		fprintf(f, ", %s left", duration_format(num(d, "eta_ns"), left));
}

static void show_wait(FILE *f, const json_t *d)
{
	char when[32];

	if (is_set(d, "resync_starts"))
		fprintf(f, "waits for the window, %s",
			clock_format_utc(num(d, "resync_starts"), when));
	else
		fprintf(f, "waits for mobilityctl resync --now %s", str(d, "name"));
}

static void show_verify(FILE *f, const json_t *v)
{
	char when[32], bytes[32];

	if (is_set(v, "proven_equal"))
		fprintf(f, ", proven equal %s", clock_format_utc(num(v, "proven_equal"), when));
	if (json_is_true(json_object_get(v, "running")))
		fprintf(f, ", verifying: %s done", size_format(num(v, "checked_bytes"), bytes));
	if (num(v, "mismatched_bytes"))
		fprintf(f, ", verify mismatch: %s sent again",
			size_format(num(v, "mismatched_bytes"), bytes));
}

static void show_disk(FILE *f, const json_t *d)
{
	const char *state = str(d, "state");
	char size[32], backlog[32], churn[32];

	fprintf(f, "  %-12s %10s  %-11s %-5s ", str(d, "name"), size_format(num(d, "size"), size),
		state, str(d, "source"));
	if (!strcmp(state, "resync") && json_is_true(json_object_get(d, "resync_waiting")))
		show_wait(f, d);
	else if (!strcmp(state, "initial") || !strcmp(state, "resync"))
		show_progress(f, d);
	else if (!strcmp(state, "protected"))
		fprintf(f, "backlog %s, churn %s/s", size_format(num(d, "backlog_bytes"), backlog),
			size_format(num(d, "churn_bytes_per_s"), churn));
	if (!strcmp(state, "protected") && json_is_true(json_object_get(d, "resync_waiting"))) {
		fputs(", a resync ", f);
		show_wait(f, d);
	}
	show_verify(f, json_object_get(d, "verify"));
	fprintf(f, "\n  %12s %s\n", "", str(d, "path"));
}

static void show_disks(FILE *f, const json_t *status)
{
	const json_t *disks = json_object_get(status, "disks"), *d;
	size_t i;

	if (!json_array_size(disks)) {
		fputs("\nNo disk is protected.\n", f);
		return;
	}
	fprintf(f, "\n  %-12s %10s  %-11s %-5s\n", "DISK", "SIZE", "STATE", "FROM");
	json_array_foreach (disks, i, d)
		show_disk(f, d);
}

static void show_problems(FILE *f, const json_t *status)
{
	const json_t *problems = json_object_get(status, "problems"), *p;
	size_t i;

	if (!json_array_size(problems)) {
		fputs("\nNo problems.\n", f);
		return;
	}
	fputs("\nProblems\n", f);
	json_array_foreach (problems, i, p)
		fprintf(f, "  %s: %s\n    remedy: %s\n", str(p, "severity"), str(p, "what"),
			str(p, "remedy"));
}

char *text_status(const json_t *status)
{
	const json_t *machine = json_object_get(status, "machine");
	char *text = NULL;
	size_t len;
	FILE *f;

	if (!json_is_object(status) || !is_set(status, "schema"))
		return NULL;
	f = open_memstream(&text, &len);
	if (!f)
		return NULL;
	if (json_is_object(machine))
		fprintf(f, "Machine     %s (%s)\n", str(machine, "hostname"), str(machine, "id"));
	show_appliance(f, status);
	show_module(f, status);
	show_point(f, status);
	show_flow(f, status);
	show_skipped(f, status);
	show_bandwidth(f, status);
	show_disks(f, status);
	show_problems(f, status);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static void show_busy(FILE *f, const json_t *busy)
{
	static const struct {
		const char *key, *label;
	} rows[] = {
		{"disk", "reading the disks"},
		{"cpu", "compressing, digesting"},
		{"memory", "waiting for memory"},
		{"bandwidth-limit", "held by bandwidth_limit"},
		{"network", "network"},
		{"appliance", "appliance"},
		{"appliance-disk", "appliance's disk"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		fprintf(f, "  %-24s %6.2f\n", rows[i].label,
			json_number_value(json_object_get(busy, rows[i].key)));
}

char *text_explain(const json_t *x)
{
	char window[32], sent[32], churn[32], backlog[32], limit[32], rpo[32], *text = NULL;
	size_t len;
	FILE *f;

	if (!json_is_object(x) || !is_set(x, "schema") || !(f = open_memstream(&text, &len)))
		return NULL;
	fprintf(f, "Bound by    %s: %s\n", str(x, "bound"), str(x, "what"));
	fprintf(f, "Would help  %s\n", str(x, "help"));
	fprintf(f, "RPO         %s\n",
		is_set(x, "rpo_ns") ? duration_format(num(x, "rpo_ns"), rpo)
				    : "no recovery point yet");
	fprintf(f, "Flow        %s/s sent, %s/s churn, backlog %s\n",
		size_format(num(x, "sent_bytes_per_s"), sent),
		size_format(num(x, "churn_bytes_per_s"), churn),
		size_format(num(x, "backlog_bytes"), backlog));
	if (num(x, "bandwidth_limit_bytes_per_s"))
		fprintf(f, "Limit       %s/s now\n",
			size_format(num(x, "bandwidth_limit_bytes_per_s"), limit));
	fprintf(f, "\nThreads busy on average in the last %s\n",
		duration_format(num(x, "window_ns"), window));
	show_busy(f, json_object_get(x, "busy"));
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

bool text_healthy(const json_t *status)
{
	return json_array_size(json_object_get(status, "problems")) == 0;
}
