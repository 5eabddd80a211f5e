/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/listen.h"
#include "lib/cleanup.h"

#define BACKLOG 128

int listen_parse(const char *text, struct sockaddr_storage *address, socklen_t *len, struct err *e)
{
	struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	_cleanup_free_ char *host = strdup(text);
	struct addrinfo *found;
	char *colon, *begin;

	if (!host)
		return err_set(e, -ENOMEM, "out of memory");
	colon = strrchr(host, ':');
	begin = host;
	if (colon && *begin == '[' && colon > begin && colon[-1] == ']') {
		begin++;
		colon[-1] = 0;
	}
	if (!colon || colon == host || !colon[1] || strlen(colon + 1) > 5 ||
	    atoi(colon + 1) > 65535)
		return err_set(e, -EINVAL, "%s is not ADDR:PORT, as 0.0.0.0:443 or [::]:443", text);
	*colon = 0;
	if (getaddrinfo(begin, colon + 1, &hints, &found))
		return err_set(e, -EINVAL, "%s is not ADDR:PORT, as 0.0.0.0:443 or [::]:443", text);
	memcpy(address, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static unsigned int port_of(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)a)->sin6_port);
	return ntohs(((const struct sockaddr_in *)a)->sin_port);
}

int listen_open(const char *text, unsigned int *port, struct err *e)
{
	struct sockaddr_storage address;
	socklen_t len;
	int one = 1, fd, rc = listen_parse(text, &address, &len, e);

	if (rc < 0)
		return rc;
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make a socket for %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0) {
		rc = err_errno(e, -errno, "cannot listen on %s", text);
		close(fd);
		return rc;
	}
	len = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
		rc = err_errno(e, -errno, "cannot learn the port of %s", text);
		close(fd);
		return rc;
	}
	*port = port_of(&address);
	return fd;
}

void listen_peer(const struct sockaddr *address, char *out, size_t size)
{
	socklen_t len = address && address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								  : sizeof(struct sockaddr_in);

	if (!address || getnameinfo(address, len, out, (socklen_t)size, NULL, 0, NI_NUMERICHOST))
		strncpy(out, "?", size);
}
