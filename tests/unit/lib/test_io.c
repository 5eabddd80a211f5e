/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "lib/io.h"
#include "tests/unit/lib/support.h"

static unsigned int entries(const char *dir)
{
	DIR *d = opendir(dir);
	unsigned int n = 0;

	ck_assert_ptr_nonnull(d);
	for (struct dirent *x = readdir(d); x; x = readdir(d))
		n += x->d_name[0] != '.';
	closedir(d);
	return n;
}

static const char *fresh_dir(const char *name)
{
	struct err e = {0};
	const char *path = temp_path(name);

	assert_ok(io_mkdirs(path, 0700, &e), &e);
	return path;
}

START_TEST(positioned_reads_and_writes)
{
	_cleanup_close_ int fd = open(temp_path("rw"), O_RDWR | O_CREAT, 0600);
	char buf[8];

	ck_assert_int_eq(io_pwrite_full(fd, "hello", 5, 100), 0);
	ck_assert_int_eq(io_pread_full(fd, buf, 5, 100), 0);
	ck_assert_mem_eq(buf, "hello", 5);
	ck_assert_int_eq(io_pread_full(fd, buf, 6, 100), -ENODATA);
	ck_assert_int_eq(io_pread_full(fd, buf, 0, 1000), 0);
	ck_assert_int_eq(io_pread_full(-1, buf, 1, 0), -EBADF);
	ck_assert_int_eq(io_pwrite_full(-1, buf, 1, 0), -EBADF);
	ck_assert_int_eq(io_write_full(-1, buf, 1), -EBADF);
}
END_TEST

START_TEST(a_full_device_is_told)
{
	_cleanup_close_ int fd = open("/dev/full", O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_full(fd, "x", 1), -ENOSPC);
	ck_assert_int_eq(io_pwrite_full(fd, "x", 1, 0), -ENOSPC);
}
END_TEST

/* Much more than a pipe holds, to a slow reader. */
START_TEST(short_writes_go_on)
{
	static uint8_t data[1 << 20], got[sizeof(data)];
	int ends[2], status;

	ck_assert_int_eq(pipe(ends), 0);
	fill_noise(data, sizeof(data), 1);

	pid_t pid = fork();

	if (pid == 0) {
		close(ends[0]);
		_exit(io_write_full(ends[1], data, sizeof(data)) != 0);
	}
	close(ends[1]);
	for (size_t done = 0; done < sizeof(got);) {
		ssize_t n = read(ends[0], got + done,
				 sizeof(got) - done < 999 ? sizeof(got) - done : 999);

		ck_assert_int_gt(n, 0);
		done += (size_t)n;
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_mem_eq(data, got, sizeof(data));
	close(ends[0]);
}
END_TEST

START_TEST(whole_files)
{
	const char *path = temp_path("whole");
	struct err e = {0};
	char *text;
	size_t len;

	write_text(path, "12345");
	assert_ok(io_read_file(path, 5, &text, &len, &e), &e);
	ck_assert_uint_eq(len, 5);
	ck_assert_str_eq(text, "12345");
	free(text);
	assert_code(io_read_file(path, 4, &text, &len, &e), -EFBIG, &e);
	assert_says(&e, path);
	assert_code(io_read_file(temp_path("absent"), 4, &text, &len, &e), -ENOENT, &e);
	assert_code(io_read_file(temp_dir(), 4, &text, &len, &e), -EISDIR, &e);
	write_text(path, "");
	assert_ok(io_read_file(path, 0, &text, &len, &e), &e);
	ck_assert_uint_eq(len, 0);
	free(text);
	/* stat tells 0 bytes for this one */
	assert_ok(io_read_file("/proc/self/status", 1 << 16, &text, NULL, &e), &e);
	ck_assert_ptr_nonnull(strstr(text, "Pid:"));
	free(text);
}
END_TEST

START_TEST(replaced_at_once_with_its_mode)
{
	const char *dir = fresh_dir("atomic"), *path = temp_path("atomic/file");
	struct err e = {0};
	struct stat st;
	char *text;

	umask(077);
	assert_ok(io_write_file_atomic(path, "old", 3, 0644, &e), &e);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);
	assert_ok(io_write_file_atomic(path, "newer", 5, 0600, &e), &e);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	assert_ok(io_read_file(path, 9, &text, NULL, &e), &e);
	ck_assert_str_eq(text, "newer");
	free(text);
	ck_assert_uint_eq(entries(dir), 1);
}
END_TEST

