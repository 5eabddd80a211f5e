/* SPDX-License-Identifier: Apache-2.0 */
/* Digests computed in advance: some at a time, one disk after another, each to its end. */
#include <stdlib.h>

#include "appliance/names.h"
#include "appliance/policy.h"
#include "lib/clock.h"
#include "tests/unit/appliance/helpers.h"

#define BLOCKS 600u /* more than two parts have */
#define OTHER "00000000-0000-4000-8000-0000000000d2"

static char *dir;
static struct appliance app;
static struct disk_row disks[2];
static struct live_disk *live[2];

/* Two disks with a piece of each block in a journal. */
static void setup(void)
{
	static const char *const ids[2] = {DISK, OTHER};
	struct part *parts = calloc(BLOCKS, sizeof(*parts));
	static uint8_t data[512];

	data[0] = 1;
	dir = appliance_make(&app);
	for (uint64_t i = 0; i < BLOCKS; i++)
		parts[i] = (struct part){i * 65536, sizeof(data), data};
	for (unsigned int i = 0; i < 2; i++) {
		disk_make(&app.home, ids[i], BLOCKS * 65536, &disks[i]);
		epoch_make(&app.home, &disks[i], i + 1, parts, BLOCKS, false);
		live[i] = live_disk(app.live, MACHINE, ids[i]);
	}
	free(parts);
}

static void teardown(void)
{
	appliance_remove(&app, dir);
}

static void check(unsigned int i, uint64_t offset, uint64_t filled)
{
	ck_assert_uint_eq(live[i]->fill_offset, offset * 65536);
	ck_assert_uint_eq(live[i]->filled_epoch, filled);
	/* The map stays as long as it is needed, and no longer. */
	ck_assert(live_mapped(live[i]) == (offset != 0));
}

START_TEST(a_part_in_each_round)
{
	policy_fill(&app, 0, never, NULL);
	check(0, 256, 0);
	check(1, 0, 0);
	policy_fill(&app, 0, never, NULL);
	check(0, 512, 0);
	check(1, 0, 0);
	policy_fill(&app, 0, never, NULL);
	check(0, 0, 1);
	check(1, 0, 0);
	policy_fill(&app, 0, never, NULL);
	check(1, 256, 0);
	policy_fill(&app, 600 * NSEC_PER_SEC, never, NULL);
	check(0, 0, 1);
	check(1, 0, 2);
}
END_TEST

START_TEST(all_in_one_round)
{
	policy_fill(&app, 600 * NSEC_PER_SEC, never, NULL);
	check(0, 0, 1);
	check(1, 0, 2);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("fill");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_part_in_each_round);
	tcase_add_test(t, all_in_one_round);
	return run_tcase("fill", t);
}
