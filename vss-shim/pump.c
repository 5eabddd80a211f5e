// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/pump.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "vss-shim/discover.h"

#define FIXED 4 /* requester, watchdog, signals, other */
#define EACH 3 /* a writer's pidfd, output and errors */

static bool wanted(const struct pump *p, unsigned int cause)
{
	return !(p->causes & cause);
}

static size_t fill(const struct pump *p, struct pollfd *fd)
{
	size_t n = FIXED;

	fd[0] = (struct pollfd){wanted(p, CAUSE_REQUESTER) ? p->requester : -1, POLLIN, 0};
	fd[1] = (struct pollfd){wanted(p, CAUSE_WATCHDOG) ? p->watchdog : -1, POLLIN, 0};
	fd[2] = (struct pollfd){wanted(p, CAUSE_SIGNAL) ? p->signals : -1, POLLIN, 0};
	fd[3] = (struct pollfd){p->other_ready ? -1 : p->other, POLLIN, 0};
	for (size_t i = 0; i < p->count; i++) {
		const struct child *c = &p->writer[i].child;

		fd[n++] = (struct pollfd){c->pidfd, POLLIN, 0};
		fd[n++] = (struct pollfd){c->out, POLLIN, 0};
		fd[n++] = (struct pollfd){c->err, POLLIN, 0};
	}
	return n;
}

static void heed(struct pump *p, const struct pollfd *fd)
{
	struct signalfd_siginfo info;
	char byte;
	int r;

	if (fd[0].revents) {
		r = lines_read(p->from, p->requester);
		if (r <= 0 && r != -EAGAIN)
			p->causes |= CAUSE_REQUESTER;
		else if (p->from->used == sizeof(p->from->data))
			p->causes |= CAUSE_REQUESTER; /* it talks and does not listen */
	}
	if (fd[1].revents && recv(p->watchdog, &byte, 1, MSG_DONTWAIT) <= 0)
		p->causes |= CAUSE_WATCHDOG;
	if (fd[2].revents && read(p->signals, &info, sizeof(info)) == sizeof(info))
		p->causes |= CAUSE_SIGNAL;
	if (fd[3].revents)
		p->other_ready = true;
	for (size_t i = 0; i < p->count; i++) {
		const struct pollfd *w = &fd[FIXED + EACH * i];

		if (w[0].revents || w[1].revents || w[2].revents)
			writer_io(&p->writer[i]);
	}
}

void pump_once(struct pump *p, uint64_t until_ns)
{
	struct pollfd fd[FIXED + EACH * WRITERS_MAX];
	uint64_t now = clock_monotonic_ns(), next = until_ns, left;
	size_t n = fill(p, fd);
	struct timespec ts;

	for (size_t i = 0; i < p->count; i++) {
		uint64_t at = writer_tick(&p->writer[i], now);

		next = at < next ? at : next;
	}
	left = next > now ? next - now : 0;
	if (left > 3600 * NSEC_PER_SEC)
		left = 3600 * NSEC_PER_SEC;
	ts = (struct timespec){(time_t)(left / NSEC_PER_SEC), (long)(left % NSEC_PER_SEC)};
	if (ppoll(fd, n, &ts, NULL) > 0)
		heed(p, fd);
}

static bool any_asked(const struct pump *p, enum phase phase)
{
	for (size_t i = 0; i < p->count; i++) {
		if (p->writer[i].asked && p->writer[i].phase == phase)
			return true;
	}
	return false;
}

void pump_answers(struct pump *p, enum phase phase, unsigned int causes, uint64_t until_ns)
{
	while (any_asked(p, phase) && !(p->causes & causes) && clock_monotonic_ns() < until_ns)
		pump_once(p, until_ns);
}
