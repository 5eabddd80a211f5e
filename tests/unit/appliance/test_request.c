/* SPDX-License-Identifier: Apache-2.0 */
/* Paths, bodies and limits of requests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/body.h"
#include "appliance/listen.h"
#include "appliance/names.h"
#include "appliance/refusals.h"
#include "appliance/router.h"
#include "appliance/upload.h"
#include "tests/unit/appliance/helpers.h"

static const struct {
	const char *method, *path;
	enum listener listener;
	const char *route; /* NULL: refused with code */
	enum api_code code;
} paths[] = {
	{"GET", "/v1/ca", LISTENER_CONTROL, "/v1/ca", API_OK},
	{"GET", "/v1/ca", LISTENER_DATA, NULL, API_NOT_FOUND},
	{"PUT", "/v1/ca", LISTENER_CONTROL, NULL, API_METHOD},
	{"GET", "/v1/ca/", LISTENER_CONTROL, NULL, API_NOT_FOUND},
	{"GET", "/v1/c", LISTENER_CONTROL, NULL, API_NOT_FOUND},
	{"GET", "", LISTENER_CONTROL, NULL, API_NOT_FOUND},
	{"GET", "/v1/disks/" DISK, LISTENER_CONTROL, "/v1/disks/{d}", API_OK},
	{"GET", "/v1/disks/" DISK, LISTENER_DATA, "/v1/disks/{d}", API_OK},
	{"DELETE", "/v1/disks/" DISK, LISTENER_CONTROL, "/v1/disks/{d}", API_OK},
	{"DELETE", "/v1/disks/" DISK, LISTENER_DATA, NULL, API_METHOD},
	{"GET", "/v1/disks/" DISK "0", LISTENER_DATA, NULL, API_NOT_FOUND},
	{"GET", "/v1/disks/00000000-0000-4000-8000-0000000000D1", LISTENER_DATA, NULL,
	 API_NOT_FOUND},
	{"GET", "/v1/disks/../machine", LISTENER_DATA, NULL, API_NOT_FOUND},
	{"GET", "/v1/disks/", LISTENER_DATA, NULL, API_NOT_FOUND},
	{"PUT", "/v1/disks/" DISK "/epochs/7/segments/4294967295", LISTENER_DATA,
	 "/v1/disks/{d}/epochs/{e}/segments/{n}", API_OK},
	{"PUT", "/v1/disks/" DISK "/epochs/7/segments/4294967296", LISTENER_DATA, NULL,
	 API_NOT_FOUND},
	{"PUT", "/v1/disks/" DISK "/epochs/07/segments/1", LISTENER_DATA, NULL, API_NOT_FOUND},
	{"PUT", "/v1/disks/" DISK "/epochs/+7/segments/1", LISTENER_DATA, NULL, API_NOT_FOUND},
	{"PUT", "/v1/disks/" DISK "/epochs//segments/1", LISTENER_DATA, NULL, API_NOT_FOUND},
	{"PUT", "/v1/disks/" DISK "/epochs/99999999999999999999/segments/1", LISTENER_DATA, NULL,
	 API_NOT_FOUND},
	{"POST", "/v1/epochs/9223372036854775807/commit", LISTENER_DATA, "/v1/epochs/{e}/commit",
	 API_OK},
	{"POST", "/v1/epochs/9223372036854775808/commit", LISTENER_DATA, NULL, API_NOT_FOUND},
};

START_TEST(routes)
{
	struct request r = {.method = paths[_i].method,
			    .path = paths[_i].path,
			    .listener = paths[_i].listener};
	const struct route *found = router_find(&r);

	if (paths[_i].route) {
		ck_assert_ptr_nonnull(found);
		ck_assert_str_eq(found->path, paths[_i].route);
		ck_assert_str_eq(found->method, paths[_i].method);
	} else {
		ck_assert_ptr_null(found);
		ck_assert_int_eq(r.reply.code, paths[_i].code);
	}
	reply_clear(&r.reply);
}
END_TEST

START_TEST(path_parts)
{
	struct request r = {.method = "PUT",
			    .path = "/v1/disks/" DISK "/epochs/18/segments/44",
			    .listener = LISTENER_DATA};

	ck_assert_ptr_nonnull(router_find(&r));
	ck_assert_str_eq(r.disk, DISK);
	ck_assert_uint_eq(r.epoch, 18);
	ck_assert_uint_eq(r.segment, 44);
}
END_TEST