/* A file size limit stands for a full disk: the old content stays, nothing is left behind. */
START_TEST(a_failed_write_changes_nothing)
{
	const char *dir = fresh_dir("failed"), *path = temp_path("failed/file");
	struct rlimit small = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY}, before;
	static char big[4096];
	struct err e = {0};
	char *text;

	write_text(path, "precious");
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	int r = io_write_file_atomic(path, big, sizeof(big), 0600, &e);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_code(r, -EFBIG, &e);
	assert_says(&e, path);
	assert_ok(io_read_file(path, 99, &text, NULL, &e), &e);
	ck_assert_str_eq(text, "precious");
	free(text);
	ck_assert_uint_eq(entries(dir), 1);
	assert_code(io_write_file_atomic(temp_path("nowhere/file"), "x", 1, 0600, &e), -ENOENT, &e);
}
END_TEST

/* Somebody who reads all the time sees one of the whole contents, never a part or nothing. */
START_TEST(readers_never_see_a_part)
{
	const char *path = temp_path("seen");
	struct err e = {0};
	char text[2][3000];
	int status;

	for (int i = 0; i < 2; i++)
		memset(text[i], 'a' + i, sizeof(text[i]));
	assert_ok(io_write_file_atomic(path, text[0], sizeof(text[0]), 0600, &e), &e);

	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 50; i++)
			io_write_file_atomic(path, text[i % 2], sizeof(text[0]), 0600, NULL);
		_exit(0);
	}
	do {
		char *seen;
		size_t len;

		assert_ok(io_read_file(path, 9999, &seen, &len, &e), &e);
		ck_assert_uint_eq(len, sizeof(text[0]));
		ck_assert_mem_eq(seen, text[seen[0] - 'a'], len);
		free(seen);
	} while (waitpid(pid, &status, WNOHANG) == 0);
}
END_TEST

START_TEST(folders_and_their_parents)
{
	struct err e = {0};
	struct stat st;

	assert_ok(io_mkdirs(temp_path("a/b//c/"), 0700, &e), &e);
	ck_assert_int_eq(stat(temp_path("a/b/c"), &st), 0);
	ck_assert(S_ISDIR(st.st_mode));
	assert_ok(io_mkdirs(temp_path("a/b"), 0700, &e), &e);
	ck_assert_int_eq(io_fsync_dir(temp_path("a/b")), 0);
	ck_assert_int_eq(io_fsync_dir(temp_path("a/none")), -ENOENT);
	write_text(temp_path("a/file"), "x");
	assert_code(io_mkdirs(temp_path("a/file"), 0700, &e), -ENOTDIR, &e);
	assert_code(io_mkdirs(temp_path("a/file/x"), 0700, &e), -ENOTDIR, &e);
	ck_assert_int_eq(io_fsync_dir(temp_path("a/file")), -ENOTDIR);
}
END_TEST

START_TEST(sizes)
{
	_cleanup_close_ int fd = open(temp_path("sized"), O_RDWR | O_CREAT, 0600);
	_cleanup_close_ int other = open("/dev/null", O_RDWR);
	uint64_t size;

	ck_assert_int_eq(ftruncate(fd, 5ll << 40), 0);
	ck_assert_int_eq(io_size(fd, &size), 0);
	ck_assert_uint_eq(size, 5ull << 40);
	ck_assert_int_eq(io_size(other, &size), -ENOTBLK);
	ck_assert_int_eq(io_size(-1, &size), -EBADF);
}
END_TEST

START_TEST(one_holder_of_a_lock)
{
	const char *path = temp_path("lock");
	struct err e = {0};
	int fd = io_lock_file(path, &e);

	ck_assert_int_ge(fd, 0);
	assert_code(io_lock_file(path, &e), -EBUSY, &e);
	assert_says(&e, path);
	close(fd);
	fd = io_lock_file(path, &e);
	ck_assert_int_ge(fd, 0);
	close(fd);
	assert_code(io_lock_file(temp_path("none/lock"), &e), -ENOENT, &e);
}
END_TEST

START_TEST(only_a_socket_makes_room_for_one)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = temp_path("socket");
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct err e = {0};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_ok(io_remove_socket(path, &e), &e);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_ok(io_remove_socket(path, &e), &e);
	ck_assert_int_eq(access(path, F_OK), -1);
	write_text(path, "precious");
	assert_code(io_remove_socket(path, &e), -EEXIST, &e);
	assert_says(&e, path);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("io");

	temp_dir();
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, positioned_reads_and_writes);
	tcase_add_test(tc, a_full_device_is_told);
	tcase_add_test(tc, short_writes_go_on);
	tcase_add_test(tc, whole_files);
	tcase_add_test(tc, replaced_at_once_with_its_mode);
	tcase_add_test(tc, a_failed_write_changes_nothing);
	tcase_add_test(tc, readers_never_see_a_part);
	tcase_add_test(tc, folders_and_their_parents);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, one_holder_of_a_lock);
	tcase_add_test(tc, only_a_socket_makes_room_for_one);
	return run_tcase("io", tc);
}
