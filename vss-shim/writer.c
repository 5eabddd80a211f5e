// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/text.h"

#define MS UINT64_C(1000000)
#define ABORT_NS (1000 * MS)
#define EXIT_NS (2000 * MS)
#define HOOK_EXIT_NS (6000 * MS) /* its thaw may have to be run first */
#define ABSENT_STATUS 77

const char *result_name(enum result r)
{
	static const char *const names[] = {"ready",   "disabled", "refused", "absent",
					    "skipped", "ok",	   "failed"};

	return names[r];
}

const char *phase_name(enum phase p)
{
	static const char *const names[] = {"identify", "prepare", "freeze",
					    "thaw",	"post",	   "abort"};

	return names[p];
}

void writer_init(struct writer *w)
{
	memset(w, 0, sizeof(*w));
	w->child = (struct child)CHILD_NONE;
}

void writer_clear(struct writer *w)
{
	int status;

	if (writer_runs(w)) {
		child_signal(&w->child, SIGKILL);
		for (int i = 0; i < 100 && !child_reap(&w->child, &status); i++)
			usleep(2000);
	}
	free(w->path);
	for (size_t i = 0; i < WRITER_ARGS; i++)
		free(w->args[i]);
	writer_init(w);
}

uint64_t writer_prepare_ns(const struct writer *w, const struct settings *s)
{
	return w->id.prepare_ms ? w->id.prepare_ms * MS : s->prepare;
}

uint64_t writer_freeze_ns(const struct writer *w, uint64_t window_ns)
{
	uint64_t ns = w->id.freeze_ms ? w->id.freeze_ms * MS : window_ns / 2;

	return ns < window_ns ? ns : window_ns;
}

bool writer_runs(const struct writer *w)
{
	return w->child.pid > 0;
}

bool writer_live(const struct writer *w)
{
	return writer_runs(w) && w->child.in >= 0 && !w->end_ns;
}

void writer_fail(struct writer *w, const char *fmt, ...)
{
	va_list args;

	if (w->result == RESULT_FAILED)
		return;
	w->result = RESULT_FAILED;
	va_start(args, fmt);
	text_vformat(w->text, sizeof(w->text), fmt, args);
	va_end(args);
}

/* Standard input is closed: the session is over for it. */
static void let_end(struct writer *w)
{
	child_close_in(&w->child);
	w->asked = false;
	w->holds = false;
	w->end_ns = clock_monotonic_ns() + (w->hook ? HOOK_EXIT_NS : EXIT_NS);
}

void writer_kill(struct writer *w)
{
	if (!writer_runs(w))
		return;
	child_signal(&w->child, w->hook ? SIGTERM : SIGKILL);
	let_end(w);
}

static char *variable(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static char *variable(const char *fmt, ...)
{
	va_list args;
	char *s;
	int n;

	va_start(args, fmt);
	n = vasprintf(&s, fmt, args);
	va_end(args);
	return n < 0 ? NULL : s;
}

static int start(struct writer *w, bool identify, const char *set, const struct settings *s,
		 uint64_t window_ns, struct err *e)
{
	uint64_t freeze = identify ? s->identify : writer_freeze_ns(w, window_ns);
	_cleanup_free_ char *name = variable("MOBILITY_WRITER=%s", w->name);
	_cleanup_free_ char *id = variable("MOBILITY_SET=%s", set);
	_cleanup_free_ char *deadline = variable("MOBILITY_DEADLINE_MS=%" PRIu64, freeze / MS);
	_cleanup_free_ char *prepare =
		variable("MOBILITY_PREPARE_MS=%" PRIu64, writer_prepare_ns(w, s) / MS);
	_cleanup_free_ char *window = variable("MOBILITY_WINDOW_MS=%" PRIu64, window_ns / MS);
	const char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			     "LC_ALL=C",
			     "HOME=/",
			     name,
			     id,
			     deadline,
			     prepare,
			     window,
			     NULL};
	const char *argv[WRITER_ARGS + 2];
	size_t n = 0;

	if (!name || !id || !deadline || !prepare || !window)
		return err_set(e, -ENOMEM, "out of memory");
	while (n < WRITER_ARGS && w->args[n]) {
		argv[n] = w->args[n];
		n++;
	}
	argv[n] = identify ? "identify" : "session";
	argv[n + 1] = NULL;
	return child_start(argv, env, &w->child, e);
}