#define DISK_BODY "{\"key\":\"path:/x\",\"name\":\"vda\",\"size\":512,\"granule\":4096}"

static const struct {
	const char *text;
	bool good;
} disk_bodies[] = {
	{DISK_BODY, true},
	{"", false},
	{"[]", false},
	{"{}", false},
	{DISK_BODY " ", true},
	{DISK_BODY "{}", false},
	{"{\"key\":\"\",\"name\":\"vda\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"v/a\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"..\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"a\\u001bb\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"a\\u007fb\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"a\\u0080b\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"a\\u009f\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\\u009b2J\",\"name\":\"a\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"a\\u00a0\\u00dbb\",\"size\":512,\"granule\":4096}", true},
	{"{\"key\":\"a\",\"name\":\"a\\u0000b\",\"size\":512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"vda\",\"size\":513,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"vda\",\"size\":0,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"vda\",\"size\":-512,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"vda\",\"size\":512.0,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"vda\",\"size\":99999999999999999999,\"granule\":4096}", false},
	{"{\"key\":\"a\",\"name\":\"vda\",\"size\":512,\"granule\":3000}", false},
	{"{\"key\":\"a\",\"name\":\"vda\",\"size\":512,\"granule\":4096,\"more\":1}", false},
	{"{\"key\":\"a\",\"key\":\"a\",\"name\":\"vda\",\"size\":512,\"granule\":4096}", false},
};

START_TEST(disk_body)
{
	struct body_disk b;
	struct err e;
	const char *text = disk_bodies[_i].text;
	int rc = body_disk(text, strlen(text), &b, &e);

	ck_assert_msg((rc == 0) == disk_bodies[_i].good, "%s", text);
	ck_assert(rc == 0 || (rc == -EBADMSG && e.text[0]));
}
END_TEST

#define HEAD                                                                                       \
	"{\"attempt\":\"11111111-0000-4000-8000-000000000001\",\"boundary\":5,"                    \
	"\"consistency\":\"crash\",\"reason\":\"\","
#define ONE                                                                                        \
	"{\"disk\":\"" DISK "\",\"segments\":1,\"state\":\"protected\",\"replicated\":512,"        \
	"\"source\":\"scan\"}"
#define TWO                                                                                        \
	"{\"disk\":\"00000000-0000-4000-8000-0000000000d0\",\"segments\":0,\"state\":\"initial\"," \
	"\"replicated\":0,\"source\":\"\"}"

static const struct {
	const char *text;
	bool good;
} commit_bodies[] = {
	{HEAD "\"bookmark\":null,\"disks\":[" ONE "]}", true},
	{HEAD "\"disks\":[" ONE "," TWO "]}", true},
	{HEAD "\"bookmark\":{\"name\":\"x\",\"type\":\"crash\"},\"disks\":[]}", true},
	{HEAD "\"bookmark\":{\"name\":null,\"type\":\"application\"},\"disks\":[]}", true},
	{HEAD "\"bookmark\":{\"name\":\"x\",\"type\":\"other\"},\"disks\":[]}", false},
	{HEAD "\"bookmark\":{\"name\":\"\\u009b2J\",\"type\":\"crash\"},\"disks\":[]}", false},
	{HEAD "\"disks\":[],\"writers\":[{\"name\":\"a\",\"result\":\"failed\","
	      "\"text\":\"\\u00e9\",\"freeze_us\":1}]}",
	 true},
	{HEAD "\"disks\":[],\"writers\":[{\"name\":\"a\",\"result\":\"failed\","
	      "\"text\":\"\\u0085\",\"freeze_us\":1}]}",
	 false},
	{HEAD "\"disks\":[],\"writers\":[{\"name\":\"\\u0090\",\"result\":\"ok\","
	      "\"text\":null,\"freeze_us\":1}]}",
	 false},
	{HEAD "\"bookmark\":[],\"disks\":[]}", false},
	{HEAD "\"bookmark\":null,\"disks\":[" ONE "," ONE "]}", false},
	{HEAD "\"bookmark\":null,\"disks\":[7]}", false},
	{HEAD "\"bookmark\":null,\"disks\":{}}", false},
	{HEAD "\"bookmark\":null}", false},
	{"{\"attempt\":\"11111111-0000-4000-8000-000000000001\",\"boundary\":5,"
	 "\"consistency\":\"fuzzy\",\"reason\":\"\\u0084\",\"disks\":[]}",
	 false},
	{"{\"attempt\":\"X\",\"boundary\":5,\"consistency\":\"crash\",\"disks\":[]}", false},
	{"{\"attempt\":\"11111111-0000-4000-8000-000000000001\",\"boundary\":5,"
	 "\"consistency\":\"perfect\",\"disks\":[]}",
	 false},
	{HEAD "\"disks\":[{\"disk\":\"" DISK "\",\"segments\":4194305,\"state\":\"protected\","
	      "\"replicated\":512,\"source\":\"\"}]}",
	 false},
};

