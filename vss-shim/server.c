// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/server.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/magic.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"
#include "vss-shim/report.h"

#define FIRST_ORDER_NS (5 * NSEC_PER_SEC)
#define PREPARED_NS (60 * NSEC_PER_SEC) /* from prepared to freeze */

struct server {
	const struct settings *s;
	int listener, signals;
	char *ledger;
	struct history *history;
	struct set set; /* of the requester that is served */
	struct lines from;
	int fd;
	bool stop;
};

/* WORD JSON; takes o. A requester that does not listen any more is found when it is read from. */
static void tell(struct server *v, const char *word, json_t *o)
{
	_cleanup_free_ char *text = json_text(o), *line = NULL;
	size_t done = 0, len;
	ssize_t n = 1;

	json_decref(o);
	if (!text || asprintf(&line, "%s %s\n", word, text) < 0) {
		line = NULL;
		return;
	}
	for (len = strlen(line); done < len && n > 0; done += n > 0 ? (size_t)n : 0)
		n = send(v->fd, line + done, len - done, MSG_NOSIGNAL);
}

static void tell_error(struct server *v, const char *why)
{
	tell(v, "error", json_pack("{s:s%}", "error", why, strlen(why)));
}

/*
 * The next order within until_ns, while the set (if there is one) is looked after. -ETIMEDOUT,
 * -EPIPE: the set is given up, -EBADMSG.
 */
static int next_order(struct server *v, uint64_t until_ns, struct order *o, struct err *e)
{
	char line[LINE_MAX_BYTES];
	size_t len;

	while (!lines_take(&v->from, line, &len)) {
		if (set_given_up(&v->set))
			return err_set(e, -EPIPE, "%s", set_cause(&v->set));
		if (clock_monotonic_ns() >= until_ns)
			return err_set(e, -ETIMEDOUT, "no order came within the time");
		pump_once(&v->set.pump, until_ns);
	}
	return order_parse(line, len, o, e);
}

/* --- a set ------------------------------------------------------------------------------------ */

static int expect(struct server *v, enum order_kind kind, uint64_t until_ns, struct err *e)
{
	struct order o;
	int r = next_order(v, until_ns, &o, e);

	if (!r && o.kind == ORDER_ABORT)
		return err_set(e, -ECANCELED, "the requester gave up");
	if (!r && o.kind != kind)
		return err_set(e, -EPROTO, "this order does not come here");
	return r;
}

/* From prepare to the freeze; then it is frozen, or an error is told. */
static int freeze_set(struct server *v, struct err *e)
{
	struct set *set = &v->set;
	int r;

	if ((r = set_identify(set, e)) || (r = set_prepare(set, e)))
		return r;
	tell(v, "prepared", report_set(set));
	r = expect(v, ORDER_FREEZE, clock_monotonic_ns() + PREPARED_NS, e);
	if (!r)
		r = set_freeze(set, e);
	if (!r)
		tell(v, "frozen", report_set(set));
	return r;
}

static void log_set(const struct set *set)
{
	if (set->reason[0])
		log_warning("snapshot set %s is not application-consistent: %s", set->id,
			    set->reason);
	else
		log_info("snapshot set %s: %zu filesystems, held for %llu ms", set->id,
			 set->freezer.count, (unsigned long long)(set->window_us / 1000));
}

static void run_set(struct server *v)
{
	struct set *set = &v->set;
	struct err e;
	int r = freeze_set(v, &e);

	if (!r) {
		/* Whatever comes, or does not come: everything is let go. */
		r = expect(v, ORDER_THAW, set->until_ns, &e);
		if (r && r != -ETIMEDOUT)
			set_reason(set, "%s", e.text);
		set_thaw(set);
		tell(v, "thawed", report_set(set));
		set_post(set);
		tell(v, "done", report_set(set));
	} else {
		set_reason(set, "%s", e.text);
		set_thaw(set);
		tell_error(v, set->reason);
	}
	log_set(set);
	history_keep(v->history, set);
}

/* --- a requester ------------------------------------------------------------------------------ */

static void list_writers(struct server *v)
{
	struct err e;

	if (set_identify(&v->set, &e))
		tell_error(v, e.text);
	else
		tell(v, "writers", report_writers(&v->set, v->history));
}

