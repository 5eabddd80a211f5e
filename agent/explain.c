// SPDX-License-Identifier: Apache-2.0
#include "agent/explain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/rcu.h"
#include "agent/status.h"
#include "lib/clock.h"

static void take(struct agent *a, struct explain_sample *s)
{
	s->mono_ns = clock_monotonic_ns();
	for (int i = 0; i < STAGE_COUNT; i++)
		s->sums.ns[i] = atomic_load(&a->stages.ns[i]);
	s->sums.answered = atomic_load(&a->stages.count[STAGE_SEND]);
	s->sums.broken = atomic_load(&a->stages.broken);
	s->sums.appliance_ns = atomic_load(&a->stages.appliance_ns);
	s->sums.appliance_disk_ns = atomic_load(&a->stages.appliance_disk_ns);
	s->sums.upload_ns = atomic_load(&a->http_link.upload_ns);
	s->sums.paced_ns = atomic_load(&a->http_link.paced_ns);
	s->read_bytes = atomic_load(&a->totals.read_bytes);
	s->sent_bytes = atomic_load(&a->totals.sent_bytes);
}

void explain_tick(struct agent *a)
{
	struct explain *x = &a->explain;

	pthread_mutex_lock(&x->lock);
	take(a, &x->sample[x->next]);
	x->next = (x->next + 1) % EXPLAIN_SAMPLES;
	if (x->count < EXPLAIN_SAMPLES)
		x->count++;
	pthread_mutex_unlock(&x->lock);
}

/* What happened between two samples. */
static struct explain_sample difference(const struct explain_sample *from,
					const struct explain_sample *to)
{
	struct explain_sample d = {.read_bytes = to->read_bytes - from->read_bytes,
				   .sent_bytes = to->sent_bytes - from->sent_bytes};

	d.sums.window_ns = to->mono_ns - from->mono_ns;
	for (int i = 0; i < STAGE_COUNT; i++)
		d.sums.ns[i] = to->sums.ns[i] - from->sums.ns[i];
	d.sums.answered = to->sums.answered - from->sums.answered;
	d.sums.broken = to->sums.broken - from->sums.broken;
	d.sums.appliance_ns = to->sums.appliance_ns - from->sums.appliance_ns;
	d.sums.appliance_disk_ns = to->sums.appliance_disk_ns - from->sums.appliance_disk_ns;
	d.sums.upload_ns = to->sums.upload_ns - from->sums.upload_ns;
	d.sums.paced_ns = to->sums.paced_ns - from->sums.paced_ns;
	return d;
}

static struct explain_sample last_minute(struct agent *a)
{
	struct explain *x = &a->explain;
	struct explain_sample now = {0}, d = {0};

	take(a, &now);
	pthread_mutex_lock(&x->lock);
	if (x->count)
		d = difference(&x->sample[(x->next + EXPLAIN_SAMPLES - x->count) % EXPLAIN_SAMPLES],
			       &now);
	pthread_mutex_unlock(&x->lock);
	return d;
}

static const char *what_text(enum bound b, const struct waiting *w, char out[256])
{
	char since[32];
	static const char *const text[BOUND_COUNT] = {
		[BOUND_NOTHING] =
			"Replication keeps up; the RPO is that of the interval between epochs.",
		[BOUND_PAUSED] = "Replication is paused.",
		[BOUND_UNREACHABLE] = "There is no connection to the appliance.",
		[BOUND_BREAKS] = "Connections to the appliance break before a request is through.",
		[BOUND_READS] = "A read of a protected disk does not complete.",
		[BOUND_WRITES] =
			"Writes to a protected disk do not complete, and a boundary waits for them.",
		[BOUND_STANDS] = "Replication stands still: what it waits for does not answer.",
		[BOUND_STARTING] = "The appliance was not asked for anything yet.",
		[BOUND_DISK] = "Reading the protected disks takes the most time.",
		[BOUND_CPU] = "Compressing and digesting on this machine takes the most time.",
		[BOUND_MEMORY] = "What may be on its way at a time is bounded by memory_limit.",
		[BOUND_NETWORK] = "The network to the appliance takes the most time.",
		[BOUND_LIMIT] = "The bandwidth limit holds replication back.",
		[BOUND_APPLIANCE] = "The appliance takes the most time, its disk aside.",
		[BOUND_APPLIANCE_DISK] = "The appliance's disk takes the most time.",
	};

	if (b != BOUND_APPLICATIONS)
		return text[b];
	snprintf(out, 256, "Replication has waited %s for %s.",
		 duration_format(waiting_ns(w), since), waiting_for_shim(w));
	return out;
}

