// SPDX-License-Identifier: Apache-2.0
/* Whose attachment it is when no agent answers. */
#include <string.h>
#include <sys/stat.h>

#include "agent/ctl/actions.h"
#include "agent/ctl/churn.h"
#include "agent/ctl/owner.h"
#include "agent/state.h"
#include "tests/unit/agent/support.h"

static struct ctl ctl;
static struct watched vdb = {.path = "/dev/vdb"};

static void set_up(void)
{
	ctl.socket = test_path("nobody");
	ctl.state_dir = test_dir();
}

static void record(const char *path, bool removing)
{
	struct state st = {0};
	struct state_disk *d = state_add(&st);
	char *text;

	strcpy(d->key, "k");
	strcpy(d->name, "n");
	strcpy(d->path, path);
	d->removing = removing;
	text = state_to_text(&st);
	test_write(test_path("state.json"), text);
	free(text);
	state_clear(&st);
}

START_TEST(an_agent_that_starts_anew_keeps_its_disk)
{
	record("/dev/vdb", false);
	ck_assert(owner_is_agent(&ctl, &vdb));
}
END_TEST

START_TEST(what_no_agent_protects_is_nobodys)
{
	ck_assert(!owner_is_agent(&ctl, &vdb));
	record("/dev/vdc", false);
	ck_assert(!owner_is_agent(&ctl, &vdb));
	record("/dev/vdb", true);
	ck_assert(!owner_is_agent(&ctl, &vdb));
}
END_TEST

START_TEST(what_cannot_be_told_counts_as_its_disk)
{
	test_write(test_path("state.json"), "{");
	ck_assert(owner_is_agent(&ctl, &vdb));
	ck_assert_int_eq(remove(test_path("state.json")), 0);
	ck_assert_int_eq(mkdir(test_path("state.json"), 0700), 0);
	ck_assert(owner_is_agent(&ctl, &vdb));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("owner");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, an_agent_that_starts_anew_keeps_its_disk);
	tcase_add_test(tc, what_no_agent_protects_is_nobodys);
	tcase_add_test(tc, what_cannot_be_told_counts_as_its_disk);
	return run_tcase("owner", tc);
}
