// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "agent/enroll.h"
#include "agent/request.h"
#include "lib/cleanup.h"
#include "tests/unit/agent/support.h"

static struct request q;

static int parse(const char *text, struct err *e)
{
	return request_parse(text, strlen(text), &q, e);
}

START_TEST(commands_are_understood)
{
	struct err e = {0};

	ck_assert_msg(
		!parse("{\"command\":\"enroll\",\"address\":\"[::1]:8443\",\"fingerprint\":\"sha256:0\","
		       "\"token\":\"secret\"}",
		       &e),
		"%s", e.text);
	ck_assert_int_eq(q.command, COMMAND_ENROLL);
	ck_assert_str_eq(q.host, "::1");
	ck_assert_uint_eq(q.port, 8443);
	ck_assert_str_eq(q.token, "secret");
	request_clear(&q);
	ck_assert_str_eq(q.token, "");

	ck_assert_int_eq(
		parse("{\"command\":\"protect\",\"disks\":[\"/dev/a\",\"/b\"],\"source\":\"kmod\"}\n",
		      &e),
		0);
	ck_assert_uint_eq(q.disk_count, 2);
	ck_assert_str_eq(q.disk[1], "/b");
	ck_assert_int_eq(q.source, SOURCE_KMOD);
	request_clear(&q);
	ck_assert_int_eq(parse("{\"command\":\"protect\",\"disks\":[\"/dev/a\"]}", &e), 0);
	ck_assert_int_eq(q.source, -1);
	request_clear(&q);

	ck_assert_int_eq(parse("{\"command\":\"bookmark\",\"timeout_ns\":5}", &e), 0);
	ck_assert_str_eq(q.name, "");
	ck_assert_uint_eq(q.timeout_ns, 5);
	ck_assert_int_eq(parse("{\"command\":\"bookmark\",\"timeout_ns\":5,\"name\":\"a-1_b.c\"}",
			       &e),
			 0);
	ck_assert_str_eq(q.name, "a-1_b.c");
	ck_assert(!q.app);
	ck_assert_int_eq(parse("{\"command\":\"bookmark\",\"timeout_ns\":5,\"app\":true}", &e), 0);
	ck_assert(q.app);
	ck_assert_int_eq(parse("{\"command\":\"writers\"}", &e), 0);
	ck_assert_int_eq(parse("{\"command\":\"status\"}", &e), 0);
	ck_assert_int_eq(parse("{\"command\":\"pause\"}", &e), 0);
	ck_assert_int_eq(parse("{\"command\":\"resume\"}", &e), 0);
}
END_TEST

START_TEST(nonsense_is_refused_with_a_reason)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"command\":7}",
		"{\"command\":\"format\"}",
		"{\"command\":\"status\",\"x\":1}",
		"{\"command\":\"status\"}{}",
		"{\"command\":\"status\",\"command\":\"pause\"}",
		"{\"command\":\"protect\"}",
		"{\"command\":\"protect\",\"disks\":[]}",
		"{\"command\":\"protect\",\"disks\":[\"/a\",7]}",
		"{\"command\":\"protect\",\"disks\":[\"/a\",\"\"]}",
		"{\"command\":\"protect\",\"disks\":[\"/a\"],\"source\":\"magic\"}",
		"{\"command\":\"unprotect\",\"disks\":[\"/a\"],\"source\":\"scan\"}",
		"{\"command\":\"bookmark\"}",
		"{\"command\":\"bookmark\",\"timeout_ns\":5,\"app\":1}",
		"{\"command\":\"writers\",\"app\":true}",
		"{\"command\":\"bookmark\",\"timeout_ns\":-1}",
		"{\"command\":\"bookmark\",\"timeout_ns\":1e18}",
		"{\"command\":\"bookmark\",\"timeout_ns\":1,\"name\":\"../x\"}",
		"{\"command\":\"bookmark\",\"timeout_ns\":1,\"name\":\"a b\"}",
		"{\"command\":\"enroll\",\"address\":\"h\",\"fingerprint\":\"f\"}",
		"{\"command\":\"enroll\",\"address\":\"https://h\",\"fingerprint\":\"f\",\"token\":\"t\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct err e = {0};

		ck_assert_msg(parse(bad[i], &e) < 0, "%s", bad[i]);
		ck_assert_msg(e.text[0], "%s", bad[i]);
		ck_assert_uint_eq(q.disk_count, 0);
	}
}
END_TEST

/* In the words of who typed it. */
START_TEST(bounds_of_a_bookmark)
{
	char text[512];
	struct err e;

	ck_assert_int_lt(parse("{\"command\":\"bookmark\",\"timeout_ns\":86400000000001}", &e), 0);
	ck_assert_msg(strstr(e.text, "at most 24h") != NULL, "%s", e.text);
	snprintf(text, sizeof(text),
		 "{\"command\":\"bookmark\",\"timeout_ns\":1,\"name\":\"%0127d\"}", 0);
	ck_assert_int_eq(parse(text, &e), 0);
	snprintf(text, sizeof(text),
		 "{\"command\":\"bookmark\",\"timeout_ns\":1,\"name\":\"%0128d\"}", 0);
	ck_assert_int_lt(parse(text, &e), 0);
	ck_assert_msg(strstr(e.text, "at most 127") != NULL, "%s", e.text);
}
END_TEST

START_TEST(too_many_disks)
{
	char text[4096] = "{\"command\":\"protect\",\"disks\":[\"/0\"";
	struct err e;

	for (int i = 0; i < REQUEST_DISKS_MAX; i++)
		strcat(text, ",\"/x\"");
	strcat(text, "]}");
	ck_assert_int_lt(parse(text, &e), 0);
}
END_TEST

START_TEST(addresses)
{
	static const struct {
		const char *text, *host;
		unsigned int port;
	} good[] = {
		{"h", "h", 443},
		{"h.example:1", "h.example", 1},
		{"10.0.2.2:65535", "10.0.2.2", 65535},
		{"::1", "::1", 443},
		{"[fe80::1]", "fe80::1", 443},
		{"[fe80::1]:99", "fe80::1", 99},
		{"a-b_c", "a-b_c", 443},
	};
	static const char *const bad[] = {"",	  "h:",	       "h:0", "h:65536", "h:1x",
					  "h:-1", "[::1",      "[]",  "[::1]x",	 "h/path",
					  "u@h",  "https://h", "h h", ":1"};
	static const char *const urls[] = {"https://127.0.0.2", "https://h:443",
					   "https://[::1]:443/", "h:443/"};
	unsigned int port;
	char host[256];
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_msg(!enroll_parse_address(good[i].text, host, &port, &e), "%s: %s",
			      good[i].text, e.text);
		ck_assert_str_eq(host, good[i].host);
		ck_assert_uint_eq(port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(enroll_parse_address(bad[i], host, &port, &e) == -EINVAL, "%s",
			      bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		ck_assert_int_eq(enroll_parse_address(urls[i], host, &port, &e), -EINVAL);
		ck_assert_msg(strstr(e.text, "without https://") != NULL, "%s", e.text);
	}
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("request");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, commands_are_understood);
	tcase_add_test(tc, nonsense_is_refused_with_a_reason);
	tcase_add_test(tc, bounds_of_a_bookmark);
	tcase_add_test(tc, too_many_disks);
	tcase_add_test(tc, addresses);
	return run_tcase("request", tc);
}
