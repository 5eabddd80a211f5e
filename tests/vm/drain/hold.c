// SPDX-License-Identifier: Apache-2.0
#include "drain.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const stages[] = {
	[HOLD_CLOSING] = "closing",
	[HOLD_SEALED] = "sealed",
	[HOLD_READING] = "reading",
	[HOLD_READ] = "read",
};

int hold_stage(const char *name)
{
	for (int stage = 0; stage < HOLD_STAGES; stage++)
		if (!strcmp(stages[stage], name))
			return stage;
	return -1;
}

/* Says how far the epoch has come, and its status there; waits if it is to be held there. */
static int reach(int epoch_fd, enum hold_stage stage, const struct run_options *o, uint64_t start)
{
	struct mob_epoch_status st;
	sigset_t set;
	int number;

	if (mob_epoch_status(epoch_fd, &st))
		return -1;
	printf("hold: stage=%s epoch=%" PRIu64 " in_flight=%" PRIu64 " torn=%u after_us=%" PRIu64
	       "\n",
	       stages[stage], (uint64_t)st.epoch, (uint64_t)st.in_flight,
	       st.result & MOB_EPOCH_TORN, (now_ns() - start) / 1000);
	fflush(stdout);
	if (stage != o->until)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return sigwait(&set, &number) ? -1 : 0;
}

static int end(int epoch_fd, const struct run_options *o)
{
	struct mob_epoch_status st;

	if (mob_epoch_status(epoch_fd, &st) || (o->commit && mob_commit(epoch_fd)))
		return -1;
	printf("hold: %s epoch=%" PRIu64 " torn=%u reason='%.*s'\n",
	       o->commit ? "committed" : "closed", (uint64_t)st.epoch, st.result & MOB_EPOCH_TORN,
	       MOB_REASON_BYTES, st.torn_reason);
	return 0;
}

static int walk(int epoch_fd, struct source *sources, unsigned int count,
		const struct run_options *o, uint64_t start)
{
	enum hold_stage last = o->commit ? HOLD_READ : o->until;
	struct totals totals = {0};

	if (reach(epoch_fd, HOLD_CLOSING, o, start))
		return -1;
	if (last >= HOLD_SEALED &&
	    (mob_wait_sealed(epoch_fd) || reach(epoch_fd, HOLD_SEALED, o, start)))
		return -1;
	if (last >= HOLD_READING && reach(epoch_fd, HOLD_READING, o, start))
		return -1;
	if (last >= HOLD_READ && (apply_all(epoch_fd, sources, count, o, 1, &totals) ||
				  reach(epoch_fd, HOLD_READ, o, start)))
		return -1;
	return end(epoch_fd, o);
}

int hold(int control, struct source *sources, unsigned int count, const struct run_options *o)
{
	struct totals totals = {0};
	uint64_t start = now_ns();
	struct mob_advance a;
	sigset_t set;
	int ret;

	/* taken by sigwait() only, also if it comes early */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	srandom((unsigned int)getpid());
	if (take_boundary(control, o, &a, &totals))
		return 1;
	ret = walk(a.epoch_fd, sources, count, o, start);
	close(a.epoch_fd);
	return ret ? 1 : 0;
}
