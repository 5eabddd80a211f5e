// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/set.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/text.h"

#define MS UINT64_C(1000000)
#define AFTER_NS (500 * MS) /* thaws and answers may come so long after the window */
#define WATCHDOG_NS (100 * MS) /* the watchdog leaves the first go to us */
#define WATCHDOG_AFTER_NS (550 * MS) /* and, when only writers hold something, all of their time */
#define PATIENCE_NS (1000 * MS) /* then the next writer is thawed as well */
#define END_NS (8000 * MS)

void set_reason(struct set *set, const char *fmt, ...)
{
	va_list args;

	if (set->reason[0])
		return;
	va_start(args, fmt);
	text_vformat(set->reason, sizeof(set->reason), fmt, args);
	va_end(args);
}

bool set_given_up(const struct set *set)
{
	return set->pump.causes != 0;
}

const char *set_cause(const struct set *set)
{
	if (set->pump.causes & CAUSE_SIGNAL)
		return "vss-shim is stopping";
	if (set->pump.causes & CAUSE_WATCHDOG)
		return "the watchdog was killed";
	return "the requester has gone";
}

static int give_up(struct set *set, struct err *e)
{
	set_reason(set, "%s", set_cause(set));
	return err_set(e, -ECANCELED, "the snapshot set was given up: %s", set->reason);
}

/* Why the set is not application-consistent, if a writer is the reason. */
static void judge_writers(struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct writer *w = &set->writer[i];

		if (w->result == RESULT_FAILED || w->result == RESULT_REFUSED)
			set_reason(set, "writer %s failed: %s", w->name, w->text);
	}
}

static void judge_filesystems(struct set *set)
{
	for (size_t i = 0; i < set->freezer.count; i++) {
		const struct frozen_fs *fs = &set->freezer.fs[i];

		if (fs->result == FS_RESULT_FAILED)
			set_reason(set, "filesystem %s: %s", fs->point, fs->text);
	}
}

int set_begin(struct set *set, const struct settings *s, const struct fs_ops *ops,
	      const char *ledger, const struct order *o, struct err *e)
{
	uint8_t id[UUID_BYTES];
	int r;

	memset(set, 0, sizeof(*set));
	set->s = s;
	set->ops = ops;
	set->order = *o;
	set->window_ns = o->window_ms ? o->window_ms * MS : s->window;
	set->watchdog.channel = -1;
	uuid_random(id);
	uuid_format(id, set->id);
	set->pump = (struct pump){
		.writer = set->writer, .requester = -1, .watchdog = -1, .signals = -1, .other = -1};
	r = ledger_open(ledger, &set->ledger, e);
	if (r)
		return r;
	r = freezer_init(&set->freezer, ops, set->ledger, e);
	if (r)
		ledger_close(set->ledger);
	set->ready = !r;
	return r;
}

void set_attend(struct set *set, int requester, struct lines *from, int signals)
{
	set->pump.requester = requester;
	set->pump.from = from;
	set->pump.signals = signals;
}

/* The number of a group that is gone may be given to somebody else, whom the watchdog must not kill. */
static void forget_groups(struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (!writer_runs(&set->writer[i]))
			atomic_store(&set->ledger->group[i], 0);
	}
}

/* --- prepare ---------------------------------------------------------------------------------- */

int set_identify(struct set *set, struct err *e)
{
	int r = discover(set->s, set->writer, &set->count, e);

	if (r)
		return r;
	set->pump.count = set->count;
	for (size_t i = 0; i < set->count; i++) {
		if (set->writer[i].result == RESULT_READY)
			writer_start(&set->writer[i], PHASE_IDENTIFY, "", set->s, set->window_ns);
	}
	pump_answers(&set->pump, PHASE_IDENTIFY, CAUSE_REQUESTER | CAUSE_SIGNAL,
		     clock_monotonic_ns() + set->s->identify + NSEC_PER_SEC);
	return set_given_up(set) ? give_up(set, e) : 0;
}

/* Its group is known to the watchdog from now on. */
static void start_session(struct set *set, size_t i)
{
	struct writer *w = &set->writer[i];

	writer_start(w, PHASE_PREPARE, set->id, set->s, set->window_ns);
	if (!writer_runs(w))
		return;
	atomic_store(&set->ledger->group[i], w->hook ? -w->child.pid : w->child.pid);
	writer_ask(w, PHASE_PREPARE, clock_monotonic_ns() + writer_prepare_ns(w, set->s));
}

/* The slow part of writing back, while nothing is held. */
static void write_back(struct set *set)
{
	uint64_t until = clock_monotonic_ns() + set->s->prepare;
	struct pump *p = &set->pump;
	struct err e;

	if (freezer_select(&set->freezer, &set->order, &e) || freezer_sync(&set->freezer, &e)) {
		set_reason(set, "%s", e.text);
		return;
	}
	p->other = set->freezer.done;
	p->other_ready = false;
	while (freezer_busy(&set->freezer) && !set_given_up(set) && clock_monotonic_ns() < until)
		pump_once(p, until);
	p->other = -1;
	if (freezer_busy(&set->freezer))
		set_reason(set, "the filesystems are not written back within the time");
}

