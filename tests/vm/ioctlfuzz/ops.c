// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz.h"

static struct held pick_ours(struct fuzz *f)
{
	return table_pick(f, (enum kind)below(f, one_in(f, 8) ? KINDS : KIND_BDEV));
}

static struct held pick_drain(struct fuzz *f)
{
	return one_in(f, 6) ? pick_ours(f) : table_pick(f, KIND_DRAIN);
}

static void op_read(struct fuzz *f)
{
	struct held h = pick_drain(f);
	uint64_t offset = one_in(f, 3) ? fuzz_interesting(f) : below(f, 64) << 20 >> below(f, 8);
	size_t count = one_in(f, 3) ? (size_t)fuzz_interesting(f) : 4096UL << below(f, 9);
	char *to = one_in(f, 10) ? (char *)f->page + 4000 : f->buffer;
	ssize_t n;

	if (to == f->buffer && count > BUFFER_BYTES)
		count = BUFFER_BYTES;
	switch (below(f, 4)) {
	case 0:
		n = read(h.fd, to, count);
		break;
	case 1: {
		struct iovec parts[2] = {{to, count / 2}, {to, count - count / 2}};

		n = preadv(h.fd, parts, 2, (off_t)offset);
		break;
	}
	default:
		n = pread(h.fd, to, count, (off_t)(offset & ~4095UL));
		break;
	}
	if (h.kind != KIND_DRAIN || !table_unchanged(&h))
		return;
	/* the kernel itself looks at the offset, the size and the place first, and takes no bytes as read */
	if (settings.denied && n >= 0 && count)
		broken("a drain is read without CAP_SYS_ADMIN: %zd", n);
	if (settings.denied && n < 0 && errno != EPERM && errno != EINVAL && errno != EFAULT)
		broken("a drain is refused without CAP_SYS_ADMIN: %s", strerrorname_np(errno));
	if (n > 0 && (size_t)n > count)
		broken("read() of %zu bytes gives %zd", count, n);
}

static void op_write(struct fuzz *f)
{
	struct held h = pick_ours(f);
	ssize_t n = write(h.fd, f->buffer, 16);

	if (n >= 0 && h.kind < KIND_BDEV && table_unchanged(&h))
		broken("a descriptor of kind %d can be written to", h.kind);
	lseek(h.fd, (off_t)fuzz_interesting(f), SEEK_SET);
	fsync(h.fd);
}

static void op_map(struct fuzz *f)
{
	struct held h = pick_drain(f);
	struct map *m = &f->maps[below(f, MAPS)];
	int protection = one_in(f, 4) ? (int)below(f, 8) : PROT_READ;
	int flags = one_in(f, 4) ? MAP_PRIVATE : MAP_SHARED;
	size_t bytes = one_in(f, 4) ? (size_t)fuzz_interesting(f) : 4096UL << below(f, 4);
	off_t offset = one_in(f, 4) ? (off_t)(fuzz_interesting(f) & ~4095UL) : 0;

	if (m->at)
		munmap(m->at, m->bytes);
	m->bytes = bytes;
	m->at = mmap(NULL, bytes, protection, flags, h.fd, offset);
	if (m->at == MAP_FAILED) {
		m->at = NULL;
		return;
	}
	if (h.kind != KIND_DRAIN || !table_unchanged(&h))
		return;
	if (settings.denied)
		broken("a drain is mapped without CAP_SYS_ADMIN");
	if (protection & PROT_WRITE || !mprotect(m->at, bytes, PROT_READ | PROT_WRITE))
		broken("a dirty bitmap can be mapped for writing");
	if (mremap(m->at, bytes, bytes + (1U << 24), MREMAP_MAYMOVE) != MAP_FAILED)
		broken("the mapping of a bitmap can be made larger");
}

/* Bitmaps stay readable after all their descriptors are closed, the disk is detached, and so on. */
static void op_look(struct fuzz *f)
{
	const struct map *m = &f->maps[below(f, MAPS)];
	struct iovec from = {m->at, m->bytes < BUFFER_BYTES ? m->bytes : BUFFER_BYTES};
	struct iovec to = {f->buffer, from.iov_len};

	/* Not by a load: it may be a file's mapping behind the file's end. */
	if (m->at)
		process_vm_readv(getpid(), &to, 1, &from, 1, 0);
}

static void op_poll(struct fuzz *f)
{
	struct pollfd fds[4];
	struct epoll_event event = {.events = EPOLLIN | EPOLLPRI | EPOLLET};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	for (int i = 0; i < 4; i++) {
		fds[i].fd = pick_ours(f).fd;
		fds[i].events = (short)fuzz_random(f);
		if (epoll >= 0)
			epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i].fd, &event);
	}
	poll(fds, 4, (int)below(f, 3));
	if (epoll < 0)
		return;
	epoll_wait(epoll, &event, 1, (int)below(f, 3));
	close(epoll);
}

static void op_dup(struct fuzz *f)
{
	struct held h = pick_ours(f);
	int fd;

	fd = one_in(f, 2) ? dup(h.fd) : fcntl(h.fd, F_DUPFD_CLOEXEC, 3 + (int)below(f, 64));
	if (fd < 0)
		return;
	/* Only what has surely stayed the same has a kind that may be relied on. */
	if (table_unchanged(&h))
		table_put(f, fd, h.kind);
	else
		close(fd);
}

static void op_open(struct fuzz *f)
{
	enum kind kind;
	int fd = table_open(f, &kind);

	if (fd >= 0)
		table_put(f, fd, kind);
}

static void op_close(struct fuzz *f)
{
	struct held h = table_pick(f, KINDS);

	table_drop(&h);
}

/* A process with all the descriptors goes on with them, and is killed within some call. */
static void op_child(struct fuzz *f)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return;
	if (pid == 0) {
		f->fail_nth = -1;
		/* the descriptors and the table were not copied at one instant */
		settings.unsure = true;
		for (int i = 0; i < 1000; i++) {
			if (one_in(f, 3))
				op_read(f);
			else
				call_one(f);
		}
		_exit(0);
	}
	usleep((useconds_t)below(f, 4000));
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			broken("waitpid: %s", strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status))
		broken("see the sentence before");
}

static void op_unload(void)
{
	if (!syscall(SYS_delete_module, MOB_DEVICE_NAME, O_NONBLOCK))
		broken("the module was unloaded though it is in use");
}

/* For a while no descriptor can be had any more, by any thread. */
static void op_limit(struct fuzz *f)
{
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){16, 1024});
	for (int i = 0; i < 20; i++)
		call_one(f);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){512, 1024});
}

void op_unmap_all(struct fuzz *f)
{
	for (int i = 0; i < MAPS; i++) {
		if (f->maps[i].at)
			munmap(f->maps[i].at, f->maps[i].bytes);
		f->maps[i] = (struct map){0};
	}
}

void op_one(struct fuzz *f)
{
	uint64_t which = below(f, 100);

	f->calls++;
	if (which < 30)
		op_read(f);
	else if (which < 38)
		op_map(f);
	else if (which < 46)
		op_look(f);
	else if (which < 54)
		op_poll(f);
	else if (which < 62)
		op_dup(f);
	else if (which < 76)
		op_open(f);
	else if (which < 88)
		op_close(f);
	else if (which < 91)
		op_write(f);
	else if (settings.denied)
		return;
	else if (which < 92)
		op_child(f);
	else if (which < 94)
		op_unload();
	else if (which < 95)
		op_limit(f);
	else if (!walk(f, false))
		f->walks++;
}
