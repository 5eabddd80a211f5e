// SPDX-License-Identifier: Apache-2.0
#include "agent/shim.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"

#define ANSWER_BYTES (1u << 20)
#define SLICE_MS 500
/*
 * One that runs takes an order at once, unless it is still busy with another requester: with its writers, or the end of
 * its set.
 */
#define TAKE_NS (120 * NSEC_PER_SEC)
/* Longer than the shim's own deadlines: identify, prepare (10m at most), the window (1m). */
#define PREPARE_NS (760 * NSEC_PER_SEC)
#define FREEZE_NS (75 * NSEC_PER_SEC)
#define WRITERS_NS (120 * NSEC_PER_SEC)

struct shim {
	int fd;
	char *buf; /* what arrived and was not taken yet */
	size_t used;
	void (*beat)(void *arg);
	void *arg;
	const volatile bool *cancel;
};

int shim_open(const char *socket_path, struct shim **out, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct shim *s = calloc(1, sizeof(*s));
	int r;

	if (s)
		s->buf = malloc(ANSWER_BYTES);
	if (!s || !s->buf) {
		free(s);
		return err_set(e, -ENOMEM, "out of memory");
	}
	strncpy(addr.sun_path, socket_path, sizeof(addr.sun_path) - 1);
	/* A shim that hangs takes nobody any more: connect would wait for ever, without a beat. */
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = s->fd < 0 || connect(s->fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	if (!r) {
		*out = s;
		return 0;
	}
	shim_close(s);
	if (r == -ENOENT || r == -ECONNREFUSED)
		return err_set(e, -ECONNREFUSED,
			       "vss-shim is not running (nobody listens on %s): systemctl start "
			       "vss-shim",
			       socket_path);
	if (r == -EAGAIN)
		return err_set(e, r, "vss-shim does not answer: it is stopped, or hangs");
	return err_errno(e, r, "cannot reach vss-shim on %s", socket_path);
}

void shim_close(struct shim *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->buf);
	free(s);
}

void shim_attend(struct shim *s, void (*beat)(void *arg), void *arg, const volatile bool *cancel)
{
	s->beat = beat;
	s->arg = arg;
	s->cancel = cancel;
}

static int order(struct shim *s, const char *text, struct err *e)
{
	size_t len = strlen(text);

	/* The shim reads at any time, and an order is short: it fits in at once. */
	if (send(s->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		return err_errno(e, -errno, "vss-shim does not take an order");
	return 0;
}

/* Wait a while for more bytes. */
static int more(struct shim *s, struct err *e)
{
	struct pollfd p = {s->fd, POLLIN, 0};
	ssize_t n;

	if (s->beat)
		s->beat(s->arg);
	if (s->cancel && *s->cancel)
		return err_set(e, -ECANCELED, "canceled");
	if (s->used == ANSWER_BYTES)
		return err_set(e, -EMSGSIZE, "the answer of vss-shim is too long");
	if (poll(&p, 1, SLICE_MS) <= 0)
		return 0;
	n = recv(s->fd, s->buf + s->used, ANSWER_BYTES - s->used, MSG_DONTWAIT);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return err_errno(e, -errno, "vss-shim does not answer");
	if (n == 0)
		return err_set(e, -EPIPE, "vss-shim has ended");
	s->used += n > 0 ? (size_t)n : 0;
	return 0;
}

/* The object behind the word; "error" is one. */
static json_t *parse(const char *line, size_t len, const char *word, struct err *e)
{
	size_t n = strlen(word);
	json_t *o;

	if (len > 6 && !memcmp(line, "error ", 6)) {
		_cleanup_json_ json_t *error =
			json_parse_object(line + 6, len - 6, ANSWER_BYTES, e);
		const char *why;

		if (error && !json_get_str(error, "error", 1, 4096, &why, e))
			err_set(e, -EIO, "%s", why);
		return NULL;
	}
	if (len <= n || memcmp(line, word, n) != 0 || line[n] != ' ') {
		err_set(e, -EPROTO, "vss-shim answered out of turn");
		return NULL;
	}
	o = json_parse_object(line + n + 1, len - n - 1, ANSWER_BYTES, e);
	if (!o)
		err_prefix(e, "the answer of vss-shim cannot be understood");
	return o;
}

static json_t *answer(struct shim *s, const char *word, uint64_t timeout_ns, struct err *e)
{
	uint64_t until = clock_monotonic_ns() + timeout_ns;
	char *end;
	json_t *o;

	while (!(end = memchr(s->buf, '\n', s->used))) {
		if (clock_monotonic_ns() >= until) {
			err_set(e, -ETIMEDOUT, "vss-shim did not answer within its time");
			return NULL;
		}
		if (more(s, e))
			return NULL;
	}
	o = parse(s->buf, (size_t)(end - s->buf), word, e);
	s->used -= (size_t)(end + 1 - s->buf);
	memmove(s->buf, end + 1, s->used);
	return o;
}

/* Did it read the order, or say something since? One that is stopped, or hangs, does neither. */
static bool taken(const struct shim *s)
{
	int unread = 0;

	return s->used || ioctl(s->fd, SIOCOUTQ, &unread) || !unread;
}

static int wait_taken(struct shim *s, struct err *e)
{
	uint64_t until = clock_monotonic_ns() + TAKE_NS;
	int r = 0;

	while (!r && !taken(s)) {
		if (clock_monotonic_ns() >= until)
			return err_set(
				e, -ETIMEDOUT,
				"vss-shim did not take the order for 2 minutes: it is stopped or hangs, or is "
				"busy with another requester");
		r = more(s, e);
	}
	return r;
}

static int wait_for(struct shim *s, const char *word, uint64_t timeout_ns, struct err *e)
{
	_cleanup_json_ json_t *o = answer(s, word, timeout_ns, e);

	return o ? 0 : e->code;
}

int shim_prepare(struct shim *s, const char *disks, struct err *e)
{
	_cleanup_free_ char *line = NULL;
	int r;

	if (asprintf(&line, "set disks=%s\n", disks) < 0) {
		line = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	r = order(s, line, e);
	if (!r)
		r = wait_taken(s, e);
	return r ? r : wait_for(s, "prepared", PREPARE_NS, e);
}

int shim_freeze(struct shim *s, struct err *e)
{
	int r = order(s, "freeze\n", e);

	return r ? r : wait_for(s, "frozen", FREEZE_NS, e);
}

int shim_thaw(struct shim *s, struct err *e)
{
	return order(s, "thaw\n", e);
}

json_t *shim_report(struct shim *s, struct err *e)
{
	return answer(s, "thawed", FREEZE_NS, e);
}

json_t *shim_writers(const char *socket_path, const volatile bool *cancel, struct err *e)
{
	struct shim *s;
	json_t *o = NULL;

	if (shim_open(socket_path, &s, e))
		return NULL;
	s->cancel = cancel;
	if (!order(s, "writers\n", e))
		o = answer(s, "writers", WRITERS_NS, e);
	shim_close(s);
	return o;
}
