// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "agent/disk.h"
#include "tests/unit/agent/support.h"

static char text[512];

static const char *say(const struct unread *u)
{
	unread_text(u, "/dev/sda", text, sizeof(text));
	return text;
}

START_TEST(neighbours_are_one_range)
{
	struct unread u = {0};

	unread_add(&u, 4096, 4096);
	ck_assert_str_eq(say(&u), "4096 bytes at offset 4096 of /dev/sda cannot be read");
	unread_add(&u, 12288, 4096);
	ck_assert_str_eq(say(&u), "8192 bytes of /dev/sda cannot be read: 4096 at offset 4096, "
				  "4096 at offset 12288");
	/* From both sides, before the first, after the last. */
	unread_add(&u, 8192, 4096);
	unread_add(&u, 0, 4096);
	unread_add(&u, 16384, 512);
	ck_assert_str_eq(say(&u), "16896 bytes at offset 0 of /dev/sda cannot be read");
	ck_assert_uint_eq(u.count, 1);
}
END_TEST

/* Every second block, in an order that is none: those at the lowest offsets are named. */
START_TEST(the_lowest_are_named_and_all_are_counted)
{
	struct unread u = {0};
	char *at;

	for (uint64_t i = 0; i < 101; i++)
		unread_add(&u, i * 37 % 101 * 8192, 4096);
	ck_assert_uint_eq(u.bytes, 101 * 4096);
	ck_assert_uint_eq(u.count, UNREAD_RANGES);
	for (unsigned int i = 0; i < UNREAD_RANGES; i++) {
		ck_assert_uint_eq(u.range[i].offset, i * 8192);
		ck_assert_uint_eq(u.range[i].length, 4096);
	}
	ck_assert_ptr_nonnull(strstr(say(&u), "413696 bytes of /dev/sda cannot be read: 4096 at"));
	at = strstr(text, "4096 at offset 57344, and more at higher offsets");
	ck_assert_ptr_nonnull(at);
	/* What does not fit is cut off, whatever the sizes. */
	for (size_t size = 1; size < 200; size++) {
		memset(text, 'x', sizeof(text));
		unread_text(&u, "/dev/sda", text, size);
		ck_assert_uint_lt(strlen(text), size);
		ck_assert_int_eq(text[size], 'x');
	}
}
END_TEST

START_TEST(the_error_does_not_shrink_while_an_epoch_tries_again)
{
	struct state_disk from = {.key = "k", .name = "n", .path = "/dev/sda"};
	struct disk *d = disk_new(&from);
	bool news;

	disk_unread_begin(d, false);
	disk_unread(d, 0, 4096);
	ck_assert_str_eq(d->error, "4096 bytes at offset 0 of /dev/sda cannot be read");
	disk_unread(d, 8192, 4096);
	ck_assert_ptr_nonnull(strstr(d->error, "8192 bytes of"));
	ck_assert_uint_eq(disk_unread_judge(d, &news), 8192);
	ck_assert(news);
	disk_unread_begin(d, false);
	disk_unread(d, 8192, 4096);
	ck_assert_ptr_nonnull(strstr(d->error, "8192 bytes of"));
	disk_unread(d, 0, 4096);
	ck_assert_uint_eq(disk_unread_judge(d, &news), 8192);
	ck_assert(!news);
	/* Less is told when all was tried. */
	disk_unread_begin(d, false);
	disk_unread(d, 8192, 4096);
	ck_assert_uint_eq(disk_unread_judge(d, &news), 4096);
	ck_assert(news);
	ck_assert_str_eq(d->error, "4096 bytes at offset 8192 of /dev/sda cannot be read");
	ck_assert_ptr_nonnull(strstr(d->remedy, "kernel's log"));
	disk_unread_begin(d, false);
	ck_assert_uint_eq(disk_unread_judge(d, &news), 0);
	disk_clear_error(d);
	ck_assert_str_eq(d->error, "");
	/* The same ranges are news again then. */
	disk_unread_begin(d, false);
	disk_unread(d, 8192, 4096);
	ck_assert_str_ne(d->error, "");
	disk_unread_judge(d, &news);
	ck_assert(news);
	disk_free(d);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("unread");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, neighbours_are_one_range);
	tcase_add_test(tc, the_lowest_are_named_and_all_are_counted);
	tcase_add_test(tc, the_error_does_not_shrink_while_an_epoch_tries_again);
	return run_tcase("unread", tc);
}
