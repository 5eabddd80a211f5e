/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/conf.h"
#include "tests/unit/lib/support.h"

struct settings {
	char *dir, *proxy, *no_proxy, *name;
	uint64_t workers, budget, interval;
	bool strict;
	int source;
};

static const char *const sources[] = {"auto", "kmod", "scan", NULL};

#define AT(member) offsetof(struct settings, member)
static const struct conf_key keys[] = {
	{"agent", "state_dir", CONF_PATH, AT(dir), 1, 100, NULL, "/var/lib/x", "an absolute path"},
	{"agent", "name", CONF_STRING, AT(name), 2, 5, NULL, "abc", "2 to 5 characters"},
	{"replication", "workers", CONF_U64, AT(workers), 1, 16, NULL, "2",
	 "a number from 1 to 16"},
	{"replication", "budget", CONF_SIZE, AT(budget), 16 << 20, 1 << 30, NULL, "64M",
	 "a size from 16M to 1G"},
	{"replication", "interval", CONF_DURATION, AT(interval), 1, 0, NULL, "1s", "a duration"},
	{"replication", "strict", CONF_BOOL, AT(strict), 0, 0, NULL, "yes", "yes or no"},
	{"replication", "source", CONF_CHOICE, AT(source), 0, 0, sources, "auto",
	 "auto, kmod or scan"},
	{"network", "proxy", CONF_SECRET, AT(proxy), 0, 30, NULL, NULL, "a URL"},
	{"network", "no_proxy", CONF_STRING, AT(no_proxy), 0, 1024, NULL, NULL, "hosts"},
	{0},
};

static struct settings s;

static int load(const char *text, size_t len, struct err *e)
{
	_cleanup_fclose_ FILE *f = fmemopen((char *)text, len, "r");

	ck_assert_ptr_nonnull(f);
	memset(&s, 0, sizeof(s));
	return conf_read(f, "x.conf", keys, &s, e);
}

START_TEST(absent_file_gives_defaults)
{
	struct err e = {0};

	memset(&s, 0, sizeof(s));
	assert_ok(conf_load(temp_path("absent.conf"), false, keys, &s, &e), &e);
	ck_assert_str_eq(s.dir, "/var/lib/x");
	ck_assert_str_eq(s.name, "abc");
	ck_assert_ptr_null(s.proxy);
	ck_assert_uint_eq(s.workers, 2);
	ck_assert_uint_eq(s.budget, 64 << 20);
	ck_assert_uint_eq(s.interval, NSEC_PER_SEC);
	ck_assert(s.strict);
	ck_assert_int_eq(s.source, 0);
	conf_clear(keys, &s);
	ck_assert_ptr_null(s.dir);
	assert_code(conf_load(temp_path("absent.conf"), true, keys, &s, &e), -ENOENT, &e);
	assert_says(&e, "absent.conf");
	assert_code(conf_load(temp_dir(), false, keys, &s, &e), -EISDIR, &e);
}
END_TEST

START_TEST(every_kind_of_value)
{
	static const char text[] = "# a comment\n"
				   "[agent]\n"
				   "state_dir = /srv/state\n"
				   "name: four\n"
				   "\n"
				   "[replication]\n"
				   "\tworkers = 16 ; the most\n"
				   "budget=1G\r\n"
				   "interval = 500ms\n"
				   "strict = off\n"
				   "source = scan\n"
				   "[network]\n"
				   "proxy = http://u:p@h:1/";
	struct err e = {0};

	assert_ok(load(text, sizeof(text) - 1, &e), &e);
	ck_assert_str_eq(s.dir, "/srv/state");
	ck_assert_str_eq(s.name, "four");
	ck_assert_str_eq(s.proxy, "http://u:p@h:1/");
	ck_assert_uint_eq(s.workers, 16);
	ck_assert_uint_eq(s.budget, 1 << 30);
	ck_assert_uint_eq(s.interval, 500000000);
	ck_assert(!s.strict);
	ck_assert_int_eq(s.source, 2);
	conf_clear(keys, &s);
}
END_TEST

START_TEST(an_empty_value_is_no_string)
{
	static const char text[] = "[network]\nproxy =\n";
	struct err e = {0};

	assert_ok(load(text, sizeof(text) - 1, &e), &e);
	ck_assert_ptr_null(s.proxy);
	conf_clear(keys, &s);
}
END_TEST