void writer_start(struct writer *w, enum phase first, const char *set, const struct settings *s,
		  uint64_t window_ns)
{
	struct err e;

	w->output_used = 0;
	w->lines.used = 0;
	w->asked = false;
	w->end_ns = 0;
	if (start(w, first == PHASE_IDENTIFY, set, s, window_ns, &e)) {
		writer_fail(w, "%s", e.text);
		return;
	}
	if (first != PHASE_IDENTIFY)
		return;
	child_close_in(&w->child);
	w->asked = true;
	w->phase = PHASE_IDENTIFY;
	w->asked_ns = clock_monotonic_ns();
	w->until_ns = w->asked_ns + s->identify;
}

/* What came without being asked for must not be taken for an answer. */
static bool spoke_early(const struct writer *w)
{
	struct pollfd p = {w->child.out, POLLIN, 0};

	return w->lines.used || (poll(&p, 1, 0) > 0 && (p.revents & POLLIN));
}

void writer_ask(struct writer *w, enum phase phase, uint64_t until_ns)
{
	char line[16];
	int n = snprintf(line, sizeof(line), "%s\n", phase_name(phase));

	if (spoke_early(w)) {
		writer_fail(w, "it wrote without being asked after %s", phase_name(w->phase));
		writer_kill(w);
		return;
	}
	w->phase = phase;
	w->asked = true;
	w->asked_ns = clock_monotonic_ns();
	w->until_ns = until_ns;
	if (phase == PHASE_FREEZE)
		w->frozen_ns = w->asked_ns;
	if (write(w->child.in, line, (size_t)n) == n)
		return;
	writer_fail(w, "it does not read its standard input in %s", phase_name(phase));
	writer_kill(w);
}

/* --- what it says ----------------------------------------------------------------------------- */

static void took(struct writer *w)
{
	uint64_t now = clock_monotonic_ns(), us = (now - w->asked_ns) / 1000;

	if (w->phase == PHASE_PREPARE)
		w->prepare_us = us;
	else if (w->phase == PHASE_FREEZE)
		w->freeze_us = us;
	else if (w->phase == PHASE_THAW)
		w->thaw_us = us;
	if (w->frozen_ns && (w->phase == PHASE_THAW || w->phase == PHASE_ABORT))
		w->held_us = (now - w->frozen_ns) / 1000;
}

static void garbage(struct writer *w, const char *what)
{
	writer_fail(w, "%s in %s", what, phase_name(w->phase));
	writer_kill(w);
}

static void failed(struct writer *w, const char *why)
{
	w->holds = false;
	writer_fail(w, "%s: %s", phase_name(w->phase), why);
	/* Nothing that comes after post or abort is spoiled by them. */
	if (w->phase == PHASE_POST || w->phase == PHASE_ABORT)
		let_end(w);
	else
		writer_ask(w, PHASE_ABORT, clock_monotonic_ns() + ABORT_NS);
}

static void answered(struct writer *w, const struct answer *a)
{
	w->asked = false;
	took(w);
	if (a->kind == ANSWER_FAIL) {
		failed(w, a->text);
		return;
	}
	if (a->kind == ANSWER_SKIP && w->phase != PHASE_PREPARE) {
		garbage(w, "it may not skip");
		return;
	}
	if (w->result != RESULT_FAILED && a->text[0])
		snprintf(w->text, sizeof(w->text), "%s", a->text);
	w->holds = w->phase == PHASE_FREEZE;
	if (a->kind == ANSWER_SKIP)
		w->result = RESULT_SKIPPED;
	if (a->kind == ANSWER_SKIP || w->phase == PHASE_POST || w->phase == PHASE_ABORT)
		let_end(w);
}

