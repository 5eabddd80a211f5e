/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/http_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "lib/clock.h"

bool http_link_small(struct http_link *l, uint64_t now_ns)
{
	return l && now_ns < atomic_load(&l->small_until_ns);
}

void http_link_stalled(struct http_link *l, bool small, uint64_t now_ns)
{
	if (!l)
		return;
	atomic_fetch_add(&l->stalls, 1);
	atomic_store(&l->small_until_ns, small ? 0 : now_ns + HTTP_LINK_SMALL_NS);
}

/* What a kernel or a kind of socket does not know is left as it is: the connection works without. */
void http_link_prepare(int fd, bool small, uint64_t patience_ns)
{
	int mss = HTTP_LINK_SMALL_MSS;
	/* later than the client's own limit, which tells why: this one is for connections at rest */
	unsigned int timeout_ms = (unsigned int)(2 * patience_ns / 1000000);

	if (small)
		setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof(mss));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}