static const struct {
	const char *text, *says;
	int code;
} bad[] = {
	{"[agent]\n\nstate = /x\n", "x.conf:3: unknown key \"state\"", -EINVAL},
	{"\n[agnet]\n", "x.conf:2: unknown section \"agnet\"", -EINVAL},
	{"[agnet]\nname = abc\n", "x.conf:1: unknown section \"agnet\"", -EINVAL},
	{"[]\nname = abc\n", "x.conf:1: unknown section \"\"", -EINVAL},
	{"name = abc\n", "x.conf:1: key before any section \"name\"", -EINVAL},
	{"[agent]\nname = abc\nname = def\n",
	 "x.conf:3: repeated key \"name\"; expected it once, and line 2 has it", -EEXIST},
	{"[agent]\nname = abc\n[network]\n[agent]\nname=abc", "x.conf:5: repeated key", -EEXIST},
	{"[agent]\nname = abc\n  name = def\n", "x.conf:3: repeated key", -EEXIST},
	{"[agent]\nname = a\n", "x.conf:2: bad value \"a\" for \"name\"; expected 2 to 5", -EINVAL},
	{"[agent]\nname = abcdef\n", "x.conf:2: bad value", -EINVAL},
	{"[agent]\nname =\n", "x.conf:2: bad value \"\"", -EINVAL},
	{"[agent]\nstate_dir = relative\n", "expected an absolute path", -EINVAL},
	{"[agent]\nstate_dir\n", "x.conf:2: neither a [section]", -EINVAL},
	{"[agent\nname = abc\n", "x.conf:1: neither a [section]", -EINVAL},
	{"[replication]\nworkers = 0\n", "expected a number from 1 to 16", -EINVAL},
	{"[replication]\nworkers = 17\n", "x.conf:2: bad value \"17\"", -EINVAL},
	{"[replication]\nworkers = -1\n", "x.conf:2: bad value", -EINVAL},
	{"[replication]\nworkers = 2x\n", "x.conf:2: bad value", -EINVAL},
	{"[replication]\nworkers = 99999999999999999999\n", "x.conf:2: bad value", -EINVAL},
	{"[replication]\nbudget = 16\n", "expected a size from 16M to 1G", -EINVAL},
	{"[replication]\nbudget = 2G\n", "x.conf:2: bad value \"2G\"", -EINVAL},
	{"[replication]\nbudget = 64 M\n", "x.conf:2: bad value", -EINVAL},
	{"[replication]\ninterval = 5\n", "expected a duration", -EINVAL},
	{"[replication]\ninterval = 0\n", "x.conf:2: bad value \"0\"", -EINVAL},
	{"[replication]\nstrict = maybe\n", "expected yes or no", -EINVAL},
	{"[replication]\nsource = Auto\n", "expected auto, kmod or scan", -EINVAL},
};

START_TEST(bad_files_name_the_line)
{
	struct err e = {0};

	assert_code(load(bad[_i].text, strlen(bad[_i].text), &e), bad[_i].code, &e);
	assert_says(&e, bad[_i].says);
	ck_assert_ptr_null(s.dir);
	ck_assert_int_eq(load(bad[_i].text, strlen(bad[_i].text), NULL), bad[_i].code);
}
END_TEST

START_TEST(a_secret_is_not_shown)
{
	struct err e = {0};
	const char *text = "[network]\nproxy = http://user:s3cret@a.long.name.example:3128\n";

	assert_code(load(text, strlen(text), &e), -EINVAL, &e);
	assert_says(&e, "x.conf:2: bad value for \"proxy\"; expected a URL");
	ck_assert_ptr_null(strstr(e.text, "s3cret"));
}
END_TEST

START_TEST(nothing_is_cut_off)
{
	struct err e = {0};

	assert_code(load("[agent]\nname = ab\0c\n", 19, &e), -EINVAL, &e);
	assert_says(&e, "x.conf:2: a line with a 0 byte: \"\"");
}
END_TEST

