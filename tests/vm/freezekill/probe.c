// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "freezekill.h"

#define PROBES_MAX 16

static struct probe {
	int fd;
	_Atomic uint64_t since_us; /* of the write under way; 0: none */
	_Atomic uint64_t worst_us;
} probes[PROBES_MAX];
static int probe_count;

static void *probe_main(void *arg)
{
	struct probe *p = arg;
	uint64_t began, took;

	for (uint64_t n = 0;; n++) {
		began = now_us();
		atomic_store(&p->since_us, began);
		if (pwrite(p->fd, &n, sizeof(n), 0) != sizeof(n))
			die("a probe cannot write");
		took = now_us() - began;
		atomic_store(&p->since_us, 0);
		if (took > atomic_load(&p->worst_us))
			atomic_store(&p->worst_us, took);
		usleep(2000);
	}
	return NULL;
}

void probe_start(char **files, int count)
{
	for (int i = 0; i < count && i < PROBES_MAX; i++) {
		pthread_t thread;

		probes[i].fd = open(files[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (probes[i].fd < 0)
			die("cannot open %s", files[i]);
		if (pthread_create(&thread, NULL, probe_main, &probes[i]))
			die("cannot start a thread");
		probe_count++;
	}
}

uint64_t probe_waiting_us(void)
{
	uint64_t worst = 0, now = now_us();

	for (int i = 0; i < probe_count; i++) {
		uint64_t since = atomic_load(&probes[i].since_us);

		if (since && now > since && now - since > worst)
			worst = now - since;
	}
	return worst;
}

uint64_t probe_worst_us(bool reset)
{
	uint64_t worst = probe_waiting_us();

	for (int i = 0; i < probe_count; i++) {
		uint64_t w = reset ? atomic_exchange(&probes[i].worst_us, 0)
				   : atomic_load(&probes[i].worst_us);

		worst = w > worst ? w : worst;
	}
	return worst;
}