static void session_output(struct writer *w)
{
	char line[LINE_MAX_BYTES];
	struct answer a;
	size_t len;
	int r = lines_read(&w->lines, w->child.out);

	if (r == 0)
		child_close_out(&w->child); /* its end is seen by its pidfd */
	if (r == -EAGAIN || r == 0)
		return;
	if (w->end_ns) {
		w->lines.used = 0; /* nobody listens any more */
		return;
	}
	if (r < 0 || !w->asked) {
		garbage(w, r < 0 ? "its output cannot be read" : "it wrote without being asked");
		return;
	}
	if (!lines_take(&w->lines, line, &len)) {
		if (w->lines.used > ANSWER_MAX)
			garbage(w, "it printed garbage (a line is too long)");
	} else if (w->lines.used || answer_parse(line, len, &a)) {
		garbage(w, "it printed garbage");
	} else {
		answered(w, &a);
	}
}

static void identify_output(struct writer *w)
{
	ssize_t n = 1;

	while (n > 0 && w->output_used < sizeof(w->output)) {
		n = read(w->child.out, w->output + w->output_used,
			 sizeof(w->output) - w->output_used);
		if (n > 0)
			w->output_used += (size_t)n;
	}
	if (n == 0)
		child_close_out(&w->child);
	if (w->output_used == sizeof(w->output))
		garbage(w, "it printed too much");
}

static void identified(struct writer *w, int status)
{
	struct err e;

	w->asked = false;
	if (w->result == RESULT_FAILED)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == ABSENT_STATUS) {
		w->result = RESULT_ABSENT;
		snprintf(w->text, sizeof(w->text), "nothing of its kind is here");
	} else if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		const char *said = child_last_line(&w->child);

		writer_fail(w, "identify %s %d%s%s",
			    WIFEXITED(status) ? "ended with status" : "was ended by signal",
			    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
			    *said ? ": " : "", said);
	} else if (identity_parse(w->output, w->output_used, &w->id, &e)) {
		writer_fail(w, "%s", e.text);
	} else {
		w->result = RESULT_OK;
	}
}

/* It ended. Only after its input was closed that is what is expected of it. */
static void ended(struct writer *w, int status)
{
	const char *said = child_last_line(&w->child);

	w->holds = false;
	if (!w->end_ns)
		writer_fail(w, "it ended (%s %d) %s %s%s%s",
			    WIFEXITED(status) ? "status" : "signal",
			    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
			    w->asked ? "in" : "after", phase_name(w->phase), *said ? ": " : "",
			    said);
	w->asked = false;
	w->end_ns = 0;
}

void writer_io(struct writer *w)
{
	bool identify = w->asked && w->phase == PHASE_IDENTIFY;
	/* What it said before it ended counts: this is asked before what it said is read. */
	bool over = child_ended(&w->child);
	int status;

	child_drain_err(&w->child);
	if (w->child.out >= 0 && identify)
		identify_output(w);
	else if (w->child.out >= 0)
		session_output(w);
	if (!over || !child_reap(&w->child, &status))
		return;
	if (identify)
		identified(w, status);
	else
		ended(w, status);
}

uint64_t writer_tick(struct writer *w, uint64_t now)
{
	if (!writer_runs(w))
		return UINT64_MAX;
	if (w->end_ns) {
		if (now < w->end_ns)
			return w->end_ns;
		child_signal(&w->child, SIGKILL);
		w->end_ns = now + EXIT_NS;
		return w->end_ns;
	}
	if (!w->asked)
		return UINT64_MAX;
	if (now < w->until_ns)
		return w->until_ns;
	took(w);
	if (w->asked_ns >= w->until_ns)
		writer_fail(w, "it was late: time was up when it was its turn to %s",
			    phase_name(w->phase));
	else
		writer_fail(w, "it was late: no answer to %s within %" PRIu64 " ms",
			    phase_name(w->phase), (w->until_ns - w->asked_ns) / MS);
	writer_kill(w);
	return w->end_ns;
}
