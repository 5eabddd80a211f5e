// SPDX-License-Identifier: Apache-2.0
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct disk {
	char path[192];
	uint64_t offset;
	bool block; /* a block device, not a file */
	int direct, dsync, buffered; /* descriptors */
};

struct writer {
	const struct orc_layout *l;
	const struct disk *disks;
	struct orc_progress *progress;
	uint32_t thread;
	unsigned int pause_us;
	uint8_t *block, *scratch; /* aligned buffers, owned by the thread */
	aio_context_t aio;
	uint64_t seq; /* the last completed block */
	uint64_t longest_ns;
	int status;
	pthread_t id;
};

static atomic_bool stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = true;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

bool orc_split_disk(const char *arg, char path[192], uint64_t *offset)
{
	const char *at = strrchr(arg, '@');
	size_t length = at ? (size_t)(at - arg) : strlen(arg);
	char *end = "";

	*offset = 0;
	if (!length || length >= 192)
		return false;
	memcpy(path, arg, length);
	path[length] = 0;
	if (!at)
		return true;
	errno = 0;
	*offset = strtoull(at + 1, &end, 10);
	if (errno || end == at + 1)
		return false;
	if (*end && strchr("KMG", *end))
		*offset <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 30, end++;
	return !*end && *offset % ORC_PAGE == 0;
}

