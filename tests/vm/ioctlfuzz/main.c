// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define THREADS 4

struct settings settings;

static const char *module;
static atomic_bool stop;
static pthread_barrier_t all_prepared; /* before anybody runs the process short of descriptors */
static uint64_t calls, accepted, walks, denied;

void broken(const char *format, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "ioctlfuzz: %s\n", text);
	_exit(3);
}

uint64_t fuzz_random(struct fuzz *f)
{
	uint64_t z = f->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

uint64_t fuzz_interesting(struct fuzz *f)
{
	static const uint64_t values[] = {0,	      1,	 2,	     4095,
					  4096,	      4097,	 INT32_MAX,  UINT32_MAX,
					  1ULL << 32, INT64_MAX, UINT64_MAX, 64ULL << 20};

	switch (below(f, 4)) {
	case 0:
		return fuzz_random(f);
	case 1:
		return 1ULL << below(f, 64);
	case 2:
		return below(f, 1U << 20);
	default:
		return values[below(f, sizeof(values) / sizeof(values[0]))] - below(f, 2);
	}
}

/* The same page twice, writable and not, and nothing behind it. */
static void prepare(struct fuzz *f, unsigned int number, uint64_t seed)
{
	int fd = memfd_create("arguments", MFD_CLOEXEC);
	char path[64];
	void *at;

	*f = (struct fuzz){.random = seed ^ (number * 0x1000003ULL), .number = number};
	f->page = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	f->buffer = malloc(BUFFER_BYTES);
	if (fd < 0 || ftruncate(fd, 4096) || f->page == MAP_FAILED || !f->buffer)
		broken("no memory");
	at = mmap(f->page, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	if (at != f->page)
		broken("no memory");
	f->read_only = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", gettid());
	f->fail_nth = settings.faults ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (settings.faults && f->fail_nth < 0)
		broken("the kernel injects no faults: %s", strerror(errno));
}

static void release(struct fuzz *f)
{
	op_unmap_all(f);
	munmap(f->read_only, 4096);
	munmap(f->page, 8192);
	free(f->buffer);
	if (f->fail_nth >= 0)
		close(f->fail_nth);
}

static void *fuzzer(void *arg)
{
	struct fuzz *f = arg;

	prepare(f, f->number, f->random);
	pthread_barrier_wait(&all_prepared);
	while (!atomic_load(&stop)) {
		if (one_in(f, 3))
			op_one(f);
		else
			call_one(f);
	}
	release(f);
	return NULL;
}

static void fuzz_for(unsigned int seconds, uint64_t seed)
{
	static struct fuzz threads[THREADS];
	pthread_t ids[THREADS];

	atomic_store(&stop, false);
	if (pthread_barrier_init(&all_prepared, NULL, THREADS))
		broken("no barrier");
	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i] = (struct fuzz){.random = seed, .number = i};
		if (pthread_create(&ids[i], NULL, fuzzer, &threads[i]))
			broken("no thread");
	}
	sleep(seconds);
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(ids[i], NULL);
		calls += threads[i].calls;
		accepted += threads[i].accepted;
		walks += threads[i].walks;
	}
	pthread_barrier_destroy(&all_prepared);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){512, 1024});
}

/* --- the module --- */

static void module_load(struct fuzz *f)
{
	const char *parameters = one_in(f, 2) ? "" : "pool_bytes=262144";
	int fd = open(module, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, parameters, 0))
		broken("%s cannot be loaded: %s", module, strerror(errno));
	close(fd);
}

static int control_open(void)
{
	int fd = open("/dev/" MOB_DEVICE_NAME, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		broken("/dev/" MOB_DEVICE_NAME ": %s", strerror(errno));
	return fd;
}

static void detach_all(int control)
{
	struct mob_plain plain = {.version = MOB_UAPI_VERSION};

	for (unsigned int i = 0; i < settings.devices; i++) {
		struct mob_open arg = {.version = MOB_UAPI_VERSION};

		arg.bdev_fd = open(settings.device[i], O_RDONLY | O_CLOEXEC);
		if (!ioctl(control, MOB_IOC_OPEN, &arg)) {
			if (ioctl(arg.disk_fd, MOB_DISK_IOC_DETACH, &plain))
				broken("detach: %s", strerror(errno));
			close(arg.disk_fd);
		} else if (errno != ENODEV) {
			broken("open of a disk: %s", strerror(errno));
		}
		close(arg.bdev_fd);
	}
}

/* Nothing is left of what the descriptors held; what is abandoned goes in its own time. */
static void expect_empty(int control)
{
	struct mob_info info = {.version = MOB_UAPI_VERSION};

	for (int tries = 0; tries < 500; tries++) {
		if (ioctl(control, MOB_IOC_INFO, &info))
			broken("info: %s", strerror(errno));
		if (!info.disks && !info.pool_used)
			return;
		usleep(10000);
	}
	broken("5 s after all is closed and detached %u disks and %llu bytes of the pool are in use",
	       info.disks, (unsigned long long)info.pool_used);
}

static void module_unload(void)
{
	/* A descriptor that a killed process had may still be on its way out. */
	for (int tries = 0; syscall(SYS_delete_module, MOB_DEVICE_NAME, O_NONBLOCK); tries++) {
		if (tries == 500)
			broken("the module cannot be unloaded: %s", strerror(errno));
		usleep(10000);
	}
}

/* One life of the module: it is loaded and unloaded while the disks are written to. */
static void round_one(struct fuzz *f, unsigned int seconds, bool load)
{
	uint64_t seed = fuzz_random(f);
	int control;

	if (load)
		load_start(seed);
	module_load(f);
	control = control_open();
	table_init();
	fuzz_for(seconds, seed);
	denied += deny_all(f, seed);
	table_close_all();
	op_unmap_all(f);
	if (load)
		load_stop();
	detach_all(control); /* with a granule and a share of the pool that others chose */
	if (walk(f, true))
		broken("with nobody else a round fails");
	if (load)
		load_start(seed + 1);
	if (one_in(f, 2)) {
		detach_all(control);
		expect_empty(control);
	}
	close(control);
	module_unload();
	if (load)
		load_stop();
}

static void usage(void)
{
	broken("usage: ioctlfuzz [--faults] [--idle] SEED ROUNDS SECONDS MODULE DEVICE...");
}

int main(int argc, char **argv)
{
	bool load = true;
	struct fuzz f;
	uint64_t seed;

	for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
		if (!strcmp(argv[1], "--faults"))
			settings.faults = true;
		else if (!strcmp(argv[1], "--idle"))
			load = false;
		else
			usage();
	}
	if (argc < 6 || argc > 5 + DEVICES_MAX)
		usage();
	seed = strtoull(argv[1], NULL, 0);
	module = argv[4];
	for (int i = 5; i < argc; i++)
		settings.device[settings.devices++] = argv[i];
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){512, 1024});
	prepare(&f, 99, seed);
	for (long i = 0; i < strtol(argv[2], NULL, 0); i++)
		round_one(&f, (unsigned int)strtoul(argv[3], NULL, 0), load);
	release(&f);
	printf("seed=%llu calls=%llu accepted=%llu rounds=%llu refused=%llu\n",
	       (unsigned long long)seed, (unsigned long long)calls, (unsigned long long)accepted,
	       (unsigned long long)walks, (unsigned long long)denied);
	return 0;
}
