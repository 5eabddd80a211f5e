/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "appliance/command.h"
#include "appliance/enrol.h"
#include "appliance/policy.h"
#include "appliance/server.h"
#include "appliance/tls.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/io.h"
#include "lib/log.h"

struct serve {
	struct appliance app;
	int lock;
	int machines; /* the folder stays open, so that nobody unmounts it under us; -1: there is none yet */
	struct server *server;
	struct keeper *keeper;
};

static int load_certificate(struct home *h, struct err *e)
{
	_cleanup_free_ char *pem = NULL;
	int rc = enrol_server_due(h, clock_realtime_ns()) ? enrol_server(h, e) : 0;

	if (rc == 0)
		pem = home_read(h->dir, HOME_SERVER, e);
	if (!pem)
		return e->code;
	rc = tls_load(pem, e);
	explicit_bzero(pem, strlen(pem));
	return rc;
}

static int write_ports(const struct appliance *app, struct err *e)
{
	_cleanup_free_ char *path = home_path(app->home.dir, "run/ports.json");
	char text[64];
	int n = snprintf(text, sizeof(text), "{\"control\":%u,\"data\":%u}\n", app->control_port,
			 app->data_port);

	if (!path)
		return err_set(e, -ENOMEM, "out of memory");
	return io_write_file_atomic(path, text, (size_t)n, 0600, e);
}

/* ADDR of "ADDR:PORT", for the line that says where we listen. */
static int address_length(const char *where)
{
	return (int)(strrchr(where, ':') - where);
}

/* Where it cannot be opened, whoever uses it says so. */
static void keep_mounted(struct serve *s)
{
	_cleanup_free_ char *path = home_path(s->app.home.dir, "machines");

	if (path)
		s->machines = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int serve_start(struct serve *s, struct err *e)
{
	struct appliance *app = &s->app;
	const struct config *conf = &app->home.config;
	int rc = load_certificate(&app->home, e);

	keep_mounted(s);
	if (rc == 0)
		rc = live_new(&app->home, &app->live, e);
	if (rc == 0)
		rc = policy_recover(app, e);
	if (rc == 0)
		rc = server_start(app, &s->server, e);
	if (rc == 0)
		rc = keeper_start(app, &s->keeper, e);
	if (rc == 0)
		rc = write_ports(app, e);
	if (rc == 0) {
		log_info("ready: control on %.*s:%u, data on %.*s:%u",
			 address_length(conf->control), conf->control, app->control_port,
			 address_length(conf->data), conf->data, app->data_port);
		sd_notifyf(0, "READY=1\nSTATUS=control on port %u, data on port %u",
			   app->control_port, app->data_port);
	}
	return rc;
}

static void serve_stop(struct serve *s)
{
	server_stop(s->server);
	keeper_stop(s->keeper);
	live_free(s->app.live);
	tls_unload();
	home_close(&s->app.home);
	if (s->machines >= 0)
		close(s->machines);
	if (s->lock >= 0)
		close(s->lock);
}

/* Each connection has a thread and a socket, each disk's open epoch a file. */
static void raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

/*
 * A thread for each connection would get malloc an arena for each, with freed bodies kept in all of them: a few arenas, and large
 * buffers straight from the kernel and back to it.
 */
static void bound_memory(void)
{
	mallopt(M_ARENA_MAX, 4);
	mallopt(M_MMAP_THRESHOLD, 512 << 10);
}

int command_serve(const char *dir, int argc, char **argv)
{
	struct serve s = {.lock = -1, .machines = -1};
	sigset_t set;
	struct err e;
	int rc, signal_number;

	if (argc)
		return command_error(EXIT_USAGE, "serve takes no argument, such as %s", argv[0]);
	/* Before any thread is: all of them inherit it, and only sigwait() below gets the signals. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	raise_limits();
	bound_memory();
	rc = home_open(&s.app.home, dir, &e);
	if (rc < 0)
		return command_failed(&e);
	log_set_level((enum log_level)s.app.home.config.log_level);
	s.lock = home_lock(&s.app.home, &e);
	rc = s.lock < 0 ? s.lock : serve_start(&s, &e);
	if (rc == 0) {
		sigwait(&set, &signal_number);
		sd_notify(0, "STOPPING=1");
		log_info("ending: %s", strsignal(signal_number));
	}
	serve_stop(&s);
	return rc < 0 ? command_failed(&e) : EXIT_DONE;
}
