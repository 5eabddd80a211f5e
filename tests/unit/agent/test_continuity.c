// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "agent/continuity.h"
#include "tests/unit/agent/support.h"

#define ID_A "00112233445566778899aabbccddeeff"
#define ID_B "ffeeddccbbaa99887766554433221100"
#define SIZE (1ull << 30)
#define MIB (1ull << 20)
#define CURSOR (64 * MIB)

/*
 * A tracked disk for which nothing speaks against going on: the appliance has epoch 7, the module
 * forgot up to 7.
 */
static struct continuity_in good(void)
{
	return (struct continuity_in){
		.tracked = true,
		.attach_id = ID_A,
		.module_id = "m1",
		.boot_id = "b1",
		.module_epoch = 9,
		.committed_epoch = 7,
		.size = SIZE,
		.granule = 4096,
		.old_attach_id = ID_A,
		.old_module_id = "m1",
		.old_boot_id = "b1",
		.cause = "",
		.state = DISK_PROTECTED,
		.replicated = SIZE,
		.remote_size = SIZE,
		.remote_epoch = 40,
		.source = "kmod:" ID_A ":7",
	};
}

static struct continuity_out decide(const struct continuity_in *in)
{
	struct continuity_out out;

	memset(&out, 0x5a, sizeof(out));
	continuity_decide(in, &out);
	return out;
}

static void expect_resync(const struct continuity_in *in, const char *cause)
{
	struct continuity_out out = decide(in);

	ck_assert_int_eq(out.state, DISK_RESYNC);
	ck_assert_uint_eq(out.replicated, 0);
	ck_assert(out.restart);
	ck_assert_ptr_nonnull(strstr(out.cause, cause));
}

static void expect_going_on(const struct continuity_in *in, enum disk_state state,
			    uint64_t replicated)
{
	struct continuity_out out = decide(in);

	ck_assert_int_eq(out.state, state);
	ck_assert_uint_eq(out.replicated, replicated);
	ck_assert(!out.restart);
}

START_TEST(goes_on_where_nothing_was_missed)
{
	struct continuity_in in = good();

	expect_going_on(&in, DISK_PROTECTED, SIZE);
	ck_assert_str_eq(decide(&in).cause, "");
	/* The appliance has an epoch that the module was not told to forget: it comes once more. */
	in.source = "kmod:" ID_A ":8";
	expect_going_on(&in, DISK_PROTECTED, SIZE);
	/* Part of an initial replication or of a resync */
	in.state = DISK_INITIAL;
	in.replicated = CURSOR;
	expect_going_on(&in, DISK_INITIAL, CURSOR);
	in.state = DISK_RESYNC;
	in.cause = "the machine was restarted";
	expect_going_on(&in, DISK_RESYNC, CURSOR);
	ck_assert_str_eq(decide(&in).cause, "the machine was restarted");
	in.cause = "";
	ck_assert_str_ne(decide(&in).cause, "");
}
END_TEST

START_TEST(a_new_disk_begins_with_initial_replication)
{
	struct continuity_in in = good();

	in.state = DISK_INITIAL;
	in.replicated = 0;
	in.remote_epoch = 0;
	in.source = "";
	expect_going_on(&in, DISK_INITIAL, 0);
	in.tracked = false;
	expect_going_on(&in, DISK_INITIAL, 0);
	/* A request means nothing where nothing is yet. */
	in.requested = true;
	expect_going_on(&in, DISK_INITIAL, 0);
}
END_TEST

START_TEST(another_attachment_means_resync)
{
	struct continuity_in in = good();

	in.attach_id = ID_B;
	expect_resync(&in, "attached to the kernel module anew");
	in.cause = "the size of the disk changed";
	expect_resync(&in, "the size of the disk changed");
	in.module_id = "m2";
	expect_resync(&in, "module was reloaded");
	in.boot_id = "b2";
	expect_resync(&in, "machine was restarted");
	/* In the middle of initial replication too: what is below the cursor may be old. */
	in.state = DISK_INITIAL;
	in.replicated = CURSOR;
	expect_resync(&in, "machine was restarted");
}
END_TEST

START_TEST(an_older_appliance_means_resync)
{
	struct continuity_in in = good();

	in.source = "kmod:" ID_A ":6";
	expect_resync(&in, "as of an older epoch than the kernel module");
	in.state = DISK_RESYNC;
	in.replicated = CURSOR;
	expect_resync(&in, "as of an older epoch than the kernel module");
	in.source = "kmod:" ID_A ":9";
	expect_resync(&in, "an epoch that the kernel module does not");

	in = good();
	in.tracked = false;
	in.source = "scan";
	in.older = true;
	expect_resync(&in, "restored from an older state");
}
END_TEST

