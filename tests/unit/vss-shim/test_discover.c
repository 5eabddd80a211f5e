// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"
#include "vss-shim/discover.h"
#include "vss-shim/trust.h"

static struct settings settings;
static struct writer list[WRITERS_MAX];
static size_t count;

static void look(void)
{
	struct err e;

	while (count)
		writer_clear(&list[--count]);
	assert_ok(discover(&settings, list, &count, &e), &e);
}

static const struct writer *find(const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (!strcmp(list[i].name, name))
			return &list[i];
	}
	ck_abort_msg("there is no writer %s", name);
	return NULL;
}

START_TEST(order_and_precedence)
{
	put("writers.d/30-b", 0755, "");
	put("writers.d/20-a", 0755, "");
	put("writers.d/25-off", 0755, "");
	put("writers.d/26-configured-off", 0755, "");
	put("writers.d/README", 0755, "");
	put("writers.d/2-a", 0755, "");
	put("writers.d/20-a~", 0755, "");
	put("local.d/20-a", 0755, "");
	ck_assert_int_eq(symlink("/dev/null", temp_path("local.d/25-off")), 0);
	settings.disable = strdup("x, 26-configured-off");
	look();
	ck_assert_uint_eq(count, 4);
	ck_assert_str_eq(list[0].name, "20-a");
	ck_assert_ptr_nonnull(strstr(list[0].path, "local.d"));
	ck_assert_int_eq(list[0].result, RESULT_READY);
	ck_assert_int_eq(find("25-off")->result, RESULT_DISABLED);
	ck_assert_int_eq(find("26-configured-off")->result, RESULT_DISABLED);
	ck_assert_str_eq(list[3].name, "30-b");
}
END_TEST

START_TEST(untrusted)
{
	put("writers.d/20-group", 0775, "");
	put("writers.d/21-not-executable", 0644, "");
	put("writers.d/22-good", 0755, "");
	look();
	ck_assert_int_eq(find("20-group")->result, RESULT_REFUSED);
	ck_assert_ptr_nonnull(strstr(find("20-group")->text, "written by others"));
	ck_assert_int_eq(find("21-not-executable")->result, RESULT_REFUSED);
	ck_assert_int_eq(find("22-good")->result, RESULT_READY);
	ck_assert_int_eq(chmod(temp_path("writers.d"), 0777), 0);
	look();
	ck_assert_int_eq(find("22-good")->result, RESULT_REFUSED);
	/* Sticky is no excuse for the folder itself: others may add a link there. */
	ck_assert_int_eq(chmod(temp_path("writers.d"), 01777), 0);
	look();
	ck_assert_int_eq(find("22-good")->result, RESULT_REFUSED);
	ck_assert_int_eq(chmod(temp_path("writers.d"), 0755), 0);
	if (geteuid())
		return;
	ck_assert_int_eq(chown(temp_path("writers.d/22-good"), 65534, 0), 0);
	look();
	ck_assert_int_eq(find("22-good")->result, RESULT_REFUSED);
	ck_assert_ptr_nonnull(strstr(find("22-good")->text, "does not belong to root"));
}
END_TEST

START_TEST(hooks)
{
	put("hooks.d/mysql.sh", 0755, "");
	put("hooks.d/mysql.sh.dpkg-old", 0755, "");
	put("hooks.d/readme", 0644, "");
	put("vmware.d/10-x", 0777, "");
	put("post-thaw-script", 0755, "");
	put("customscript.sh", 0755, "");
	look();
	ck_assert_uint_eq(count, 4);
	ck_assert_int_eq(find("50-qemu-ga.mysql.sh")->result, RESULT_READY);
	ck_assert_int_eq(find("60-vmware-scripts")->result, RESULT_READY);
	ck_assert_str_eq(find("60-vmware-scripts")->args[3], "-");
	ck_assert_int_eq(find("61-vmware.10-x")->result, RESULT_REFUSED);
	ck_assert_str_eq(find("70-azure")->args[2], "azure");
	settings.qemu_ga = settings.vmware = settings.azure = false;
	look();
	ck_assert_uint_eq(count, 0);
}
END_TEST

static const struct writer *find_path(const char *name)
{
	const char *path = temp_path(name);

	for (size_t i = 0; i < count; i++) {
		if (!strcmp(list[i].path, path))
			return &list[i];
	}
	ck_abort_msg("there is no writer %s", path);
	return NULL;
}

/* Two that would have one name are two all the same, and say why neither is run. */
START_TEST(long_names)
{
#define A8 "aaaaaaaa"
#define A47 A8 A8 A8 A8 A8 "aaaaaaa"
	static const char *const hook[] = {"hooks.d/" A47 "a", "hooks.d/" A47 "a1",
					   "hooks.d/" A47 "a2", "hooks.d/" A47 "\u00e9"};

	for (size_t i = 0; i < ARRAY_SIZE(hook); i++)
		put(hook[i], 0755, "");
	look();
	ck_assert_uint_eq(count, 4);
	for (size_t i = 1; i < ARRAY_SIZE(hook); i++) {
		ck_assert_int_eq(find_path(hook[i])->result, RESULT_REFUSED);
		ck_assert_ptr_nonnull(strstr(find_path(hook[i])->text, "longer than 48 bytes"));
	}
	ck_assert_int_eq(find_path(hook[0])->result, RESULT_READY);
	ck_assert_str_eq(find_path(hook[3])->name, "50-qemu-ga." A47); /* no half character */
}
END_TEST

START_TEST(name_is_taken)
{
	put("writers.d/50-qemu-ga.a", 0755, "");
	put("local.d/70-azure", 0755, "");
	put("hooks.d/a", 0755, "");
	put("customscript.sh", 0755, "");
	look();
	ck_assert_uint_eq(count, 4);
	ck_assert_int_eq(find_path("writers.d/50-qemu-ga.a")->result, RESULT_READY);
	ck_assert_int_eq(find_path("local.d/70-azure")->result, RESULT_READY);
	ck_assert_int_eq(find_path("hooks.d/a")->result, RESULT_REFUSED);
	ck_assert_int_eq(find_path("customscript.sh")->result, RESULT_REFUSED);
	ck_assert_ptr_nonnull(strstr(find_path("customscript.sh")->text, "local.d/70-azure"));
	settings.disable = strdup("70-azure");
	look();
	ck_assert_int_eq(find_path("customscript.sh")->result, RESULT_DISABLED);
}
END_TEST

static void setup(void)
{
	shim_setup();
	test_settings(&settings);
}

static void teardown(void)
{
	while (count)
		writer_clear(&list[--count]);
	test_settings_clear(&settings);
}

int main(void)
{
	TCase *t = tcase_create("discover");

	temp_dir();
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, order_and_precedence);
	tcase_add_test(t, untrusted);
	tcase_add_test(t, hooks);
	tcase_add_test(t, long_names);
	tcase_add_test(t, name_is_taken);
	return run_tcase("discover", t);
}