int set_prepare(struct set *set, struct err *e)
{
	int r = watchdog_start(&set->watchdog, set->ledger, set->ops, set->s->filesystems, e);

	if (r)
		return r;
	set->pump.watchdog = set->watchdog.channel;
	for (size_t i = 0; i < set->count; i++) {
		if (set->writer[i].result == RESULT_OK)
			start_session(set, i);
	}
	if (set->s->filesystems)
		write_back(set);
	pump_answers(&set->pump, PHASE_PREPARE, ~0u, UINT64_MAX);
	judge_writers(set);
	return set_given_up(set) ? give_up(set, e) : 0;
}

/* --- freeze ----------------------------------------------------------------------------------- */

/* The list is made anew: something may have been mounted or unmounted since prepare. */
static int list_filesystems(struct set *set, struct err *e)
{
	struct freezer *f = &set->freezer;
	int fd[LEDGER_FS_MAX], n = 0, r;

	if (!set->s->filesystems)
		return 0;
	if (freezer_busy(f))
		return err_set(e, -EBUSY, "the filesystems are still being written back");
	r = freezer_select(f, &set->order, e);
	if (r)
		return r;
	for (size_t i = 0; i < f->count; i++) {
		struct ledger_fs *l = &set->ledger->fs[i];

		snprintf(l->point, sizeof(l->point), "%s", f->fs[i].point);
		l->dev = f->fs[i].dev;
		/* A descriptor is needed for each place in the list. */
		fd[n++] = f->fs[i].fd >= 0 ? f->fs[i].fd : set->freezer.done;
	}
	atomic_store(&set->ledger->count, n);
	return watchdog_give(&set->watchdog, fd, n, e);
}

static void freeze_writers(struct set *set)
{
	for (size_t i = 0; i < set->count && !set_given_up(set); i++) {
		struct writer *w = &set->writer[i];
		uint64_t now = clock_monotonic_ns(),
			 until = now + writer_freeze_ns(w, set->window_ns);

		if (w->result != RESULT_OK || !writer_live(w))
			continue;
		if (now >= set->until_ns) {
			writer_fail(w, "the window was over before it was its turn");
			continue;
		}
		writer_ask(w, PHASE_FREEZE, until < set->until_ns ? until : set->until_ns);
		pump_answers(&set->pump, PHASE_FREEZE, ~0u, UINT64_MAX);
	}
}

static void freeze_filesystems(struct set *set)
{
	struct freezer *f = &set->freezer;
	struct err e;

	if (!set->s->filesystems || set_given_up(set))
		return;
	if (freezer_freeze(f, &e)) {
		set_reason(set, "%s", e.text);
		return;
	}
	set->pump.other = f->done;
	set->pump.other_ready = false;
	while (freezer_busy(f) && !set_given_up(set) && clock_monotonic_ns() < set->until_ns)
		pump_once(&set->pump, set->until_ns);
	set->pump.other = -1;
	if (set_given_up(set))
		return;
	if (freezer_busy(f))
		set_reason(set, "the filesystems were not frozen within the window");
	else
		judge_filesystems(set);
}

/* An empty set is consistent by accident only. */
static void judge_emptiness(struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->writer[i].holds)
			return;
	}
	for (size_t i = 0; i < set->freezer.count; i++) {
		if (set->freezer.fs[i].result == FS_RESULT_OK)
			return;
	}
	set_reason(set, "no writer takes part, and no filesystem could be frozen");
}

int set_freeze(struct set *set, struct err *e)
{
	int r = list_filesystems(set, e);

	if (r)
		return r;
	forget_groups(set);
	set->began_ns = clock_monotonic_ns();
	set->until_ns = set->began_ns + set->window_ns;
	r = watchdog_arm(&set->watchdog, set->until_ns + WATCHDOG_NS, e);
	if (r)
		return r;
	set->frozen = true;
	freeze_writers(set);
	freeze_filesystems(set);
	judge_writers(set);
	if (!set->reason[0])
		judge_emptiness(set);
	if (set_given_up(set))
		return give_up(set, e);
	return 0;
}

/* --- thaw ------------------------------------------------------------------------------------- */

static void thaw_writers(struct set *set)
{
	uint64_t until = set->until_ns + AFTER_NS, now = clock_monotonic_ns();

	if (until < now + AFTER_NS)
		until = now + AFTER_NS;
	for (size_t i = set->count; i > 0; i--) {
		struct writer *w = &set->writer[i - 1];

		if (!w->holds || !writer_live(w))
			continue;
		now = clock_monotonic_ns();
		writer_ask(w, PHASE_THAW, until);
		/* Who is late does not hold up the others; it has until the end. */
		pump_answers(&set->pump, PHASE_THAW, 0, now + PATIENCE_NS);
	}
	pump_answers(&set->pump, PHASE_THAW, 0, UINT64_MAX);
	pump_answers(&set->pump, PHASE_ABORT, 0, UINT64_MAX);
}

