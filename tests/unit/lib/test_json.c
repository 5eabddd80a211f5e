/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "lib/json.h"
#include "tests/unit/lib/support.h"

static json_t *parse(const char *text)
{
	struct err e = {0};
	json_t *o = json_parse_object(text, strlen(text), 4096, &e);

	ck_assert_msg(o, "%s: %s", text, e.text);
	return o;
}

static void refused(const char *text, size_t len, int code, const char *part)
{
	struct err e = {0};
	json_t *o = json_parse_object(text, len, 64, &e);

	ck_assert_msg(!o, "accepted: %.64s", text);
	assert_code(e.code, code, &e);
	assert_says(&e, part);
}

START_TEST(only_whole_objects)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "not valid JSON"},
		{"{", "not valid JSON"},
		{"[1]", "not an object"},
		{"null", "not valid JSON"},
		{"{} {}", "end of file expected"},
		{"{}x", "not valid JSON"},
		{"{\"a\":1,\"a\":2}", "duplicate"},
		{"{\"a\":01}", "not valid JSON"},
		{"{\"a\":9223372036854775808}", "too big integer"},
		{"{\"a\":1e999}", "real number overflow"},
		{"{\"a\":NaN}", "not valid JSON"},
		{"{'a':1}", "not valid JSON"},
		{"{\"a\":\"\\u0000\"}", "not valid JSON"},
		{"{\"a\":\"\xff\"}", "not valid JSON"},
		{"{\"a\":1,}", "not valid JSON"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refused(bad[i].text, strlen(bad[i].text), -EBADMSG, bad[i].says);
	refused("{}\0", 3, -EBADMSG, "not valid JSON");
	refused(NULL, 0, -EBADMSG, "not valid JSON");
	json_decref(parse(" {} \n"));
}
END_TEST

START_TEST(a_limit_of_bytes)
{
	char text[80];

	memset(text, ' ', sizeof(text));
	memcpy(text, "{}", 2);
	json_decref(json_parse_object(text, 64, 64, NULL));
	refused(text, 65, -EMSGSIZE, "at most 64");
}
END_TEST

START_TEST(depth_is_bounded)
{
	struct err e = {0};
	char text[20005];

	memset(text, '[', sizeof(text));
	memcpy(text, "{\"a\":", 5);
	ck_assert_ptr_null(json_parse_object(text, sizeof(text), sizeof(text), &e));
	assert_says(&e, "maximum parsing depth");
}
END_TEST

START_TEST(getters_give_what_is_there)
{
	_cleanup_json_ json_t *o =
		parse("{\"s\":\"abc\",\"n\":9223372036854775807,\"z\":0,\"t\":true,"
		      "\"f\":false,\"o\":{\"x\":1},\"a\":[1,2],\"nul\":null}");
	struct err e = {0};
	const char *s;
	json_t *v;
	uint64_t n;
	bool b;

	assert_ok(json_get_str(o, "s", 3, 3, &s, &e), &e);
	ck_assert_str_eq(s, "abc");
	assert_ok(json_get_u64(o, "n", INT64_MAX, &n, &e), &e);
	ck_assert_uint_eq(n, INT64_MAX);
	assert_ok(json_get_u64(o, "z", 0, &n, &e), &e);
	ck_assert_uint_eq(n, 0);
	assert_ok(json_get_bool(o, "t", &b, &e), &e);
	ck_assert(b);
	assert_ok(json_get_bool(o, "f", &b, &e), &e);
	ck_assert(!b);
	assert_ok(json_get_object(o, "o", &v, &e), &e);
	ck_assert_uint_eq(json_object_size(v), 1);
	assert_ok(json_get_array(o, "a", 2, &v, &e), &e);
	ck_assert_uint_eq(json_array_size(v), 2);
	assert_ok(json_get_opt_object(o, "o", &v, &e), &e);
	ck_assert_ptr_nonnull(v);
	assert_ok(json_get_opt_object(o, "nul", &v, &e), &e);
	ck_assert_ptr_null(v);
	assert_ok(json_get_opt_str(o, "none", 5, &s, &e), &e);
	ck_assert_ptr_null(s);
	assert_ok(json_get_opt_str(o, "s", 5, &s, &e), &e);
	ck_assert_str_eq(s, "abc");
}
END_TEST

