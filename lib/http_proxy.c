/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/http.h"
#include "lib/http_url.h"

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

int http_check_proxy(const char *proxy)
{
	_cleanup_(url_freep) CURLU *u = curl_url();

	if (!u)
		return -ENOMEM;
	if (strncmp(proxy, "http://", 7) != 0 || curl_url_set(u, CURLUPART_URL, proxy, 0) ||
	    !decodes(u, CURLUPART_USER, CURLUE_NO_USER) ||
	    !decodes(u, CURLUPART_PASSWORD, CURLUE_NO_PASSWORD))
		return -EINVAL;
	if (has_part(u, CURLUPART_PATH, "/") || has_part(u, CURLUPART_QUERY, "") ||
	    has_part(u, CURLUPART_FRAGMENT, ""))
		return -EINVAL;
	return 0;
}