START_TEST(commit_body)
{
	struct body_commit b;
	struct err e;
	const char *text = commit_bodies[_i].text;
	int rc = body_commit(text, strlen(text), &b, &e);

	ck_assert_msg((rc == 0) == commit_bodies[_i].good, "%s: %s", text, rc ? e.text : "");
	body_commit_clear(&b);
	/* Cut anywhere, it is refused. */
	for (size_t len = 0; len < strlen(text); len++) {
		ck_assert_int_eq(body_commit(text, len, &b, &e), -EBADMSG);
		body_commit_clear(&b);
	}
}
END_TEST

START_TEST(commit_digest)
{
	static const char a[] = HEAD "\"disks\":[" ONE "]}";
	static const char same[] =
		"{\"disks\":[" ONE "],  \"reason\":\"\",\"consistency\":\"crash\","
		"\"boundary\":5,\"attempt\":"
		"\"11111111-0000-4000-8000-000000000001\"}";
	static const char other[] = HEAD "\"disks\":[" TWO "]}";
	struct body_commit x, y, z;
	struct err e;

	ck_assert_int_eq(body_commit(a, strlen(a), &x, &e), 0);
	ck_assert_int_eq(body_commit(same, strlen(same), &y, &e), 0);
	ck_assert_int_eq(body_commit(other, strlen(other), &z, &e), 0);
	ck_assert_mem_eq(x.digest, y.digest, DIGEST_BYTES);
	ck_assert_mem_ne(x.digest, z.digest, DIGEST_BYTES);
	body_commit_clear(&x);
	body_commit_clear(&y);
	body_commit_clear(&z);
}
END_TEST

START_TEST(enrol_body)
{
	static const char *const hosts[] = {"h", "h\\u009b31m", "h\\u0007"};
	char text[128];
	struct body_enroll b;
	struct err e;

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		snprintf(text, sizeof(text), "{\"token\":\"t\",\"hostname\":\"%s\",\"csr\":\"c\"}",
			 hosts[i]);
		ck_assert_int_eq(body_enroll(text, strlen(text), &b, &e), i ? -EBADMSG : 0);
		body_enroll_clear(&b);
	}
}
END_TEST

START_TEST(uploads)
{
	struct admission admission;
	struct admission_flow flow = {0};
	struct upload a = {0}, b = {0};

	admission_init(&admission, 100);
	ck_assert_int_eq(upload_begin(&a, &admission, &flow, 60, 0), 0);
	ck_assert_int_eq(upload_begin(&b, &admission, &flow, 41, 0), -EBUSY);
	ck_assert_int_eq(upload_begin(&b, &admission, &flow, 40, 0), 0);
	ck_assert_int_eq(upload_add(&a, "0123456789", 10), 0);
	ck_assert(!upload_whole(&a));
	ck_assert_int_eq(upload_add(&b, "0123456789012345678901234567890123456789", 40), 0);
	ck_assert(upload_whole(&b));
	ck_assert_int_eq(upload_add(&b, "x", 1), -EOVERFLOW);
	upload_end(&a);
	upload_end(&a);
	upload_end(&b);
	ck_assert_uint_eq(admission.free, 100);
	ck_assert_int_eq(upload_begin(&a, &admission, &flow, SIZE_MAX, 0), -EBUSY);
	ck_assert_int_eq(upload_begin(&a, &admission, &flow, 0, 0), 0);
	ck_assert_ptr_nonnull(a.data);
	upload_end(&a);
}
END_TEST

static uint64_t fake_ns = 1;

static uint64_t fake_now(void)
{
	return fake_ns;
}

