// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/ctl/actions.h"
#include "agent/ctl/churn.h"
#include "agent/ctl/owner.h"
#include "agent/ctl/text.h"
#include "agent/source.h"
#include "lib/clock.h"
#include "lib/json.h"

/* Bytes a second of lines of 10, 100 and 1000 Mbit/s. */
static const uint64_t usual_lines[] = {1250000, 12500000, 125000000};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: the sleep ends */
	struct sigaction hangup;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	/* The terminal is gone, or who reads us: the disks have to be detached all the same. But nohup means to go on. */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static bool sleep_until(uint64_t mono_ns)
{
	struct timespec ts = {.tv_sec = (time_t)(mono_ns / NSEC_PER_SEC),
			      .tv_nsec = (long)(mono_ns % NSEC_PER_SEC)};

	while (!interrupted && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
	return !interrupted;
}

static int watch(const struct ctl *c, struct watched *w, struct err *e)
{
	uint64_t began = clock_monotonic_ns(), n = 0;
	int r = 0;

	while (!r && (n + 1) * c->interval_ns <= c->duration_ns) {
		if (!sleep_until(began + ++n * c->interval_ns))
			break;
		for (int i = 0; !r && i < c->arg_count; i++)
			r = churn_sample(&w[i], e);
	}
	return r;
}

static json_t *rpo_json(const struct churn *c, uint64_t bandwidth)
{
	struct forecast_rpo rpo;

	if (forecast_rpo(c, bandwidth, &rpo))
		return NULL;
	return json_pack("{s:I, s:b, s:I, s:I, s:I}", "bandwidth_bytes_per_s",
			 (json_int_t)bandwidth, "keeps_up", rpo.keeps_up, "rpo_p50_ns",
			 (json_int_t)rpo.p50_ns, "rpo_p95_ns", (json_int_t)rpo.p95_ns, "rpo_max_ns",
			 (json_int_t)rpo.max_ns);
}

static json_t *forecast_json(const struct ctl *c, const struct churn *churn)
{
	struct forecast_rates rates;
	json_t *rpo = json_array();
	double overwrite = forecast_overwrite(churn);

	forecast_rates(churn, &rates);
	if (c->bandwidth)
		json_array_append_new(rpo, rpo_json(churn, c->bandwidth));
	for (size_t i = 0; !c->bandwidth && i < ARRAY_SIZE(usual_lines); i++)
		json_array_append_new(rpo, rpo_json(churn, usual_lines[i]));
	return json_pack("{s:{s:I, s:I, s:I, s:I}, s:o, s:I, s:I, s:o}", "churn_bytes_per_s",
			 "mean", (json_int_t)rates.mean, "p50", (json_int_t)rates.p50, "p95",
			 (json_int_t)rates.p95, "max", (json_int_t)rates.max, "rpo", rpo,
			 "journal_bytes", (json_int_t)forecast_journal(churn, c->retention_ns),
			 "journal_bytes_per_day",
			 (json_int_t)forecast_journal(churn, 86400 * NSEC_PER_SEC),
			 "overwrite_factor", overwrite > 0 ? json_real(overwrite) : json_null());
}

static struct churn churn_of(const struct ctl *c, const struct watched *w)
{
	return (struct churn){.bytes = w->bytes,
			      .count = w->count,
			      .interval_ns = c->interval_ns,
			      .distinct_bytes = w->source ? w->distinct : 0};
}

static json_t *disk_json(const struct ctl *c, const struct watched *w)
{
	struct churn churn = churn_of(c, w);
	json_t *o = forecast_json(c, &churn);

	json_object_set_new(o, "name", json_string(w->name));
	json_object_set_new(o, "size", json_integer((json_int_t)w->size));
	json_object_set_new(o, "from", json_string(w->source ? "kmod" : "diskstats"));
	return o;
}

/* All disks as one: they share the line and the appliance. NULL: out of memory. */
static json_t *sum_json(const struct ctl *c, const struct watched *w)
{
	struct churn all = {.count = w[0].count, .interval_ns = c->interval_ns};
	uint64_t *bytes = calloc(all.count + 1, sizeof(*bytes));
	bool known = true;
	json_t *o;

	if (!bytes)
		return NULL;
	for (int i = 0; i < c->arg_count; i++) {
		for (size_t n = 0; n < all.count && n < w[i].count; n++)
			bytes[n] += w[i].bytes[n];
		all.distinct_bytes += w[i].distinct;
		known &= w[i].source != NULL;
	}
	all.bytes = bytes;
	if (!known)
		all.distinct_bytes = 0;
	o = forecast_json(c, &all);
	free(bytes);
	return o;
}

static json_t *plan_json(const struct ctl *c, const struct watched *w)
{
	json_t *disks = json_array();

	for (int i = 0; i < c->arg_count; i++)
		json_array_append_new(disks, disk_json(c, &w[i]));
	return json_pack("{s:i, s:I, s:I, s:I, s:o, s:o}", "schema", 1, "watched_ns",
			 (json_int_t)(w[0].count * c->interval_ns), "interval_ns",
			 (json_int_t)c->interval_ns, "retention_ns", (json_int_t)c->retention_ns,
			 "disks", disks, "sum", sum_json(c, w));
}

static int show(const struct ctl *c, const struct watched *w)
{
	_cleanup_json_ json_t *plan = plan_json(c, w);
	char *text = plan ? (c->json ? json_dumps(plan, JSON_INDENT(2) | JSON_REAL_PRECISION(4))
				     : text_plan(plan))
			  : NULL;

	if (!text) {
		fputs("mobilityctl: out of memory\n", stderr);
		return CTL_FAILED;
	}
	printf("%s%s", text, c->json ? "\n" : "");
	free(text);
	return fflush(stdout) ? CTL_FAILED : CTL_OK;
}

static int open_all(const struct ctl *c, struct watched *w, struct kmod *module, struct err *e)
{
	for (int i = 0; i < c->arg_count; i++) {
		int r = churn_open(&w[i], c->args[i], module, e);

		if (r)
			return r;
	}
	return 0;
}

int ctl_plan(struct ctl *c)
{
	struct watched *w = calloc((size_t)c->arg_count, sizeof(*w));
	struct kmod *module = NULL;
	struct err e = {.code = -ENOMEM, .text = "out of memory"};
	int r = -ENOMEM, status = CTL_FAILED;

	if (!c->interval_ns || c->duration_ns < c->interval_ns) {
		fputs("mobilityctl: --duration is at least one --interval\n", stderr);
		free(w);
		return CTL_USAGE;
	}
	catch_signals();
	if (w && kmod_open(&module, NULL))
		module = NULL;
	if (w)
		r = open_all(c, w, module, &e);
	if (!r)
		r = watch(c, w, &e);
	if (r)
		fprintf(stderr, "mobilityctl: %s\n", e.text);
	else if (!w[0].count)
		fputs("mobilityctl: interrupted before the first interval was over; a shorter --interval "
		      "shows something sooner\n",
		      stderr);
	else
		status = show(c, w);
	for (int i = 0; w && i < c->arg_count; i++)
		churn_close(&w[i], !w[i].attached || !owner_is_agent(c, &w[i]));
	kmod_close(module);
	free(w);
	return status;
}