START_TEST(what_is_not_understood_means_resync)
{
	static const char *const sources[] = {
		"",
		"scan",
		"kmod:",
		"kmod:" ID_A,
		"kmod:" ID_A ":",
		"kmod:" ID_A ":-1",
		"kmod:" ID_A ": 7",
		"kmod:" ID_A ":7x",
		"kmod:" ID_A ":99999999999999999999999",
		"kmod:" ID_A "0:7",
		"kmod:00112233445566778899AABBCCDDEEFF:7",
	};
	struct continuity_in in = good();

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		in.source = sources[i];
		expect_resync(&in, "scanning");
	}
}
END_TEST

START_TEST(a_request_is_obeyed)
{
	struct continuity_in in = good();

	in.requested = true;
	in.cause = "the operator asked for it";
	expect_resync(&in, "the operator asked");
	in.tracked = false;
	expect_resync(&in, "the operator asked");
	in.cause = "";
	expect_resync(&in, "requested");
}
END_TEST

START_TEST(a_scan_needs_no_proof)
{
	struct continuity_in in = good();

	in.tracked = false;
	in.attach_id = "";
	expect_going_on(&in, DISK_PROTECTED, SIZE);
	in.source = "scan";
	expect_going_on(&in, DISK_PROTECTED, SIZE);
	in.state = DISK_RESYNC;
	in.replicated = CURSOR;
	expect_going_on(&in, DISK_RESYNC, CURSOR);
}
END_TEST

START_TEST(the_source_string_there_and_back)
{
	char text[CONTINUITY_SOURCE_BYTES], id[33];
	uint64_t epoch;

	continuity_format(text, ID_B, UINT64_MAX);
	ck_assert_int_eq(continuity_parse(text, id, &epoch), 0);
	ck_assert_str_eq(id, ID_B);
	ck_assert_uint_eq(epoch, UINT64_MAX);
	ck_assert_int_eq(continuity_parse("scan", id, &epoch), -EINVAL);
	for (int s = DISK_INITIAL; s <= DISK_PROTECTED; s++)
		ck_assert_int_eq(disk_state_parse(disk_state_name((enum disk_state)s)), s);
	ck_assert_int_eq(disk_state_parse("unreachable"), -EINVAL);
}
END_TEST

START_TEST(a_disk_that_grew_keeps_what_it_had)
{
	struct continuity_in in = good();

	in.tracked = false;
	in.source = "scan";
	in.grown = true;
	in.state = DISK_RESYNC;
	in.replicated = (5 << 20) + 1536;
	/* From the block on that was the short one. */
	expect_going_on(&in, DISK_RESYNC, 5 << 20);
	ck_assert_str_eq(decide(&in).cause, "the disk grew");
	/* Of a tracked one that had to be attached anew nothing is proven. */
	in.tracked = true;
	in.source = "kmod:" ID_B ":7";
	in.cause = "the size of the disk changed";
	expect_resync(&in, "the size of the disk changed");
}
END_TEST

/* Between the growth and the first commit of it the agent may begin anew as often as it likes. */
START_TEST(the_cursor_of_a_disk_that_grew_stays_aligned)
{
	struct continuity_in in = good();

	in.state = DISK_RESYNC;
	in.replicated = 37 * MIB + 1536;
	in.cause = "the disk grew";
	expect_going_on(&in, DISK_RESYNC, 37 * MIB);
	in.grown = true;
	expect_going_on(&in, DISK_RESYNC, 37 * MIB);
	/* Granules larger than what is compared */
	in.granule = 16 * MIB;
	expect_going_on(&in, DISK_RESYNC, 32 * MIB);
	in.grown = false;
	expect_going_on(&in, DISK_RESYNC, 32 * MIB);
	in.state = DISK_INITIAL;
	expect_going_on(&in, DISK_INITIAL, 32 * MIB);
	/* A disk that is complete is so to its end, whatever that is. */
	in.state = DISK_PROTECTED;
	in.size = in.replicated;
	expect_going_on(&in, DISK_PROTECTED, 37 * MIB + 1536);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("continuity");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, goes_on_where_nothing_was_missed);
	tcase_add_test(tc, a_new_disk_begins_with_initial_replication);
	tcase_add_test(tc, another_attachment_means_resync);
	tcase_add_test(tc, an_older_appliance_means_resync);
	tcase_add_test(tc, what_is_not_understood_means_resync);
	tcase_add_test(tc, a_request_is_obeyed);
	tcase_add_test(tc, a_scan_needs_no_proof);
	tcase_add_test(tc, a_disk_that_grew_keeps_what_it_had);
	tcase_add_test(tc, the_cursor_of_a_disk_that_grew_stays_aligned);
	tcase_add_test(tc, the_source_string_there_and_back);
	return run_tcase("continuity", tc);
}
