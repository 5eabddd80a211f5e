// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "tests/unit/lib/support.h"
#include "vss-shim/protocol.h"

static const struct {
	const char *line;
	int r;
	enum answer_kind kind;
	const char *text;
} answers[] = {
	{"ok", 0, ANSWER_OK, ""},
	{"ok two instances", 0, ANSWER_OK, "two instances"},
	{"skip nothing runs", 0, ANSWER_SKIP, "nothing runs"},
	{"fail no connection", 0, ANSWER_FAIL, "no connection"},
	{"skip", -EBADMSG, 0, NULL},
	{"fail ", -EBADMSG, 0, NULL},
	{"okay", -EBADMSG, 0, NULL},
	{"OK", -EBADMSG, 0, NULL},
	{"", -EBADMSG, 0, NULL},
	{"ok \x1b[2J", -EBADMSG, 0, NULL},
	{"ok \xc2\x9b"
	 "2J",
	 -EBADMSG, 0, NULL},
	{"ok \xff", -EBADMSG, 0, NULL},
	{"ok \xc3\xa9t\xc3\xa9", 0, ANSWER_OK, "\xc3\xa9t\xc3\xa9"},
};

START_TEST(answer)
{
	struct answer a;
	const char *line = answers[_i].line;

	ck_assert_int_eq(answer_parse(line, strlen(line), &a), answers[_i].r);
	if (answers[_i].r)
		return;
	ck_assert_int_eq(a.kind, answers[_i].kind);
	ck_assert_str_eq(a.text, answers[_i].text);
}
END_TEST

START_TEST(long_answer)
{
	char line[600];
	struct answer a;

	memset(line, 'x', sizeof(line));
	memcpy(line, "ok ", 3);
	ck_assert_int_eq(answer_parse(line, ANSWER_MAX, &a), 0);
	ck_assert_int_eq(answer_parse(line, ANSWER_MAX + 1, &a), -EBADMSG);
}
END_TEST

START_TEST(identity)
{
	static const char good[] =
		"name: PostgreSQL\ninstances: 2\n\ndeadline:1500\nprepare: 60000\n"
		"new-key: whatever\npromise: starts without recovery";
	static const char *const bad[] = {"no colon\n",
					  ": x\n",
					  "instances: many\n",
					  "deadline: 9\n",
					  "deadline: 60001\n",
					  "name: \x01\n",
					  "prepare: 99999999999999999999\n"};
	struct identity id;
	struct err e;

	ck_assert_int_eq(identity_parse(good, strlen(good), &id, &e), 0);
	ck_assert_str_eq(id.title, "PostgreSQL");
	ck_assert_uint_eq(id.instances, 2);
	ck_assert_uint_eq(id.freeze_ms, 1500);
	ck_assert_uint_eq(id.prepare_ms, 60000);
	ck_assert_str_eq(id.promise, "starts without recovery");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_int_lt(identity_parse(bad[i], strlen(bad[i]), &id, &e), 0);
		ck_assert_uint_eq(id.instances + id.freeze_ms, 0);
		ck_assert(e.text[0]);
	}
	ck_assert_int_eq(identity_parse("", 0, &id, &e), 0);
}
END_TEST

START_TEST(order)
{
	static const char *const bad[] = {"",
					  "sets",
					  "set ",
					  "set window_ms=",
					  "set window_ms=99",
					  "set window_ms=60001",
					  "set disks=8",
					  "set disks=8:0,",
					  "set disks=8:0  ",
					  "set disks=8:0 disks=8:1",
					  "set x=1",
					  "freeze now",
					  "thaw\r"};
	struct order o;
	struct err e;

	ck_assert_int_eq(order_parse("set window_ms=2500 disks=8:0,259:17", 35, &o, &e), 0);
	ck_assert_int_eq(o.kind, ORDER_SET);
	ck_assert_uint_eq(o.window_ms, 2500);
	ck_assert_uint_eq(o.disk_count, 2);
	ck_assert_uint_eq(o.disk[1], makedev(259, 17));
	ck_assert_int_eq(order_parse("set", 3, &o, &e), 0);
	ck_assert(!o.named);
	ck_assert_int_eq(order_parse("set disks=", 10, &o, &e), 0);
	ck_assert(o.named && !o.disk_count);
	ck_assert_int_eq(order_parse("freeze", 6, &o, &e), 0);
	ck_assert_int_eq(o.kind, ORDER_FREEZE);
	ck_assert_int_eq(order_parse("writers", 7, &o, &e), 0);
	ck_assert_int_eq(o.kind, ORDER_WRITERS);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ck_assert_msg(order_parse(bad[i], strlen(bad[i]), &o, &e) < 0, "'%s'", bad[i]);
	}
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("protocol");

	tcase_add_loop_test(t, answer, 0, ARRAY_SIZE(answers));
	tcase_add_test(t, long_answer);
	tcase_add_test(t, identity);
	tcase_add_test(t, order);
	return run_tcase("protocol", t);
}