/* Every getter on a member that is missing, null, or of each other type. */
START_TEST(getters_refuse_other_types)
{
	_cleanup_json_ json_t *o =
		parse("{\"null\":null,\"str\":\"1\",\"int\":1,\"real\":1.0,\"bool\":true,"
		      "\"obj\":{},\"arr\":[]}");
	static const char *const keys[] = {"null", "str", "int", "real",
					   "bool", "obj", "arr", "none"};
	struct err e = {0};
	const char *s;
	json_t *v;
	uint64_t n;
	bool b;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *k = keys[i];

		if (strcmp(k, "str") != 0)
			assert_code(json_get_str(o, k, 0, 9, &s, &e), -EBADMSG, &e);
		if (strcmp(k, "int") != 0)
			assert_code(json_get_u64(o, k, 9, &n, &e), -EBADMSG, &e);
		if (strcmp(k, "bool") != 0)
			assert_code(json_get_bool(o, k, &b, &e), -EBADMSG, &e);
		if (strcmp(k, "obj") != 0)
			assert_code(json_get_object(o, k, &v, &e), -EBADMSG, &e);
		if (strcmp(k, "arr") != 0)
			assert_code(json_get_array(o, k, 9, &v, &e), -EBADMSG, &e);
		assert_says(&e, k);
	}
	assert_code(json_get_opt_str(o, "int", 9, &s, &e), -EBADMSG, &e);
	assert_code(json_get_opt_object(o, "str", &v, &e), -EBADMSG, &e);
}
END_TEST

START_TEST(ranges_are_inclusive)
{
	_cleanup_json_ json_t *o = parse("{\"s\":\"abcd\",\"n\":10,\"m\":-1,\"a\":[1,2,3]}");
	struct err e = {0};
	const char *s;
	json_t *v;
	uint64_t n;

	assert_ok(json_get_str(o, "s", 4, 4, &s, &e), &e);
	assert_code(json_get_str(o, "s", 5, 9, &s, &e), -EBADMSG, &e);
	assert_code(json_get_str(o, "s", 0, 3, &s, &e), -EBADMSG, &e);
	assert_ok(json_get_u64(o, "n", 10, &n, &e), &e);
	assert_code(json_get_u64(o, "n", 9, &n, &e), -EBADMSG, &e);
	assert_says(&e, "\"n\" is 10, it must be from 0 to 9");
	assert_code(json_get_u64(o, "m", UINT64_MAX, &n, &e), -EBADMSG, &e);
	assert_ok(json_get_array(o, "a", 3, &v, &e), &e);
	assert_code(json_get_array(o, "a", 2, &v, &e), -EBADMSG, &e);
}
END_TEST

START_TEST(unknown_members_are_named)
{
	static const char *const keys[] = {"a", "b", NULL};
	_cleanup_json_ json_t *fine = parse("{\"b\":1}");
	_cleanup_json_ json_t *bad = parse("{\"a\":1,\"evil\":2}");
	struct err e = {0};

	assert_ok(json_only_keys(fine, keys, &e), &e);
	assert_code(json_only_keys(bad, keys, &e), -EBADMSG, &e);
	assert_says(&e, "\"evil\"");
}
END_TEST

START_TEST(text_comes_back)
{
	_cleanup_json_ json_t *o = parse("{ \"a\" : [ 1 , \"\\u00e9\" ] }");
	_cleanup_free_ char *text = json_text(o);

	ck_assert_str_eq(text, "{\"a\":[1,\"\xc3\xa9\"]}");
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("json");

	tcase_add_test(tc, only_whole_objects);
	tcase_add_test(tc, a_limit_of_bytes);
	tcase_add_test(tc, depth_is_bounded);
	tcase_add_test(tc, getters_give_what_is_there);
	tcase_add_test(tc, getters_refuse_other_types);
	tcase_add_test(tc, ranges_are_inclusive);
	tcase_add_test(tc, unknown_members_are_named);
	tcase_add_test(tc, text_comes_back);
	return run_tcase("json", tc);
}
