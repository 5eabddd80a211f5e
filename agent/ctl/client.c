// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/json.h"

#define ANSWER_MAX (16u << 20)

static int dial(const char *path, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	int code;

	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set(e, -ENAMETOOLONG, "the path of the socket is too long: %s", path);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, -errno, "cannot create a socket");
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return cleanup_steal_fd(&fd);
	code = -errno;
	if (code == -ENOENT || code == -ECONNREFUSED)
		return err_set(e, -ECONNREFUSED,
			       "mobilityd is not running (nobody listens on %s): systemctl start "
			       "mobilityd",
			       path);
	if (code == -EACCES)
		return err_set(e, code, "you may not talk to mobilityd (%s): run this as root",
			       path);
	return err_errno(e, code, "cannot reach mobilityd on %s", path);
}

static int send_request(int fd, const json_t *request, struct err *e)
{
	char *text = json_text(request);
	size_t len = text ? strlen(text) : 0, done = 0;
	ssize_t n;

	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	text[len] = '\n'; /* in place of the terminator */
	while (done < len + 1) {
		n = send(fd, text + done, len + 1 - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	explicit_bzero(text, len + 1); /* it may hold a token */
	free(text);
	return done == len + 1
		       ? 0
		       : err_errno(
				 e, -errno,
				 "mobilityd does not take the request (journalctl -u mobilityd may tell why)");
}

static int receive(int fd, char **out, size_t *len, struct err *e)
{
	size_t size = 0;
	ssize_t n = 1;

	*out = NULL;
	*len = 0;
	while (n > 0 && *len <= ANSWER_MAX) {
		if (*len == size) {
			char *bigger = realloc(*out, size += 65536);

			if (!bigger)
				return err_set(e, -ENOMEM, "out of memory");
			*out = bigger;
		}
		n = recv(fd, *out + *len, size - *len, 0);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			*len += (size_t)n;
	}
	if (n < 0)
		return err_errno(
			e, -errno,
			"mobilityd does not answer (journalctl -u mobilityd may tell why)");
	if (!*len)
		return err_set(
			e, -EPIPE,
			"mobilityd ended without an answer: try again; journalctl -u mobilityd may tell why");
	return 0;
}

json_t *client_ask(const char *socket_path, const json_t *request, struct err *e)
{
	_cleanup_close_ int fd = dial(socket_path, e);
	_cleanup_free_ char *text = NULL;
	_cleanup_json_ json_t *answer = NULL;
	const char *why;
	size_t len;
	bool ok;

	if (fd < 0 || send_request(fd, request, e) || receive(fd, &text, &len, e))
		return NULL;
	answer = json_parse_object(text, len, ANSWER_MAX, e);
	if (!answer || json_get_bool(answer, "ok", &ok, e))
		return NULL;
	if (ok)
		return cleanup_steal_ptr(&answer);
	if (!json_get_str(answer, "error", 1, 4096, &why, e))
		err_set(e, -EINVAL, "%s", why);
	return NULL;
}