/* inih itself would cut a line off after 199 characters. */
START_TEST(lines_may_be_long)
{
	_cleanup_free_ char *text = NULL;
	struct err e = {0};
	int n = asprintf(
		&text,
		"# %0300d\n[network] ; %0300d\n\tno_proxy \t=  a;b:=%0900d.example \t; %0300d\r\n"
		"[agent]\nname = %0300d\n",
		1, 2, 3, 4, 5);

	assert_code(load(text, (size_t)n, &e), -EINVAL, &e);
	assert_says(&e, "x.conf:5: bad value \"0000");
	*strstr(text, "[agent]") = 0;
	assert_ok(load(text, strlen(text), &e), &e);
	ck_assert_uint_eq(strlen(s.no_proxy), 5 + 900 + 8);
	ck_assert_int_eq(strncmp(s.no_proxy, "a;b:=0", 6), 0);
	ck_assert_str_eq(s.no_proxy + 5 + 899, "3.example");
	conf_clear(keys, &s);
}
END_TEST

START_TEST(a_long_line_without_a_value)
{
	char text[400];
	struct err e = {0};
	int n = snprintf(text, sizeof(text), "[agent]\nk%0300d = 1\n", 1);

	assert_code(load(text, (size_t)n, &e), -EINVAL, &e);
	assert_says(&e, "x.conf:2: neither a [section], nor a key = value");
}
END_TEST

START_TEST(the_first_error_is_told)
{
	static const char text[] = "[agent]\nname = x\nother = 1\n[bad]\n";
	struct err e = {0};

	assert_code(load(text, sizeof(text) - 1, &e), -EINVAL, &e);
	assert_says(&e, "x.conf:2: ");
}
END_TEST

static int even(const struct conf_key *k, void *target, struct err *why)
{
	const struct settings *x = target;

	if (!strcmp(k->key, "proxy"))
		return x->proxy ? -EINVAL : 0;
	if (strcmp(k->key, "workers") != 0 || x->workers % 2 == 0)
		return 0;
	return err_set(why, -EINVAL, "%llu is odd", (unsigned long long)x->workers);
}

START_TEST(what_the_table_cannot_say)
{
	static const char text[] = "[replication]\n\nworkers = 3\n",
			  secret[] = "[network]\nproxy = s3cret\n";
	static const struct conf_key odd[] = {
		{"replication", "workers", CONF_U64, AT(workers), 1, 16, NULL, "3", NULL},
		{0},
	};
	_cleanup_fclose_ FILE *f = fmemopen((char *)text, strlen(text), "r");
	_cleanup_fclose_ FILE *g = fmemopen((char *)secret, strlen(secret), "r");
	struct err e = {0};

	memset(&s, 0, sizeof(s));
	assert_code(conf_read_checked(f, "x.conf", keys, even, &s, &e), -EINVAL, &e);
	assert_says(&e, "x.conf:3: bad value \"3\" for \"workers\"; expected a number from 1 to "
			"16: 3 is odd");
	assert_code(conf_read_checked(g, "x.conf", keys, even, &s, &e), -EINVAL, &e);
	assert_says(&e, "x.conf:2: bad value for \"proxy\"; expected a URL");
	assert_code(conf_read_checked(NULL, "x", odd, even, &s, &e), -EINVAL, &e);
	assert_says(&e, "default \"3\" of key \"workers\"");
}
END_TEST

START_TEST(a_bad_default_is_a_failure)
{
	static const struct conf_key wrong[] = {
		{"a", "ok", CONF_STRING, AT(dir), 0, 0, NULL, "x", NULL},
		{"a", "b", CONF_U64, AT(workers), 5, 9, NULL, "1", NULL},
		{0},
	};
	struct err e = {0};

	memset(&s, 0, sizeof(s));
	assert_code(conf_read(NULL, "x", wrong, &s, &e), -EINVAL, &e);
	assert_says(&e, "default \"1\" of key \"b\"");
	ck_assert_ptr_null(s.dir);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("conf");

	temp_dir();
	tcase_add_test(tc, absent_file_gives_defaults);
	tcase_add_test(tc, every_kind_of_value);
	tcase_add_test(tc, an_empty_value_is_no_string);
	tcase_add_loop_test(tc, bad_files_name_the_line, 0, (int)ARRAY_SIZE(bad));
	tcase_add_test(tc, a_secret_is_not_shown);
	tcase_add_test(tc, nothing_is_cut_off);
	tcase_add_test(tc, lines_may_be_long);
	tcase_add_test(tc, a_long_line_without_a_value);
	tcase_add_test(tc, the_first_error_is_told);
	tcase_add_test(tc, what_the_table_cannot_say);
	tcase_add_test(tc, a_bad_default_is_a_failure);
	return run_tcase("conf", tc);
}
