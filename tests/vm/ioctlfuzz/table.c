// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* fd and kind are one word, so that they are read together. */
static struct slot {
	_Atomic uint64_t word; /* kind << 32 | fd + 1; 0: empty */
	atomic_uint generation;
} slots[SLOTS];

static uint64_t pack(int fd, enum kind kind)
{
	return (uint64_t)kind << 32 | (uint32_t)(fd + 1);
}

static struct held unpack(unsigned int slot, unsigned int generation, uint64_t word)
{
	return (struct held){
		.fd = (int)(uint32_t)word - 1,
		.kind = word ? (enum kind)(word >> 32) : KIND_OTHER,
		.slot = slot,
		.generation = generation,
	};
}

void table_init(void)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		atomic_store(&slots[i].word, 0);
		atomic_store(&slots[i].generation, 0);
	}
}

struct held table_pick(struct fuzz *f, enum kind kind)
{
	unsigned int first = (unsigned int)below(f, SLOTS);
	struct held h = {0};

	for (unsigned int i = 0; i < SLOTS; i++) {
		unsigned int slot = (first + i) % SLOTS;
		unsigned int generation = atomic_load(&slots[slot].generation);

		h = unpack(slot, generation, atomic_load(&slots[slot].word));
		if (kind == KINDS || (h.fd >= 0 && h.kind == kind))
			break;
	}
	return h;
}

bool table_unchanged(const struct held *h)
{
	return !settings.unsure && !(h->generation & 1) && h->fd >= 0 &&
	       atomic_load(&slots[h->slot].generation) == h->generation;
}

/* One thread changes a slot at a time: who makes its generation odd. */
static bool slot_begin(struct slot *s)
{
	unsigned int generation = atomic_load(&s->generation);

	return !(generation & 1) &&
	       atomic_compare_exchange_strong(&s->generation, &generation, generation + 1);
}

static void slot_replace(struct slot *s, uint64_t word)
{
	uint64_t old = atomic_exchange(&s->word, word);

	if (old)
		close((int)(uint32_t)old - 1);
	atomic_fetch_add(&s->generation, 1);
}

void table_put(struct fuzz *f, int fd, enum kind kind)
{
	struct slot *s;

	do
		s = &slots[below(f, SLOTS)];
	while (!slot_begin(s));
	slot_replace(s, pack(fd, kind));
}

void table_drop(const struct held *h)
{
	struct slot *s = &slots[h->slot];

	if (slot_begin(s))
		slot_replace(s, 0);
}

void table_close_all(void)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (slot_begin(&slots[i]))
			slot_replace(&slots[i], 0);
}

static int open_other(struct fuzz *f)
{
	int ends[2];

	switch (below(f, 5)) {
	case 0:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	case 1:
		return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	case 2:
		return memfd_create("fuzz", MFD_CLOEXEC);
	case 3:
		if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
			return -1;
		close(ends[1]);
		return ends[0];
	default:
		return open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	}
}

int table_open(struct fuzz *f, enum kind *kind)
{
	switch (below(f, 6)) {
	case 0:
		*kind = KIND_OTHER;
		return open_other(f);
	case 1:
	case 2:
		*kind = KIND_BDEV;
		return open(settings.device[below(f, settings.devices)],
			    O_RDONLY | O_CLOEXEC | (one_in(f, 2) ? O_NONBLOCK : 0));
	default:
		*kind = KIND_CONTROL;
		return open("/dev/" MOB_DEVICE_NAME,
			    (int[]){O_RDWR, O_RDONLY, O_WRONLY}[below(f, 3)] | O_CLOEXEC);
	}
}