static const char *help_text(const struct config *c, enum bound b)
{
	static const char *const text[BOUND_COUNT] = {
		[BOUND_NOTHING] = "A shorter min_epoch_interval, if the RPO shall be better.",
		[BOUND_PAUSED] = "mobilityctl resume",
		[BOUND_UNREACHABLE] = "mobilityctl status tells why.",
		[BOUND_BREAKS] =
			"Find what ends them on the way: a firewall, proxy or load balancer that bounds "
			"a connection's time or bytes, or a line that loses packets. Smaller requests "
			"are sent meanwhile.",
		[BOUND_READS] =
			"mobilityctl status tells which disk; the kernel's log tells what does not answer.",
		[BOUND_WRITES] =
			"The kernel's log tells which disk, or path to one, does not answer.",
		[BOUND_STANDS] = "mobilityctl status tells what, and what to do.",
		[BOUND_APPLICATIONS] =
			"mobilityctl writers tells which application is slow, or that vss-shim does not answer.",
		[BOUND_STARTING] = "Nothing to do: ask again in a moment.",
		[BOUND_DISK] =
			"More workers, if the disk serves several readers at once; a faster disk; "
			"less other load on it.",
		[BOUND_MEMORY] = "A larger memory_limit.",
		[BOUND_NETWORK] =
			"More bandwidth to the appliance; more connections where the delay is long.",
		[BOUND_LIMIT] = "A higher bandwidth_limit, or another timetable.",
		[BOUND_APPLIANCE] = "A faster or less loaded appliance.",
		[BOUND_APPLIANCE_DISK] = "A faster disk for the appliance's store.",
	};

	if (b == BOUND_NETWORK && c->compression == 0)
		return "Compression (compression = zstd), or more bandwidth to the appliance.";
	if (b != BOUND_CPU)
		return text[b];
	if (c->compression_level > 1)
		return "A lower compression_level; more workers, if processors are idle.";
	return "More workers, if processors are idle; compression = none on a fast network.";
}

static json_t *shares(const struct explain_out *out)
{
	json_t *o = json_object();

	for (int i = BOUND_DISK; i < BOUND_COUNT; i++)
		json_object_set_new(o, bound_name((enum bound)i), json_real(out->busy[i]));
	return o;
}

static uint64_t per_second(uint64_t bytes, uint64_t ns)
{
	return ns ? (uint64_t)((double)bytes / (double)ns * (double)NSEC_PER_SEC) : 0;
}

/* The first error of status; NULL: there is none. */
static const json_t *first_error(const json_t *status)
{
	const json_t *problems = json_object_get(status, "problems"), *p;
	size_t i;

	json_array_foreach (problems, i, p) {
		if (!strcmp(json_string_value(json_object_get(p, "severity")), "error"))
			return p;
	}
	return NULL;
}

static json_t *assemble(struct agent *a, const json_t *status, const struct explain_sample *d,
			const struct explain_out *out, const struct waiting *w)
{
	char text[256];
	uint64_t limit = rate_limit(&a->rate, clock_monotonic_ns(), clock_realtime_ns());
	const char *what = what_text(out->bound, w, text),
		   *help = help_text(&a->config, out->bound);

	if (out->bound == BOUND_PROBLEM) {
		what = json_string_value(json_object_get(first_error(status), "what"));
		help = json_string_value(json_object_get(first_error(status), "remedy"));
	}

	return json_pack("{s:i, s:s, s:s, s:s, s:I, s:o, s:I, s:I, s:I, s:O, s:O, s:O}", "schema",
			 1, "bound", bound_name(out->bound), "what", what, "help", help,
			 "window_ns", (json_int_t)d->sums.window_ns, "busy", shares(out),
			 "read_bytes_per_s",
			 (json_int_t)per_second(d->read_bytes, d->sums.window_ns),
			 "sent_bytes_per_s",
			 (json_int_t)per_second(d->sent_bytes, d->sums.window_ns),
			 "bandwidth_limit_bytes_per_s", (json_int_t)limit, "churn_bytes_per_s",
			 json_object_get(status, "churn_bytes_per_s"), "backlog_bytes",
			 json_object_get(status, "backlog_bytes"), "rpo_ns",
			 json_object_get(status, "rpo_ns"));
}

static bool reads_hang(struct agent *a)
{
	const struct disk_table *t;
	bool hang = false;

	agent_rcu_lock();
	t = agent_rcu_read(a->disks);
	for (size_t i = 0; i < t->count; i++)
		hang |= disk_reading_ns(t->disk[i]) >= OVERDUE_NS;
	agent_rcu_unlock();
	return hang;
}

json_t *explain_json(struct agent *a, struct err *e)
{
	struct explain_sample d = last_minute(a);
	json_t *status = status_json(a, e), *answer;
	struct waiting w = waiting_get(a);
	struct link link = agent_link_get(a);
	struct explain_out out;

	if (!status)
		return NULL;
	d.sums.connections = a->config.connections;
	d.sums.asked = link.since_ns != 0;
	d.sums.connected = link.connected;
	d.sums.problem = first_error(status) != NULL;
	d.sums.paused = json_is_true(json_object_get(status, "paused"));
	d.sums.hanging = reads_hang(a);
	d.sums.sealing = agent_sealing_ns(a) >= OVERDUE_NS;
	d.sums.stands = (w.what == WAIT_DISK && waiting_ns(&w) >= OVERDUE_NS) ||
			agent_silent_ns(a) >= agent_silence_limit(a);
	d.sums.applications = waiting_for_shim(&w)[0] && waiting_ns(&w) >= OVERDUE_NS;
	explain_judge(&d.sums, &out);
	answer = assemble(a, status, &d, &out, &w);
	json_decref(status);
	if (!answer)
		err_set(e, -ENOMEM, "the explanation cannot be put together");
	return answer;
}
