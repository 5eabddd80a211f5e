/* SPDX-License-Identifier: Apache-2.0 */
/* What curl gives to its callers, freed at the end of a scope. For the http_*.c files alone. */
#ifndef MOBILITY_HTTP_URL_H
#define MOBILITY_HTTP_URL_H

#include <curl/curl.h>

#include "lib/cleanup.h"

static inline void curl_freep(char **p)
{
	curl_free(*p);
}

static inline void url_freep(CURLU **p)
{
	curl_url_cleanup(*p);
}

#endif
