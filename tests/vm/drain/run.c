// SPDX-License-Identifier: Apache-2.0
#include "drain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADVANCE_TIMEOUT_NS 60000000000ULL

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static int copy_file(const char *from, const char *suffix)
{
	char to[256], buf[4096];
	int in, out = -1, ret = -1;
	ssize_t n;

	snprintf(to, sizeof(to), "%s.%s", from, suffix);
	in = open(from, O_RDONLY | O_CLOEXEC);
	if (in >= 0)
		out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in >= 0 && out >= 0) {
		n = read(in, buf, sizeof(buf));
		ret = n >= 0 && write(out, buf, (size_t)n) == n ? 0 : -1;
	}
	if (ret)
		fprintf(stderr, "drain: cannot copy %s to %s: %s\n", from, to, strerror(errno));
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return ret;
}

/* Takes a boundary, with what had completed before it and after it in PROGRESS.before and .after. */
int take_boundary(int control, const struct run_options *o, struct mob_advance *a,
		  struct totals *totals)
{
	uint64_t begin = now_ns(), start, took;
	int ret;

	do {
		if (o->progress && copy_file(o->progress, "before"))
			return -1;
		start = now_ns();
		ret = mob_advance(control, a);
		took = now_ns() - start;
		if (ret == 1)
			usleep(1000);
	} while (ret == 1 && now_ns() - begin < ADVANCE_TIMEOUT_NS);
	if (ret == 1)
		fprintf(stderr, "drain: no boundary could be taken for 60 s\n");
	if (took > totals->longest_advance_ns)
		totals->longest_advance_ns = took;
	if (!ret && o->progress)
		ret = copy_file(o->progress, "after");
	return ret ? -1 : 0;
}

static int sync_replicas(const struct source *sources, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (fsync(sources[i].replica_fd)) {
			fprintf(stderr, "drain: cannot sync %s: %s\n", sources[i].replica,
				strerror(errno));
			return -1;
		}
	return 0;
}

/* A check may read a replica below the page cache, as device mapper does. */
static int check_point(const struct source *sources, unsigned int count,
		       const struct run_options *o, uint64_t epoch)
{
	char number[32];
	int status;

	if (sync_replicas(sources, count))
		return -1;
	snprintf(number, sizeof(number), "%" PRIu64, epoch);
	setenv("EPOCH", number, 1);
	status = system(o->check);
	if (status == 0)
		return 0;
	printf("drain: the point of epoch %" PRIu64 " is wrong (check status %d)\n", epoch,
	       WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return -1;
}

int apply_all(int epoch_fd, struct source *sources, unsigned int count, const struct run_options *o,
	      double part, struct totals *totals)
{
	for (unsigned int i = 0; i < count; i++)
		if (apply_disk(epoch_fd, &sources[i], o, part, totals))
			return -1;
	return 0;
}

/* One epoch: boundary, drain, commit or abort, and the check of its point. */
static int run_epoch(int control, struct source *sources, unsigned int count,
		     const struct run_options *o, bool abort_it, struct totals *totals)
{
	struct mob_epoch_status status;
	struct mob_advance a;
	double part = abort_it ? (double)(random() % 100) / 100 : 1;
	int ret = -1;

	if (take_boundary(control, o, &a, totals))
		return -1;
	if (mob_wait_sealed(a.epoch_fd) || apply_all(a.epoch_fd, sources, count, o, part, totals) ||
	    mob_epoch_status(a.epoch_fd, &status))
		goto out;
	if (abort_it) {
		totals->aborted++;
		ret = 0;
		goto out;
	}
	if (mob_commit(a.epoch_fd))
		goto out;
	totals->committed++;
	ret = 0;
	if (status.result & MOB_EPOCH_TORN) {
		totals->torn++;
		if (!o->torn_ok) {
			printf("drain: epoch %" PRIu64 " is torn: %.*s\n", (uint64_t)a.epoch,
			       MOB_REASON_BYTES, status.torn_reason);
			ret = -1;
		}
	} else if (o->check) {
		totals->checked++;
		ret = check_point(sources, count, o, a.epoch);
	}
out:
	close(a.epoch_fd);
	return ret;
}

int run(int control, struct source *sources, unsigned int count, const struct run_options *o)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct totals totals = {0};
	unsigned int n = 0;
	int ret = 0;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	srandom((unsigned int)getpid());
	while (!ret && !stopped && (!o->epochs || totals.committed < o->epochs)) {
		n++;
		ret = run_epoch(control, sources, count, o,
				o->abort_every && n % o->abort_every == 0, &totals);
		if (o->interval_ms)
			usleep(o->interval_ms * 1000);
	}
	if (!ret)
		ret = sync_replicas(sources, count);
	printf("drain: committed=%u torn=%u aborted=%u checked=%u granules=%" PRIu64
	       " bytes=%" PRIu64 " zero_bytes=%" PRIu64 " longest_advance_us=%" PRIu64 "\n",
	       totals.committed, totals.torn, totals.aborted, totals.checked, totals.granules,
	       totals.bytes, totals.zero_bytes, totals.longest_advance_ns / 1000);
	return ret ? 1 : 0;
}
