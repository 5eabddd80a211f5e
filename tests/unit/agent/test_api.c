// SPDX-License-Identifier: Apache-2.0
/* What the agent understands of answers, old and new: the requests themselves are in the flow tests. */
/* wraps: api_json http_request */
#include "agent/api_http.h"

#include <errno.h>
#include <string.h>

#include "include/mobility/wire.h"
#include "tests/unit/agent/support.h"

#define MACHINE(more)                                                                                 \
	"{\"machine\": \"6b1d9c6e-9a9d-4c38-8a36-7b6f5d7a0c11\", \"hostname\": \"h\", \"epoch\": 7, " \
	"\"open\": null, \"disks\": [], \"last_point\": null, \"time\": 5" more "}"

#define ALL (1u << WIRE_CODEC_NONE | 1u << WIRE_CODEC_ZLIB | 1u << WIRE_CODEC_ZSTD)

static const char *answer_text;

int __wrap_api_json(struct api *a, const char *method, bool data, const char *path,
		    const json_t *body, json_t **answer, struct err *e);

int __wrap_api_json(struct api *a, const char *method, bool data, const char *path,
		    const json_t *body, json_t **answer, struct err *e)
{
	(void)a, (void)method, (void)data, (void)path, (void)body;
	*answer = json_parse_object(answer_text, strlen(answer_text), 1 << 20, e);
	ck_assert_ptr_nonnull(*answer);
	return 0;
}

static const struct {
	const char *answer;
	uint16_t version;
	uint32_t codecs;
} dialects[] = {
	/* From before there was anything to choose. */
	{MACHINE(""), WIRE_VERSION_OLD, ALL},
	{MACHINE(", \"segment_versions\": [1, 2], \"codecs\": [\"none\", \"zlib\", \"zstd\"]"),
	 WIRE_VERSION, ALL},
	{MACHINE(", \"segment_versions\": [1], \"codecs\": [\"none\"]"), WIRE_VERSION_OLD,
	 1u << WIRE_CODEC_NONE},
	/* Of newer ones, what both know. */
	{MACHINE(", \"segment_versions\": [2, 3], \"codecs\": [\"none\", \"zstd\", \"zstd2\", 4]"),
	 WIRE_VERSION, 1u << WIRE_CODEC_NONE | 1u << WIRE_CODEC_ZSTD},
	/* One of the two, or nothing in them. */
	{MACHINE(", \"segment_versions\": [2]"), WIRE_VERSION, ALL},
	{MACHINE(", \"codecs\": [\"zlib\"]"), WIRE_VERSION_OLD,
	 1u << WIRE_CODEC_NONE | 1u << WIRE_CODEC_ZLIB},
	{MACHINE(", \"segment_versions\": [], \"codecs\": []"), WIRE_VERSION_OLD,
	 1u << WIRE_CODEC_NONE},
	{MACHINE(", \"segment_versions\": [\"2\", null]"), WIRE_VERSION_OLD, ALL},
};

START_TEST(both_speak_what_both_know)
{
	struct remote_machine m;
	struct err e = {0};

	answer_text = dialects[_i].answer;
	ck_assert_msg(!api_machine(NULL, &m, &e), "%s", e.text);
	ck_assert_uint_eq(m.epoch, 7);
	ck_assert_uint_eq(m.dialect.segment_version, dialects[_i].version);
	ck_assert_uint_eq(m.dialect.codecs, dialects[_i].codecs);
	api_machine_clear(&m);
}
END_TEST

START_TEST(what_is_no_list_is_refused)
{
	static const char *const bad[] = {MACHINE(", \"segment_versions\": 2"),
					  MACHINE(", \"codecs\": \"zstd\""),
					  MACHINE(", \"codecs\": {\"zstd\": 1}")};
	struct remote_machine m;
	struct err e = {0};

	answer_text = bad[_i];
	ck_assert_int_eq(api_machine(NULL, &m, &e), -EPROTO);
	ck_assert_ptr_nonnull(strstr(e.text, "is not a list"));
}
END_TEST

START_TEST(an_epoch_of_an_old_appliance_tells_not_what_it_follows)
{
	struct opened o = {0};
	struct err e = {0};

	answer_text = "{\"epoch\": 9}";
	ck_assert_int_eq(api_open_epoch(NULL, "an-attempt", &o, &e), 0);
	ck_assert_uint_eq(o.epoch, 9);
	ck_assert(!o.has_committed);
	answer_text = "{\"epoch\": 10, \"committed\": 0, \"later\": true}";
	ck_assert_int_eq(api_open_epoch(NULL, "an-attempt", &o, &e), 0);
	ck_assert(o.has_committed);
	ck_assert_uint_eq(o.committed, 0);
	answer_text = "{\"epoch\": 10, \"committed\": \"8\"}";
	ck_assert_int_eq(api_open_epoch(NULL, "an-attempt", &o, &e), -EPROTO);
}
END_TEST

static int http_result;

int __wrap_http_request(struct http *h, const char *method, const char *url,
			const char *content_type, const void *body, size_t len, size_t max_answer,
			struct http_response *r, struct err *e);

int __wrap_http_request(struct http *h, const char *method, const char *url,
			const char *content_type, const void *body, size_t len, size_t max_answer,
			struct http_response *r, struct err *e)
{
	(void)h, (void)content_type, (void)body, (void)len, (void)max_answer, (void)r;
	return err_set(e, http_result, "%s %s failed", method, url);
}

/* What is wrong with our own files is not the appliance's absence, and no reason to send the same again. */
START_TEST(nobody_there_or_our_own_fault)
{
	static const struct {
		int from, to;
	} cases[] = {{-ECONNREFUSED, -EHOSTDOWN}, {-ETIMEDOUT, -EHOSTDOWN},
		     {-EPROTO, -EHOSTDOWN},	  {-EKEYREJECTED, -EKEYREJECTED},
		     {-ENOKEY, -ENOKEY},	  {-ECANCELED, -ECANCELED}};
	struct api a = {.control = "https://a"};
	struct api_call c = {.method = "GET", .path = "/"};
	struct http_response r;
	struct err e;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		http_result = cases[i].from;
		ck_assert_int_eq(api_request(&a, &c, &r, &e), cases[i].to);
		ck_assert_int_eq(e.code, cases[i].to);
		ck_assert_str_eq(e.text, "GET https://a/ failed");
	}
	ck_assert(api_final(-ENOKEY));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("api");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, both_speak_what_both_know, 0, sizeof(dialects) / sizeof(*dialects));
	tcase_add_loop_test(tc, what_is_no_list_is_refused, 0, 3);
	tcase_add_test(tc, an_epoch_of_an_old_appliance_tells_not_what_it_follows);
	tcase_add_test(tc, nobody_there_or_our_own_fault);
	return run_tcase("api", tc);
}
