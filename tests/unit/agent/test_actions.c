// SPDX-License-Identifier: Apache-2.0
/* What mobilityctl refuses to ask for, since it could not say it: that asks nothing, and not for something else. */
/* wraps: client_ask */
#include <string.h>
#include <unistd.h>

#include "agent/ctl/actions.h"
#include "agent/ctl/client.h"
#include "tests/unit/agent/support.h"

static unsigned int asked;
static size_t disks;

json_t *__wrap_client_ask(const char *path, const json_t *request, struct err *e);

json_t *__wrap_client_ask(const char *path, const json_t *request, struct err *e)
{
	(void)path, (void)e;
	asked++;
	disks = json_array_size(json_object_get(request, "disks"));
	return json_object();
}

static struct ctl of(char **args, int count)
{
	return (struct ctl){.socket = "/nowhere", .args = args, .arg_count = count};
}

START_TEST(says_what_is_text)
{
	char *args[] = {"/dev/vd\xc3\xa9", "vdb"};
	struct ctl c = of(args, 2);

	ck_assert_int_eq(ctl_verify(&c), CTL_OK);
	ck_assert_uint_eq(asked, 1);
	ck_assert_uint_eq(disks, 2);
}
END_TEST

/* A list without it would mean other disks: of verify, all. */
START_TEST(refuses_what_is_none)
{
	char *args[] = {"vdb", "b\xe9.img"};
	struct ctl c = of(args, 2);

	ck_assert_int_eq(ctl_verify(&c), CTL_USAGE);
	ck_assert_int_eq(ctl_protect(&c), CTL_USAGE);
	ck_assert_int_eq(ctl_unprotect(&c), CTL_USAGE);
	c = of(args + 1, 1);
	ck_assert_int_eq(ctl_verify(&c), CTL_USAGE);
	ck_assert_int_eq(ctl_resync(&c), CTL_USAGE);
	ck_assert_int_eq(ctl_bookmark(&c), CTL_USAGE);
	c.fingerprint = "sha256:00";
	c.token_file = "/nowhere";
	ck_assert_int_eq(ctl_enroll(&c), CTL_USAGE);
	ck_assert_uint_eq(asked, 0);
}
END_TEST

/* The name behind a link is what would be sent. */
START_TEST(refuses_what_a_link_leads_to)
{
	char file[512], link[512], *args[] = {link};
	struct ctl c = of(args, 1);

	snprintf(file, sizeof(file), "%s/b\xe9.img", test_dir());
	snprintf(link, sizeof(link), "%s/link", test_dir());
	test_write(file, "x");
	ck_assert(!symlink(file, link));
	ck_assert_int_eq(ctl_verify(&c), CTL_USAGE);
	ck_assert_uint_eq(asked, 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("actions");

	tcase_add_test(t, says_what_is_text);
	tcase_add_test(t, refuses_what_is_none);
	tcase_add_test(t, refuses_what_a_link_leads_to);
	return run_tcase("actions", t);
}