/* The set that waits for its first order has nothing to be undone. */
static void serve_requester(struct server *v)
{
	struct order first = {.kind = ORDER_SET}, o;
	struct err e;
	int r;

	v->from.used = 0;
	/* What cannot be thawed stays in the list, which a set would make anew. */
	r = ledger_recover(v->ledger, &fs_kernel, &e);
	if (r >= 0)
		r = set_begin(&v->set, v->s, &fs_kernel, v->ledger, &first, &e);
	if (r) {
		tell_error(v, e.text);
		return;
	}
	set_attend(&v->set, v->fd, &v->from, v->signals);
	r = next_order(v, clock_monotonic_ns() + FIRST_ORDER_NS, &o, &e);
	if (!r && o.kind != ORDER_SET && o.kind != ORDER_WRITERS)
		r = err_set(&e, -EPROTO, "the first order is set or writers");
	if (r) {
		tell_error(v, e.text);
	} else {
		v->set.order = o;
		if (o.window_ms)
			v->set.window_ns = o.window_ms * 1000000;
		if (o.kind == ORDER_SET)
			run_set(v);
		else
			list_writers(v);
	}
	set_end(&v->set);
	/* Also one that came while the set ended. */
	v->stop |= (v->set.pump.causes & CAUSE_SIGNAL) != 0;
}

static void accept_requester(struct server *v)
{
	struct timeval limit = {.tv_sec = 2};
	struct ucred cred;
	socklen_t len = sizeof(cred);

	/* cppcheck-suppress nullPointer */
	v->fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC);
	if (v->fd < 0)
		return;
	setsockopt(v->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (getsockopt(v->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ||
	    (cred.uid != 0 && cred.uid != geteuid())) {
		log_warning("a requester that is not root was refused");
		tell_error(v, "only root may ask for a snapshot set");
	} else {
		serve_requester(v);
	}
	close(v->fd);
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_listener(const char *path, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = new_socket();
	mode_t mask;
	int r;

	if (fd < 0)
		return err_set(e, -ENOMEM, "cannot create a socket");
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	r = io_remove_socket(path, e);
	if (r)
		return r;
	/* Never, not even for a moment, open to others. */
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	umask(mask);
	if (!r && listen(fd, 16))
		r = -errno;
	return r ? err_errno(e, r, "cannot listen on %s", path) : cleanup_steal_fd(&fd);
}

/* The folder of the socket and the ledger. */
static int make_folder(const struct settings *s, struct err *e)
{
	_cleanup_free_ char *copy = strdup(s->socket);
	const char *folder = copy ? dirname(copy) : NULL;
	struct statfs st;
	int r;

	if (!folder)
		return err_set(e, -ENOMEM, "out of memory");
	r = io_mkdirs(folder, 0700, e);
	if (r || !s->filesystems)
		return r;
	/* Shim and watchdog note in the ledger what they thaw: if it were frozen itself, they would wait for ever. */
	if (statfs(folder, &st))
		return err_errno(e, -errno, "cannot look at %s", folder);
	if (st.f_type != TMPFS_MAGIC && st.f_type != RAMFS_MAGIC)
		return err_set(
			e, -EINVAL,
			"%s is on a filesystem that could be frozen: set socket to a path below /run",
			folder);
	return 0;
}

static void loop(struct server *v)
{
	while (!v->stop) {
		struct pollfd p[] = {{v->listener, POLLIN, 0}, {v->signals, POLLIN, 0}};

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			return;
		if (p[0].revents)
			accept_requester(v);
	}
}

int serve(const struct settings *s, int signals, struct err *e)
{
	static struct server v; /* large */
	_cleanup_free_ char *ledger = NULL, *lock = NULL;
	_cleanup_close_ int held = -1, listener = -1;
	int r;

	if (asprintf(&ledger, "%s.frozen", s->socket) < 0 ||
	    asprintf(&lock, "%s.lock", s->socket) < 0)
		return err_set(e, -ENOMEM, "out of memory");
	r = make_folder(s, e);
	if (r)
		return r;
	/* Whoever has the lock has the socket. */
	held = io_lock_file(lock, e);
	if (held < 0)
		return held;
	listener = open_listener(s->socket, e);
	if (listener < 0)
		return listener;
	r = ledger_recover(ledger, &fs_kernel, e);
	if (r == -EBUSY)
		log_error("%s", e->text);
	else if (r < 0)
		return r;
	v = (struct server){.s = s,
			    .listener = listener,
			    .signals = signals,
			    .ledger = ledger,
			    .history = history_new()};
	if (!v.history)
		return err_set(e, -ENOMEM, "out of memory");
	sd_notify(0, "READY=1");
	log_info("vss-shim is ready on %s", s->socket);
	loop(&v);
	sd_notify(0, "STOPPING=1");
	history_free(v.history);
	unlink(s->socket);
	return 0;
}
