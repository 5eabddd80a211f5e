// SPDX-License-Identifier: Apache-2.0
/* Which hosts are reached without the proxy, where libcurl cannot tell. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/http.h"
#include "lib/http_proxy.h"
#include "tests/unit/lib/support.h"
#include "tests/unit/run_tcase.h"

START_TEST(what_the_proxy_is_not_for)
{
	static const char *const lists[] = {"fd00:1:2::/47",	"a.example,[fd00:1:3::9]",
					    "FD00:1:3:0::0009", "10.0.0.0/8, fd00:1:3::/64",
					    "[fd00:1:3::]/64",	"::/0",
					    "fd00:1:3::9/128 b"};
	static const char *const others[] = {"",
					     "fd00:1:2::/48",
					     "fd00:1:3::8",
					     "fd00:1:3::/129",
					     "fd00:1:3::/",
					     "fd00:1:3::/6x",
					     "10.0.0.0/8",
					     "[fd00:1:3::9",
					     ".example,,/8,["};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		ck_assert_msg(http_proxy_spared(lists[i], "https://[fd00:1:3::9]:443/x"), "%s",
			      lists[i]);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		ck_assert_msg(!http_proxy_spared(others[i], "https://[fd00:1:3::9]:443/x"), "%s",
			      others[i]);
	ck_assert(!http_proxy_spared("::/0", "https://10.1.2.3/"));
	ck_assert(!http_proxy_spared("::/0", "https://a.example/"));
	ck_assert(!http_proxy_spared("::/0", "no URL"));
}
END_TEST

START_TEST(what_a_proxy_is)
{
	static const char *const good[] = {"http://proxy:3128", "http://proxy:80",
					   "http://user:pass@[::1]:8080", "http://10.1.2.3:1080/"};
	static const char *const bad[] = {"http://proxy",
					  "http://user:pass@proxy",
					  "http://proxy:",
					  "https://proxy:3128",
					  "proxy:3128",
					  "http://proxy:3128/path",
					  ""};

	char text[300], name[255];

	memset(name, 'a', sizeof(name));
	for (int n = 253; n < 255; n++) {
		snprintf(text, sizeof(text), "http://%.*s:3128", n, name);
		ck_assert_int_eq(http_check_proxy(text), n == 253 ? 0 : -EINVAL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(!http_check_proxy(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(http_check_proxy(bad[i]) == -EINVAL, "%s", bad[i]);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("http_proxy");

	tcase_add_test(t, what_the_proxy_is_not_for);
	tcase_add_test(t, what_a_proxy_is);
	return run_tcase("http_proxy", t);
}