static int disk_open(struct disk *d, const char *arg)
{
	struct stat st;

	if (!orc_split_disk(arg, d->path, &d->offset)) {
		fprintf(stderr, "oracle: '%s' is not PATH[@OFFSET], OFFSET a multiple of 4K\n",
			arg);
		return -1;
	}
	d->direct = open(d->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	d->dsync = open(d->path, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
	d->buffered = open(d->path, O_RDWR | O_CLOEXEC);
	if (d->direct < 0 || d->dsync < 0 || d->buffered < 0 || fstat(d->direct, &st)) {
		fprintf(stderr, "oracle: cannot open %s: %m\n", d->path);
		return -1;
	}
	d->block = S_ISBLK(st.st_mode);
	return 0;
}

static void disk_close(struct disk *d)
{
	close(d->direct);
	close(d->dsync);
	close(d->buffered);
}

static void *aligned(size_t size)
{
	void *buf = aligned_alloc(ORC_PAGE, (size + ORC_PAGE - 1) / ORC_PAGE * ORC_PAGE);

	if (!buf) {
		fprintf(stderr, "oracle: out of memory\n");
		exit(2);
	}
	memset(buf, 0, size);
	return buf;
}

static int write_vector(int fd, uint8_t *buf, size_t size, off_t offset, int flags)
{
	struct iovec iov[3];
	int n = 0;
	size_t done = 0;

	while (done < size) {
		size_t part = n < 2 && size - done > ORC_SECTOR ? ORC_SECTOR : size - done;

		iov[n++] = (struct iovec){.iov_base = buf + done, .iov_len = part};
		done += part;
	}
	return pwritev2(fd, iov, n, offset, flags) == (ssize_t)size ? 0 : -1;
}

/* The kernel may say "would block" for as long as it likes, so it is not asked for ever. */
static int write_nowait(int fd, uint8_t *buf, size_t size, off_t offset)
{
	struct iovec iov = {.iov_base = buf, .iov_len = size};

	for (int tries = 0; tries < 100; tries++) {
		ssize_t n = pwritev2(fd, &iov, 1, offset, RWF_NOWAIT);

		if (n == (ssize_t)size)
			return 0;
		if (n < 0 && errno == EOPNOTSUPP) /* a stack with a layer that may wait */
			break;
		if (n < 0 && errno != EAGAIN)
			return -1;
		sched_yield();
	}
	return pwrite(fd, buf, size, offset) == (ssize_t)size ? 0 : -1;
}

static int write_aio(struct writer *w, int fd, size_t size, off_t offset)
{
	struct iocb cb = {.aio_lio_opcode = IOCB_CMD_PWRITE,
			  .aio_fildes = (uint32_t)fd,
			  .aio_buf = (uint64_t)(uintptr_t)w->block,
			  .aio_nbytes = size,
			  .aio_offset = offset};
	struct iocb *list[1] = {&cb};
	struct io_event event;
	long n;

	if (syscall(SYS_io_submit, w->aio, 1, list) != 1)
		return -1;
	do {
		n = syscall(SYS_io_getevents, w->aio, 1, 1, &event, NULL);
	} while (n < 0 && errno == EINTR);
	if (n != 1)
		return -1;
	if (event.res != (int64_t)size) {
		errno = event.res < 0 ? (int)-event.res : EIO;
		return -1;
	}
	return 0;
}

static int write_block(struct writer *w, const struct disk *d, off_t offset)
{
	size_t size = w->l->config.thread[w->thread].size;
	struct iovec iov = {.iov_base = w->block, .iov_len = size};

	switch (w->l->config.thread[w->thread].kind) {
	case ORC_DSYNC:
		return pwrite(d->dsync, w->block, size, offset) == (ssize_t)size ? 0 : -1;
	case ORC_BUFFERED:
		if (pwrite(d->buffered, w->block, size, offset) != (ssize_t)size)
			return -1;
		return fdatasync(d->buffered);
	case ORC_VECTOR:
		return write_vector(d->direct, w->block, size, offset, 0);
	case ORC_NOWAIT:
		return write_nowait(d->direct, w->block, size, offset);
	case ORC_HIPRI:
		return pwritev2(d->direct, &iov, 1, offset, RWF_HIPRI) == (ssize_t)size ? 0 : -1;
	case ORC_AIO:
		return write_aio(w, d->direct, size, offset);
	default:
		return pwrite(d->direct, w->block, size, offset) == (ssize_t)size ? 0 : -1;
	}
}

static int make_zeros(struct writer *w, const struct disk *d, uint64_t offset)
{
	bool discard = w->l->config.thread[w->thread].kind == ORC_DISCARD;
	uint64_t range[2] = {offset, ORC_SCRATCH_SIZE};
	int mode = discard ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;

	if (d->block && discard) {
		int ret = ioctl(d->direct, BLKDISCARD, range);

		if (!ret || errno != EOPNOTSUPP) /* what a layer does not pass on */
			return ret;
	}
	if (d->block)
		return ioctl(d->direct, BLKZEROOUT, range);
	return fallocate(d->direct, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, ORC_SCRATCH_SIZE);
}

static int do_step(struct writer *w, uint64_t step)
{
	uint64_t offset;
	const struct disk *d =
		&w->disks[orc_scratch_at(w->l, w->thread, orc_step_range(step), &offset)];

	offset += d->offset;
	if (!orc_step_fills(step))
		return make_zeros(w, d, offset);
	orc_make_scratch(w->l, w->thread, step, w->scratch);
	return pwrite(d->direct, w->scratch, ORC_SCRATCH_SIZE, (off_t)offset) == ORC_SCRATCH_SIZE
		       ? 0
		       : -1;
}

/* One block: what was seen is read before the write begins, completed is stored after it ended. */
static int do_block(struct writer *w, uint64_t seq)
{
	uint64_t seen[ORC_MAX_THREADS] = {0}, offset, start;
	const struct disk *d = &w->disks[orc_slot_at(w->l, w->thread, seq % w->l->ring, &offset)];

	if (w->l->scratcher[w->thread] >= 0 && do_step(w, seq - 1)) {
		fprintf(stderr, "oracle: thread %u: step %" PRIu64 " on %s failed: %m\n", w->thread,
			seq - 1, d->path);
		return -1;
	}
	for (uint32_t t = 0; t < w->l->config.threads; t++)
		seen[t] = __atomic_load_n(&w->progress->completed[t], __ATOMIC_ACQUIRE);
	orc_make_block(w->l, w->thread, seq, seen, w->block);
	start = now_ns();
	if (write_block(w, d, (off_t)(d->offset + offset))) {
		fprintf(stderr, "oracle: thread %u: write of block %" PRIu64 " to %s failed: %m\n",
			w->thread, seq, d->path);
		return -1;
	}
	start = now_ns() - start;
	if (start > w->longest_ns)
		w->longest_ns = start;
	__atomic_store_n(&w->progress->completed[w->thread], seq, __ATOMIC_RELEASE);
	return 0;
}

static void *write_thread(void *arg)
{
	struct writer *w = arg;

	while (!stopped) {
		if (do_block(w, w->seq + 1)) {
			w->status = 2;
			stopped = true;
			break;
		}
		w->seq++;
		if (w->pause_us)
			usleep(w->pause_us);
	}
	return NULL;
}

static struct orc_progress *map_progress(const char *path, const struct orc_layout *l)
{
	struct orc_progress *p;
	int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (path && (fd < 0 || ftruncate(fd, sizeof(*p)))) {
		fprintf(stderr, "oracle: cannot make %s: %m\n", path);
		return NULL;
	}
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | (path ? 0 : MAP_ANONYMOUS),
		 fd, 0);
	if (fd >= 0)
		close(fd);
	if (p == MAP_FAILED) {
		fprintf(stderr, "oracle: cannot map the progress file: %m\n");
		return NULL;
	}
	p->run = l->run;
	__atomic_store_n(&p->magic, ORC_MAGIC, __ATOMIC_RELEASE);
	return p;
}

static int load_layout(struct disk *disks, unsigned int count, struct orc_layout *l)
{
	uint8_t *sector = aligned(ORC_PAGE);
	struct orc_layout other = {0};
	uint32_t disk;
	int ret = -1;

	for (unsigned int i = 0; i < count; i++) {
		struct orc_layout *into = i ? &other : l;

		if (pread(disks[i].direct, sector, ORC_PAGE, (off_t)disks[i].offset) != ORC_PAGE ||
		    !orc_read_config(sector, into, &disk) || disk != i ||
		    into->config.disks != count || into->run != l->run) {
			fprintf(stderr, "oracle: %s is not disk %u of %u of this format\n",
				disks[i].path, i, count);
			goto out;
		}
	}
	ret = 0;
out:
	free(sector);
	return ret;
}

static int start_writer(struct writer *w)
{
	w->block = aligned(ORC_MAX_SIZE);
	w->scratch = aligned(ORC_SCRATCH_SIZE);
	if (syscall(SYS_io_setup, 1, &w->aio)) {
		fprintf(stderr, "oracle: io_setup: %m\n");
		return -1;
	}
	errno = pthread_create(&w->id, NULL, write_thread, w);
	if (errno) {
		fprintf(stderr, "oracle: cannot start a thread: %m\n");
		return -1;
	}
	return 0;
}

static void wait_until_stopped(unsigned int seconds)
{
	uint64_t end = now_ns() + (uint64_t)seconds * 1000000000;

	while (!stopped && (!seconds || now_ns() < end))
		usleep(20000);
	stopped = true;
}

static int run_writers(const struct orc_layout *l, const struct disk *disks,
		       const struct orc_write_options *options)
{
	struct writer writers[ORC_MAX_THREADS] = {0};
	struct orc_progress *progress = map_progress(options->progress, l);
	uint32_t started = 0;
	int status = progress ? 0 : 2;

	for (; !status && started < l->config.threads; started++) {
		writers[started] = (struct writer){.l = l,
						   .disks = disks,
						   .progress = progress,
						   .thread = started,
						   .pause_us = options->pause_us};
		if (start_writer(&writers[started])) {
			status = 2;
			stopped = true;
			break;
		}
	}
	if (!status)
		wait_until_stopped(options->seconds);
	for (uint32_t t = 0; t < started; t++) {
		struct writer *w = &writers[t];

		pthread_join(w->id, NULL);
		syscall(SYS_io_destroy, w->aio);
		free(w->block);
		free(w->scratch);
		if (w->status)
			status = w->status;
		printf("thread %u: %s %u: %" PRIu64 " blocks, longest %.1f ms\n", t,
		       orc_kind_names[l->config.thread[t].kind], l->config.thread[t].size, w->seq,
		       (double)w->longest_ns / 1e6);
	}
	return status;
}

int orc_write(char **args, unsigned int count, const struct orc_write_options *options)
{
	struct disk disks[ORC_MAX_DISKS] = {0};
	struct sigaction action = {.sa_handler = on_signal};
	struct orc_layout l;
	int status = 2;

	for (unsigned int i = 0; i < count; i++)
		if (disk_open(&disks[i], args[i]))
			return 2;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (!load_layout(disks, count, &l))
		status = run_writers(&l, disks, options);
	for (unsigned int i = 0; i < count; i++)
		disk_close(&disks[i]);
	return status;
}

int orc_format(const struct orc_layout *l, char **args)
{
	uint8_t *area = aligned(l->area);
	int status = 0;

	for (uint32_t i = 0; i < l->config.disks && !status; i++) {
		struct disk d = {0};

		if (disk_open(&d, args[i])) {
			status = 2;
			break;
		}
		orc_format_image(l, i, area);
		if (pwrite(d.direct, area, l->area, (off_t)d.offset) != (ssize_t)l->area ||
		    fsync(d.direct)) {
			fprintf(stderr,
				"oracle: cannot write %" PRIu64 " bytes to %s at %" PRIu64 ": %m\n",
				l->area, d.path, d.offset);
			status = 2;
		}
		disk_close(&d);
	}
	free(area);
	return status;
}
