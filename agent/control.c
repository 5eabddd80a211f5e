// SPDX-License-Identifier: Apache-2.0
#include "agent/control.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/rcu.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/log.h"

#define TIMEOUT_S 10 /* for a request to arrive and an answer to leave */

struct control {
	struct agent *agent;
	int fd;
	pthread_mutex_t lock; /* guards connections */
	pthread_cond_t ended;
	unsigned int connections;
};

struct connection {
	struct control *control;
	int fd;
};

/* Up to the newline or the end. -EMSGSIZE, -ETIMEDOUT, -EPIPE. */
static int receive(int fd, char *buf, size_t size, size_t *len)
{
	ssize_t n;

	*len = 0;
	while (*len < size) {
		n = recv(fd, buf + *len, size - *len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		*len += (size_t)n;
		if (n == 0 || memchr(buf + *len - n, '\n', (size_t)n))
			return *len ? 0 : -EPIPE;
	}
	return -EMSGSIZE;
}

static void send_answer(int fd, json_t *answer)
{
	_cleanup_free_ char *text = json_text(answer);
	size_t len = text ? strlen(text) : 0, done = 0;
	ssize_t n;

	while (done < len) {
		n = send(fd, text + done, len - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* the asker is gone; what it asked for is done */
		done += (size_t)n;
	}
	send(fd, "\n", 1, MSG_NOSIGNAL);
}

static json_t *answer_to(struct agent *a, const char *buf, size_t len)
{
	struct request *q = malloc(sizeof(*q));
	json_t *answer = NULL;
	struct err e = {0};

	if (!q)
		err_set(&e, -ENOMEM, "out of memory");
	else if (!request_parse(buf, len, q, &e)) {
		answer = command_run(a, q, &e);
		request_clear(q);
	}
	free(q);
	if (!answer)
		return json_pack("{s:b, s:s}", "ok", 0, "error", e.text);
	json_object_set_new(answer, "ok", json_true());
	return answer;
}

static void serve(struct connection *c)
{
	struct agent *a = c->control->agent;
	_cleanup_free_ char *buf = malloc(REQUEST_MAX);
	_cleanup_json_ json_t *answer = NULL;
	size_t len;
	int r = buf ? receive(c->fd, buf, REQUEST_MAX, &len) : -ENOMEM;

	if (r == -EPIPE)
		return;
	if (r)
		answer = json_pack("{s:b, s:s}", "ok", 0, "error",
				   r == -EMSGSIZE ? "the request is too long" : strerror(-r));
	else
		answer = answer_to(a, buf, len);
	if (buf)
		explicit_bzero(buf, REQUEST_MAX); /* it may have held a token */
	send_answer(c->fd, answer);
}

static void *connection_main(void *arg)
{
	struct connection *c = arg;
	struct control *control = c->control;

	urcu_memb_register_thread();
	serve(c);
	urcu_memb_unregister_thread();
	close(c->fd);
	free(c);
	pthread_mutex_lock(&control->lock);
	control->connections--;
	pthread_cond_signal(&control->ended);
	pthread_mutex_unlock(&control->lock);
	return NULL;
}

static int start(struct control *c, int fd)
{
	struct timeval limit = {.tv_sec = TIMEOUT_S};
	struct connection *conn = malloc(sizeof(*conn));
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (!conn)
		return -ENOMEM;
	*conn = (struct connection){c, fd};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = -pthread_create(&thread, &attr, connection_main, conn);
	pthread_attr_destroy(&attr);
	if (r)
		free(conn);
	return r;
}

void control_accept(struct control *c)
{
	/* cppcheck-suppress nullPointer */
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC), r = -EBUSY;

	if (fd < 0)
		return;
	pthread_mutex_lock(&c->lock);
	if (c->connections < CONTROL_MAX) {
		c->connections++;
		r = 0;
	}
	pthread_mutex_unlock(&c->lock);
	if (!r) {
		r = start(c, fd);
		if (!r)
			return;
		pthread_mutex_lock(&c->lock);
		c->connections--;
		pthread_mutex_unlock(&c->lock);
	}
	log_warning("a control connection was refused: %s", strerror(-r));
	close(fd);
}

static int bind_socket(int fd, const char *path, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int r = io_remove_socket(path, e);

	if (r)
		return r;
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(e, -ENAMETOOLONG, "the path of the socket is too long: %s", path);
	strcpy(addr.sun_path, path);
	/* Never, not even for a moment, open to others. */
	mask = umask(0177);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	umask(mask);
	if (!r && listen(fd, 16))
		r = -errno;
	return r ? err_errno(e, r, "cannot listen on %s", path) : 0;
}

int control_open(struct agent *a, struct control **out, struct err *e)
{
	_cleanup_free_ char *dir = strdup(a->config.socket);
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c || !dir) {
		free(c);
		return err_set(e, -ENOMEM, "out of memory");
	}
	c->agent = a;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->ended, NULL);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = c->fd < 0 ? err_errno(e, -errno, "cannot create a socket") : 0;
	if (!r)
		r = io_mkdirs(dirname(dir), 0755, e);
	if (!r)
		r = bind_socket(c->fd, a->config.socket, e);
	if (r)
		control_close(c);
	else
		*out = c;
	return r;
}

int control_fd(const struct control *c)
{
	return c->fd;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	if (c->fd >= 0) {
		io_remove_socket(c->agent->config.socket, NULL);
		close(c->fd);
	}
	pthread_mutex_lock(&c->lock);
	while (c->connections)
		pthread_cond_wait(&c->ended, &c->lock);
	pthread_mutex_unlock(&c->lock);
	pthread_cond_destroy(&c->ended);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
