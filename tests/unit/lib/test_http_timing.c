/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/http_timing.h"
#include "tests/unit/lib/support.h"

static uint64_t total, disk;

static void see(const char *line)
{
	total = disk = 7;
	http_timing(line, strlen(line), &total, &disk);
}

START_TEST(both_metrics)
{
	see("Server-Timing: total;dur=12.5, disk;dur=4\r\n");
	ck_assert_uint_eq(total, 12500000);
	ck_assert_uint_eq(disk, 4000000);
	see("server-timing:disk;desc=fsync; dur=0.25,cache,other;dur=9\r\n");
	ck_assert_uint_eq(total, 7);
	ck_assert_uint_eq(disk, 250000);
}
END_TEST

START_TEST(what_is_not_understood_changes_nothing)
{
	static const char *const lines[] = {
		"",
		"Server-Timing:",
		"Server-Timing: total\r\n",
		"Server-Timing: total;dur=\r\n",
		"Server-Timing: total;dur=x\r\n",
		"Server-Timing: total;dur=-1\r\n",
		"Server-Timing: total;dur=nan\r\n",
		"Server-Timing: total;dur=inf\r\n",
		"Server-Timing: total;dur=1e300\r\n",
		"Server-Timing: total;dur=5x\r\n",
		"Content-Length: 5\r\n",
		"HTTP/1.1 200 OK\r\n",
		"Server-Timing: ,,,;;;,\r\n",
	};
	char longer[2000];

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		see(lines[i]);
		ck_assert_msg(total == 7 && disk == 7, "\"%s\"", lines[i]);
	}
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "Server-Timing: total;dur=5,", 27);
	http_timing(longer, sizeof(longer), &total, &disk);
	ck_assert_uint_eq(total, 7);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("http_timing");

	tcase_add_test(tc, both_metrics);
	tcase_add_test(tc, what_is_not_understood_changes_nothing);
	return run_tcase("http_timing", tc);
}