START_TEST(bodies_that_trickle)
{
	const uint64_t sec = 1000000000;
	struct admission admission;
	struct admission_flow flow = {0};
	struct upload u = {0};

	admission_init(&admission, 32 << 20);
	admission.now = fake_now;
	/* 60 s, and one for each 64 KiB: a segment of 16 MiB passes at 53 KiB/s. */
	ck_assert_int_eq(upload_begin(&u, &admission, &flow, 16 << 20, 0), 0);
	fake_ns += 316 * sec;
	ck_assert_int_eq(upload_add(&u, "x", 1), 0);
	fake_ns++;
	ck_assert_int_eq(upload_add(&u, "x", 1), -ETIMEDOUT);
	upload_end(&u);
	ck_assert_uint_eq(admission.free, 32 << 20);
	/* One that was refused, and is read to its end, as well. */
	upload_drop(&u, &admission, 65536);
	fake_ns += 61 * sec;
	ck_assert_int_eq(upload_add(&u, "x", 1), 0);
	fake_ns++;
	ck_assert_int_eq(upload_add(&u, "x", 1), -ETIMEDOUT);
	upload_end(&u);
	admission_clear(&admission);
}
END_TEST

START_TEST(refusals)
{
	uint64_t skipped, now = 1;
	int logged = 0;

	for (int i = 0; i < 100; i++)
		logged += refusal_allowed("10.0.0.1", now, &skipped);
	ck_assert_int_eq(logged, 20);
	/* Another peer has a count of its own; after the minute the rest is told as a number. */
	ck_assert(refusal_allowed("10.0.0.2", now, &skipped));
	ck_assert_uint_eq(skipped, 0);
	ck_assert(refusal_allowed("10.0.0.1", now + 60000000000ull, &skipped));
	ck_assert_uint_eq(skipped, 80);
	ck_assert(refusal_allowed("10.0.0.1", now + 60000000001ull, &skipped));
	ck_assert_uint_eq(skipped, 0);
}
END_TEST

START_TEST(addresses)
{
	static const char *const good[] = {"0.0.0.0:443", "127.0.0.1:0", "[::1]:9443", "[::]:1"};
	static const char *const bad[] = {"",
					  "443",
					  ":443",
					  "127.0.0.1",
					  "127.0.0.1:",
					  "host:1",
					  "127.0.0.1:65536",
					  "127.0.0.1:99999999",
					  "[::1]",
					  "::1"};
	struct sockaddr_storage a;
	socklen_t len;
	struct err e;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ck_assert_msg(listen_parse(good[i], &a, &len, &e) == 0, "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(listen_parse(bad[i], &a, &len, &e) == -EINVAL, "%s", bad[i]);
}
END_TEST

START_TEST(names)
{
	char name[STORE_NAME_MAX];
	uint64_t epoch;

	name_journal(name, MACHINE, DISK, 0x12ab);
	ck_assert_str_eq(name, "machines/" MACHINE "/disks/" DISK "/journal/00000000000012ab.mj");
	ck_assert(name_epoch("00000000000012ab.mj", &epoch));
	ck_assert_uint_eq(epoch, 0x12ab);
	ck_assert(name_epoch("ffffffffffffffff.mji", &epoch));
	ck_assert_uint_eq(epoch, UINT64_MAX);
	ck_assert(!name_epoch("00000000000012ab", &epoch));
	ck_assert(!name_epoch("00000000000012aB.mj", &epoch));
	ck_assert(!name_epoch("00000000000012ab.mjx", &epoch));
	ck_assert(!name_epoch("x.mj", &epoch));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("request");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, routes, 0, (int)(sizeof(paths) / sizeof(paths[0])));
	tcase_add_test(t, path_parts);
	tcase_add_loop_test(t, disk_body, 0, (int)(sizeof(disk_bodies) / sizeof(disk_bodies[0])));
	tcase_add_loop_test(t, commit_body, 0,
			    (int)(sizeof(commit_bodies) / sizeof(commit_bodies[0])));
	tcase_add_test(t, commit_digest);
	tcase_add_test(t, enrol_body);
	tcase_add_test(t, uploads);
	tcase_add_test(t, bodies_that_trickle);
	tcase_add_test(t, refusals);
	tcase_add_test(t, addresses);
	tcase_add_test(t, names);
	return run_tcase("request", t);
}
