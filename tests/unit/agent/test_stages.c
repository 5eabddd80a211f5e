// SPDX-License-Identifier: Apache-2.0
#include "agent/stages.h"

#include "tests/unit/agent/support.h"

START_TEST(what_is_added_adds_up)
{
	struct stages s = {0};

	stage_add(&s, STAGE_READ, 5, 100);
	stage_add(&s, STAGE_READ, 7, 200);
	ck_assert_uint_eq(s.ns[STAGE_READ], 12);
	ck_assert_uint_eq(s.bytes[STAGE_READ], 300);
	ck_assert_uint_eq(s.count[STAGE_READ], 2);
	ck_assert_uint_eq(s.count[STAGE_SEND], 0);
	for (int i = 0; i < STAGE_COUNT; i++)
		ck_assert_ptr_nonnull(stage_name((enum stage)i));
}
END_TEST

START_TEST(the_appliance_tells_its_part)
{
	struct stages s = {0};

	stages_add_timing(&s, "verify;dur=1.500, disk;dur=20.25");
	ck_assert_uint_eq(s.appliance_ns, 21750000);
	ck_assert_uint_eq(s.appliance_disk_ns, 20250000);
	stages_add_timing(&s, "cache;dur=9, disk;dur=1");
	ck_assert_uint_eq(s.appliance_ns, 22750000);
	ck_assert_uint_eq(s.appliance_disk_ns, 21250000);
}
END_TEST

START_TEST(nonsense_counts_nothing)
{
	static const char *const nonsense[] = {"",
					       ",",
					       "disk",
					       "disk;dur=",
					       "disk;dur=-3",
					       "disk;dur=nan",
					       "disk;dur=inf",
					       "disk;dur=1e300",
					       "diskette;dur=5"};
	struct stages s = {0};

	for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++)
		stages_add_timing(&s, nonsense[i]);
	ck_assert_uint_eq(s.appliance_ns, 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("stages");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_is_added_adds_up);
	tcase_add_test(tc, the_appliance_tells_its_part);
	tcase_add_test(tc, nonsense_counts_nothing);
	return run_tcase("stages", tc);
}
