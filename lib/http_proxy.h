/* SPDX-License-Identifier: Apache-2.0 */
/* Who is reached without the proxy. For http.c alone; pure, for any thread. */
#ifndef MOBILITY_HTTP_PROXY_H
#define MOBILITY_HTTP_PROXY_H

#include <stdbool.h>

/*
 * Is the URL's host an IPv6 address that the list of struct http_config's no_proxy has, itself (with
 * brackets or without) or a network of it? libcurl 7.88 finds only an address that is written the same
 * way, and no network; for all other hosts its own answer is right.
 */
bool http_proxy_spared(const char *no_proxy, const char *url);

#endif
