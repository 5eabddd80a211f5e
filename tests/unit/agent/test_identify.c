// SPDX-License-Identifier: Apache-2.0
/* What plain files are called; disks need a machine that has some. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/identify.h"
#include "lib/cleanup.h"
#include "tests/unit/agent/support.h"

static void make(const char *name, off_t size)
{
	FILE *f = fopen(test_path(name), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(ftruncate(fileno(f), size), 0);
	fclose(f);
}

START_TEST(names_are_such_as_the_appliance_takes)
{
	static const struct {
		const char *file, *name;
	} cases[] = {{"vm.img", "vm.img"},
		     {".vm.img", "_vm.img"},
		     {"...", "_.."},
		     {"a b\\c", "a_b_c"}};
	struct identity id;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		make(cases[i].file, 4096);
		ck_assert_msg(!identify(test_path(cases[i].file), &id, &e), "%s", e.text);
		ck_assert_str_eq(id.name, cases[i].name);
		ck_assert(id.file);
		ck_assert_uint_eq(id.size, 4096);
	}
	/* The path stays what it is. */
	ck_assert(!identify(test_path(".vm.img"), &id, &e));
	ck_assert_str_eq(id.path, test_path(".vm.img"));
	ck_assert_ptr_nonnull(strstr(id.key, "/.vm.img"));
}
END_TEST

START_TEST(what_cannot_be_protected)
{
	struct identity id;
	struct err e;

	make("empty", 0);
	make("odd", 4097);
	ck_assert_int_eq(identify(test_path("empty"), &id, &e), -ENOMEDIUM);
	ck_assert_int_eq(identify(test_path("odd"), &id, &e), -EINVAL);
	ck_assert_int_eq(identify(test_path("absent"), &id, &e), -ENOENT);
	ck_assert_int_eq(identify(test_dir(), &id, &e), -ENOTBLK);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("identify");

	tcase_add_test(tc, names_are_such_as_the_appliance_takes);
	tcase_add_test(tc, what_cannot_be_protected);
	return run_tcase("identify", tc);
}
