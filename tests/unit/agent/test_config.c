// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "agent/config.h"
#include "include/mobility/wire.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "tests/unit/agent/support.h"

START_TEST(fallbacks)
{
	struct config c;
	struct err e;

	test_write(test_path("c"), "");
	ck_assert_int_eq(config_load(test_path("c"), &c, &e), 0);
	ck_assert_str_eq(c.state_dir, "/var/lib/mobility");
	ck_assert_str_eq(c.socket, "/run/mobility/mobilityd.sock");
	ck_assert_int_eq(c.log_level, LOG_LEVEL_INFO);
	ck_assert_int_eq(c.source, SOURCE_AUTO);
	ck_assert_uint_eq(c.workers, 2);
	ck_assert_int_eq(c.compression, WIRE_CODEC_ZSTD);
	ck_assert_uint_eq(c.min_epoch_interval, NSEC_PER_SEC);
	ck_assert_uint_eq(c.scan_interval, 60 * NSEC_PER_SEC);
	ck_assert_ptr_null(c.proxy);
	ck_assert_uint_eq(c.verify_rate, 0);
	/* some time of every week, wherever the test runs */
	ck_assert_uint_ne(window_next(&c.resync_window, 1795392000 * NSEC_PER_SEC), UINT64_MAX);
	config_clear(&c);
	test_write(test_path("c"), "[replication]\nresync_window = Mon-\n");
	ck_assert_int_eq(config_load(test_path("c"), &c, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "resync_window"));
	ck_assert_ptr_nonnull(strstr(e.text, "always, never, or times"));
	ck_assert_ptr_nonnull(strstr(e.text, "a day"));
	ck_assert_int_lt(config_load(test_path("absent"), &c, &e), 0);
	config_clear(&c);
}
END_TEST

START_TEST(values)
{
	struct config c;
	struct err e = {0};

	test_write(test_path("c"),
		   "[agent]\nstate_dir = /s\nlog_level=debug\n[replication]\nsource=scan\n"
		   "workers=16\ncompression=zlib\ncompression_level=6\nmin_epoch_interval=250ms\n"
		   "[network]\nproxy=http://p:1\nstall_timeout=5s\n");
	ck_assert_msg(!config_load(test_path("c"), &c, &e), "%s", e.text);
	ck_assert_str_eq(c.state_dir, "/s");
	ck_assert_int_eq(c.log_level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(c.source, SOURCE_SCAN);
	ck_assert_uint_eq(c.workers, 16);
	ck_assert_int_eq(c.compression, WIRE_CODEC_ZLIB);
	ck_assert_uint_eq(c.compression_level, 6);
	ck_assert_uint_eq(c.min_epoch_interval, NSEC_PER_SEC / 4);
	ck_assert_uint_eq(c.stall_timeout, 5 * NSEC_PER_SEC);
	ck_assert_str_eq(c.proxy, "http://p:1");
	config_clear(&c);
}
END_TEST

START_TEST(mistakes_are_named)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"[agent]\nstatedir=/x\n", "statedir"},
		{"[agnet]\nstate_dir=/x\n", "agnet"},
		{"[agent]\nstate_dir=x\n", "absolute path"},
		{"[replication]\nworkers=0\n", "1 to 16"},
		{"[replication]\nworkers=17\n", "1 to 16"},
		{"[replication]\nsource=magic\n", "auto, kmod or scan"},
		{"[replication]\ncompression=lz4\n", "zstd, zlib or none"},
		{"[replication]\nmin_epoch_interval=1\n", "100ms to 1h"},
		{"[replication]\nscan_interval=10ms\n", "1s to 7d"},
		{"[network]\nconnect_timeout=soon\n", "1s to 10m"},
		{"[agent]\nlog_level=info\nlog_level=debug\n", "log_level"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct config c;
		struct err e = {0};

		test_write(test_path("c"), bad[i].text);
		ck_assert_msg(config_load(test_path("c"), &c, &e) < 0, "%s", bad[i].text);
		ck_assert_msg(strstr(e.text, bad[i].says) && strstr(e.text, "/c:"), "%s", e.text);
		config_clear(&c);
	}
}
END_TEST

/* 16 MiB in an hour is the least that is ever verified at once. */
START_TEST(a_verify_rate_does_something)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {{"0", 0}, {"1", -EINVAL}, {"8191", -EINVAL}, {"8K", 0}, {"1T", 0}};
	struct config c;
	char text[80];
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "[replication]\nverify_rate=%s\n", cases[i].text);
		test_write(test_path("c"), text);
		ck_assert_msg(config_load(test_path("c"), &c, &e) == cases[i].code, "%s", text);
		if (cases[i].code)
			ck_assert_ptr_nonnull(strstr(e.text, "\"verify_rate\"; expected bytes a "
							     "second, 8K to 1T, or 0"));
		config_clear(&c);
	}
}
END_TEST

START_TEST(a_proxy_is_as_libcurl_takes_it)
{
	static const char *const good[] = {"http://proxy.example:3128", "http://proxy.example:1/",
					   "http://user:s3cr%2Fet@[::1]:3128"};
	static const char *const bad[] = {"socks5://user:s3cret@proxy.example:3128",
					  "http://user:s3cr/et@proxy.example:3128",
					  "http://user:s3cr#et@proxy.example:3128",
					  "http://user:s3cr?et@proxy.example:3128",
					  "http://user:1/s3cret@proxy.example:3128",
					  "http://user:1#s3cret@proxy.example:3128",
					  "http://user:1?s3cret@proxy.example:3128",
					  "http://user:s3cr@et@proxy.example:3128",
					  "http://user:s3cret@proxy.example:port",
					  "http://user:s3cret@proxy.example:99999",
					  "http://user:s3cr et@proxy.example:3128",
					  "http://user:s3cr%00et@proxy.example:1",
					  "http://user:s3cret@"};
	char text[200];
	struct config c;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text), "[network]\nproxy=%s\n", good[i]);
		test_write(test_path("c"), text);
		ck_assert_msg(!config_load(test_path("c"), &c, &e), "%s", e.text);
		ck_assert_str_eq(c.proxy, good[i]);
		config_clear(&c);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "[network]\nproxy=%s\n", bad[i]);
		test_write(test_path("c"), text);
		ck_assert_msg(config_load(test_path("c"), &c, &e) == -EINVAL, "%s", text);
		ck_assert_msg(!strstr(e.text, "s3cr") && !strstr(e.text, "et@"), "%s", e.text);
		ck_assert_msg(strstr(e.text, "\"proxy\"; expected http://[") != NULL, "%s", e.text);
	}
}
END_TEST

START_TEST(choices)
{
	for (int s = SOURCE_AUTO; s <= SOURCE_SCAN; s++)
		ck_assert_int_eq(source_choice_parse(source_choice_name((enum source_choice)s)), s);
	ck_assert_int_eq(source_choice_parse("none"), -EINVAL);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("config");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, fallbacks);
	tcase_add_test(tc, values);
	tcase_add_test(tc, mistakes_are_named);
	tcase_add_test(tc, a_proxy_is_as_libcurl_takes_it);
	tcase_add_test(tc, a_verify_rate_does_something);
	tcase_add_test(tc, choices);
	return run_tcase("config", tc);
}
