/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/http.h"
#include "lib/http_proxy.h"
#include "lib/http_url.h"

#define HOST_MAX 253 /* bytes; the DNS has no longer names */

/* Has the URL this part, other than as an empty one? */
static bool has_part(CURLU *u, CURLUPart part, const char *empty)
{
	_cleanup_(curl_freep) char *text = NULL;

	return !curl_url_get(u, part, &text, 0) && strcmp(text, empty) != 0;
}

/* User and password are sent as they are without their %XX, which may not hide a control character. */
static bool decodes(CURLU *u, CURLUPart part, CURLUcode absent)
{
	_cleanup_(curl_freep) char *text = NULL;
	CURLUcode code = curl_url_get(u, part, &text, CURLU_URLDECODE);

	return !code || code == absent;
}

static bool is_host(CURLU *u)
{
	_cleanup_(curl_freep) char *host = NULL;

	return !curl_url_get(u, CURLUPART_HOST, &host, 0) && strlen(host) <= HOST_MAX;
}

int http_check_proxy(const char *proxy)
{
	_cleanup_(url_freep) CURLU *u = curl_url();

	if (!u)
		return -ENOMEM;
	if (strncmp(proxy, "http://", 7) != 0 || curl_url_set(u, CURLUPART_URL, proxy, 0) ||
	    !decodes(u, CURLUPART_USER, CURLUE_NO_USER) ||
	    !decodes(u, CURLUPART_PASSWORD, CURLUE_NO_PASSWORD))
		return -EINVAL;
	if (!is_host(u) || !has_part(u, CURLUPART_PORT, "") || has_part(u, CURLUPART_PATH, "/") ||
	    has_part(u, CURLUPART_QUERY, "") || has_part(u, CURLUPART_FRAGMENT, ""))
		return -EINVAL;
	return 0;
}

/* The address of the host of a URL, if it is one of IPv6. */
static bool host_address(const char *url, struct in6_addr *out)
{
	_cleanup_(url_freep) CURLU *u = curl_url();
	_cleanup_(curl_freep) char *host = NULL;

	if (!u || curl_url_set(u, CURLUPART_URL, url, 0) ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) || *host != '[')
		return false;
	host[strcspn(host, "]")] = 0;
	return inet_pton(AF_INET6, host + 1, out) == 1;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, size_t bits)
{
	size_t whole = bits / 8, rest = bits % 8;

	return memcmp(a, b, whole) == 0 && (!rest || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

/* Is an element of the list that address, or a network with it? */
static bool covers(char *element, const struct in6_addr *address)
{
	char *length = strchr(element, '/'), *end;
	unsigned long bits = 128;
	struct in6_addr net;

	if (length) {
		*length++ = 0;
		bits = strtoul(length, &end, 10);
		if (!isdigit((unsigned char)*length) || *end || bits > 128)
			return false;
	}
	if (*element == '[') {
		end = element + strlen(element) - 1;
		if (*end != ']')
			return false;
		*end = 0;
		element++;
	}
	return inet_pton(AF_INET6, element, &net) == 1 &&
	       same_bits(address->s6_addr, net.s6_addr, bits);
}

bool http_proxy_spared(const char *no_proxy, const char *url)
{
	char element[sizeof("[]/128") + INET6_ADDRSTRLEN];
	struct in6_addr address;

	/* Asked before each request, and most have no list. */
	if (!*no_proxy || !host_address(url, &address))
		return false;
	for (const char *s = no_proxy; *s;) {
		size_t len = strcspn(s, ", \t");

		if (len && len < sizeof(element)) {
			memcpy(element, s, len);
			element[len] = 0;
			if (covers(element, &address))
				return true;
		}
		s += len + (s[len] != 0);
	}
	return false;
}