void set_thaw(struct set *set)
{
	uint64_t wait_until;

	if (!set->frozen || set->thawed)
		return;
	set->thawed = true;
	if (clock_monotonic_ns() >= set->until_ns)
		set_reason(set, "the window of %llu ms was over before the boundary was taken",
			   (unsigned long long)(set->window_ns / MS));
	freezer_thaw(&set->freezer);
	if (!freezer_busy(&set->freezer))
		atomic_store(&set->ledger->deadline_ns, set->until_ns + WATCHDOG_AFTER_NS);
	thaw_writers(set);
	set->window_us = (clock_monotonic_ns() - set->began_ns) / 1000;
	/* What the kernel has not finished freezing yet is thawed by the thread. */
	wait_until = clock_monotonic_ns() + AFTER_NS;
	set->pump.other = set->freezer.done;
	set->pump.other_ready = false;
	while (freezer_busy(&set->freezer) && clock_monotonic_ns() < wait_until)
		pump_once(&set->pump, wait_until);
	set->pump.other = -1;
	/* Everything is let go: post has its own time, which the watchdog must not cut short. */
	if (!freezer_busy(&set->freezer))
		atomic_store(&set->ledger->deadline_ns, 0);
	forget_groups(set);
	if (atomic_load(&set->ledger->fired))
		set_reason(set, "the watchdog thawed everything: the window was over");
	if (set->pump.causes & CAUSE_WATCHDOG)
		set_reason(set, "the watchdog was killed");
	judge_writers(set);
	if (freezer_busy(&set->freezer))
		set_reason(set, "a filesystem is still being frozen by the kernel");
	else
		judge_filesystems(set);
}

/* --- after ------------------------------------------------------------------------------------ */

static bool any_runs(const struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (writer_runs(&set->writer[i]))
			return true;
	}
	return false;
}

/* What all of them wrote to standard error, for people. */
static void log_tails(struct set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		struct writer *w = &set->writer[i];
		char *save = NULL, text[TAIL_BYTES + 1];

		memcpy(text, w->child.tail, w->child.tail_used);
		text[w->child.tail_used] = '\0';
		for (char *line = strtok_r(text, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save))
			log_info("%s: %s", w->name, line);
		w->child.tail_used = 0;
	}
}

void set_post(struct set *set)
{
	uint64_t until = clock_monotonic_ns() + set->s->post;

	for (size_t i = 0; i < set->count; i++) {
		struct writer *w = &set->writer[i];

		if (w->result == RESULT_OK && writer_live(w) && !w->asked)
			writer_ask(w, PHASE_POST, until);
	}
	pump_answers(&set->pump, PHASE_POST, CAUSE_SIGNAL, UINT64_MAX);
}

/* Whoever is still in a session is told to give up. */
static void abort_writers(struct set *set)
{
	uint64_t until = clock_monotonic_ns() + 1000 * MS;

	for (size_t i = 0; i < set->count; i++) {
		struct writer *w = &set->writer[i];

		if (!writer_live(w) || (w->asked && w->phase == PHASE_ABORT))
			continue;
		/* It may be in the midst of a phase, and answer that first. */
		if (w->asked)
			writer_kill(w);
		else
			writer_ask(w, PHASE_ABORT, until);
	}
	pump_answers(&set->pump, PHASE_ABORT, 0, until + 1000 * MS);
}

static bool is_ours(pid_t pid, void *arg)
{
	const struct set *set = arg;

	if (pid == set->watchdog.pid || watchdog_left(pid))
		return true;
	for (size_t i = 0; i < set->count; i++) {
		if (set->writer[i].child.pid == pid)
			return true;
	}
	return false;
}

void set_end(struct set *set)
{
	uint64_t until;
	int left;

	if (!set->ready)
		return;
	set->ready = false;
	set_thaw(set);
	abort_writers(set);
	until = clock_monotonic_ns() + END_NS;
	while (any_runs(set) && clock_monotonic_ns() < until)
		pump_once(&set->pump, until);
	forget_groups(set);
	left = child_sweep(is_ours, set);
	if (left)
		log_warning("%d processes that writers had left behind were killed", left);
	log_tails(set);
	/* First our thread: as long as it freezes something the watchdog is needed. */
	freezer_destroy(&set->freezer);
	watchdog_stop(&set->watchdog);
	for (size_t i = 0; i < set->count; i++)
		writer_clear(&set->writer[i]);
	forget_groups(set);
	set->count = set->pump.count = 0;
	ledger_close(set->ledger);
}
