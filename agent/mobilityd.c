// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "agent/rcu.h"
#include "agent/session.h"
#include "agent/status.h"
#include "lib/clock.h"
#include "lib/http.h"
#include "lib/log.h"

#define TICK_MS 1000

static void usage(FILE *to)
{
	fputs("usage: mobilityd [--config FILE]\n", to);
}

static int parse_options(int argc, char **argv, const char **config)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		if (c == 'c') {
			*config = optarg;
		} else {
			usage(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (optind < argc) {
		usage(stderr);
		return -EINVAL;
	}
	return 0;
}

/* Signals come through a descriptor, in all threads alike. */
static int block_signals(struct err *e)
{
	sigset_t set;
	int fd;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? err_errno(e, -errno, "cannot receive signals") : fd;
}

/* The watchdog is fed as long as the session lives. */
static void tick(struct agent *a, bool *silent)
{
	uint64_t since = agent_silent_ns(a);
	char text[32];

	status_tick(a);
	explain_tick(a);
	if (since < agent_silence_limit(a)) {
		*silent = false;
		sd_notify(0, "WATCHDOG=1");
	} else if (!*silent) {
		*silent = true;
		log_error("the session has been silent for %s", duration_format(since, text));
	}
}

static void main_loop(struct agent *a, struct control *control, int signals)
{
	struct pollfd p[] = {{.fd = signals, .events = POLLIN},
			     {.fd = control_fd(control), .events = POLLIN}};
	struct signalfd_siginfo info;
	uint64_t ticked = 0, now;
	bool silent = false;

	for (;;) {
		poll(p, 2, TICK_MS);
		now = clock_monotonic_ns();
		if (now - ticked >= NSEC_PER_SEC * 9 / 10) {
			tick(a, &silent);
			ticked = now;
		}
		if (p[1].revents)
			control_accept(control);
		if (p[0].revents && read(signals, &info, sizeof(info)) == sizeof(info) &&
		    info.ssi_signo != SIGHUP)
			return;
	}
}

static int run(struct agent *a, int signals, struct err *e)
{
	struct control *control;
	pthread_t session;
	int r = control_open(a, &control, e);

	if (r)
		return r;
	r = -pthread_create(&session, NULL, session_main, a);
	if (r) {
		control_close(control);
		return err_errno(e, r, "cannot start the session's thread");
	}
	sd_notify(0, "READY=1");
	log_info("mobilityd is ready, control socket %s", a->config.socket);
	main_loop(a, control, signals);
	sd_notify(0, "STOPPING=1");
	log_info("mobilityd is stopping; tracking goes on in the kernel module");
	agent_stop(a);
	pthread_join(session, NULL);
	control_close(control);
	return 0;
}

int main(int argc, char **argv)
{
	static struct agent agent = {.wake_fd = -1};
	const char *config = NULL;
	struct err e;
	int r, signals;

	if (parse_options(argc, argv, &config))
		return 2;
	log_init("mobilityd", LOG_LEVEL_INFO);
	r = config_load(config, &agent.config, &e);
	if (r) {
		log_error("%s", e.text);
		return 2;
	}
	log_set_level((enum log_level)agent.config.log_level);
	urcu_memb_register_thread();
	signals = block_signals(&e);
	r = signals < 0 ? signals : http_global_init(&e);
	if (!r)
		r = agent_init(&agent, &e);
	if (!r)
		r = run(&agent, signals, &e);
	if (r)
		log_error("%s", e.text);
	agent_destroy(&agent);
	urcu_memb_unregister_thread();
	config_clear(&agent.config);
	if (signals >= 0)
		close(signals);
	return r ? 1 : 0;
}
