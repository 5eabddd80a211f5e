/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/io.h"
#include "lib/log.h"
#include "tests/unit/lib/support.h"

static const char *log_path;
static int stderr_kept;

/* stderr leads to a file until read_log. */
static void divert_stderr(void)
{
	log_path = temp_path("stderr");
	stderr_kept = dup(STDERR_FILENO);

	int fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

	ck_assert_int_ge(fd, 0);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static char *read_log(void)
{
	struct err e = {0};
	char *text;

	dup2(stderr_kept, STDERR_FILENO);
	close(stderr_kept);
	assert_ok(io_read_file(log_path, 1 << 20, &text, NULL, &e), &e);
	return text;
}

START_TEST(a_line_has_time_ident_and_level)
{
	char ident[16], level[16], rest[64];
	int year;

	divert_stderr();
	log_init("mobilityd", LOG_LEVEL_INFO);
	log_warning("disk %s is gone", "vda");

	_cleanup_free_ char *text = read_log();

	ck_assert_int_eq(sscanf(text, "%4d-%*d-%*dT%*d:%*d:%*dZ %15s %15s %63[^\n]", &year, ident,
				level, rest),
			 4);
	ck_assert_int_ge(year, 2024);
	ck_assert_str_eq(ident, "mobilityd");
	ck_assert_str_eq(level, "warning:");
	ck_assert_str_eq(rest, "disk vda is gone");
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

START_TEST(journald_gets_priorities)
{
	struct stat st;
	char stream[64];

	divert_stderr();
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init("mobilityd", LOG_LEVEL_DEBUG);
	log_error("a");
	log_warning("b");
	log_info("c");
	log_debug("d");

	_cleanup_free_ char *text = read_log();

	ck_assert_str_eq(text, "<3>a\n<4>b\n<6>c\n<7>d\n");
}
END_TEST

START_TEST(levels_are_respected)
{
	divert_stderr();
	log_init("x", LOG_LEVEL_WARNING);
	log_info("hidden");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("shown");

	_cleanup_free_ char *text = read_log();

	ck_assert_ptr_null(strstr(text, "hidden"));
	ck_assert_ptr_nonnull(strstr(text, "shown"));
	ck_assert_int_eq(log_level_parse("error"), LOG_LEVEL_ERROR);
	ck_assert_int_eq(log_level_parse("debug"), LOG_LEVEL_DEBUG);
	ck_assert_int_eq(log_level_parse("loud"), -EINVAL);
}
END_TEST

START_TEST(a_message_stays_one_line)
{
	char big[5000];

	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	divert_stderr();
	log_init("x", LOG_LEVEL_INFO);
	log_info("one\ntwo\033[31m\r\xc2\x9b%s", "three\n");
	log_info("%s", big);

	_cleanup_free_ char *text = read_log();
	char *second = strchr(text, '\n');

	ck_assert_ptr_nonnull(second);
	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_null(strstr(text, "\x9b"));
	ck_assert_ptr_eq(strchr(second + 1, '\n'), text + strlen(text) - 1);
	ck_assert_ptr_nonnull(strstr(second, "[cut]\n"));
}
END_TEST

static void *chatter(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_info("begin-%s-end", (const char *)arg);
	return NULL;
}

START_TEST(threads_do_not_mix_lines)
{
	pthread_t t[4];
	unsigned int lines = 0;

	divert_stderr();
	log_init("x", LOG_LEVEL_INFO);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, chatter, "same words"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		pthread_join(t[i], NULL);

	_cleanup_free_ char *text = read_log();

	for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line; lines++)
		ck_assert_ptr_nonnull(strstr(line, " x info: begin-same words-end"));
	ck_assert_uint_eq(lines, 800);
}
END_TEST

START_TEST(errno_survives)
{
	divert_stderr();
	log_init("x", LOG_LEVEL_INFO);
	errno = ENOSPC;
	log_info("failed: %m");
	ck_assert_int_eq(errno, ENOSPC);

	_cleanup_free_ char *text = read_log();

	ck_assert_ptr_nonnull(strstr(text, "failed: No space left on device"));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("log");

	temp_dir();
	tcase_add_test(tc, a_line_has_time_ident_and_level);
	tcase_add_test(tc, journald_gets_priorities);
	tcase_add_test(tc, levels_are_respected);
	tcase_add_test(tc, a_message_stays_one_line);
	tcase_add_test(tc, threads_do_not_mix_lines);
	tcase_add_test(tc, errno_survives);
	return run_tcase("log", tc);
}
