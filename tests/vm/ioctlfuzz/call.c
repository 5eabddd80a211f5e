// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fuzz.h"

struct command {
	unsigned long request;
	const char *name;
	enum kind kind;
	uint32_t flags;
	unsigned int reserved; /* offset of the tail that must be 0 */
	unsigned int reserved0; /* offset of a word that must be 0, 0: none */
	unsigned int weight;
};

#define COMMAND(req, type, knd, ...)                                                               \
	{                                                                                          \
		.request = (req), .name = #req, .kind = (knd),                                     \
		.reserved = offsetof(struct type, reserved), __VA_ARGS__                           \
	}

static const struct command commands[] = {
	COMMAND(MOB_IOC_INFO, mob_info, KIND_CONTROL, .weight = 4),
	COMMAND(MOB_IOC_ATTACH, mob_attach, KIND_CONTROL, .flags = MOB_ATTACH_DIRTY, .weight = 6),
	COMMAND(MOB_IOC_OPEN, mob_open, KIND_CONTROL, .weight = 6),
	COMMAND(MOB_IOC_ADVANCE, mob_advance, KIND_CONTROL, .weight = 8),
	COMMAND(MOB_DISK_IOC_STATUS, mob_disk_status, KIND_DISK, .weight = 5,
		.reserved0 = offsetof(struct mob_disk_status, reserved0)),
	COMMAND(MOB_DISK_IOC_MARK, mob_range, KIND_DISK, .weight = 6),
	COMMAND(MOB_DISK_IOC_ACK, mob_ack, KIND_DISK, .weight = 3,
		.reserved0 = offsetof(struct mob_ack, reserved0)),
	COMMAND(MOB_DISK_IOC_THRESHOLD, mob_threshold, KIND_DISK, .weight = 3),
	COMMAND(MOB_DISK_IOC_GROW, mob_grow, KIND_DISK, .weight = 3),
	COMMAND(MOB_DISK_IOC_DETACH, mob_plain, KIND_DISK, .weight = 1),
	COMMAND(MOB_EPOCH_IOC_STATUS, mob_epoch_status, KIND_EPOCH, .weight = 5,
		.reserved0 = offsetof(struct mob_epoch_status, reserved0)),
	COMMAND(MOB_EPOCH_IOC_DRAIN, mob_drain, KIND_EPOCH, .weight = 8,
		.reserved0 = offsetof(struct mob_drain, reserved0)),
	COMMAND(MOB_EPOCH_IOC_COMMIT, mob_plain, KIND_EPOCH, .weight = 2),
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* Room for every argument. */
union argument {
	uint32_t head[2];
	unsigned char bytes[sizeof(struct mob_info)];
	struct mob_info info;
	struct mob_attach attach;
	struct mob_open open;
	struct mob_advance advance;
	struct mob_disk_status disk_status;
	struct mob_range range;
	struct mob_ack ack;
	struct mob_threshold threshold;
	struct mob_grow grow;
	struct mob_epoch_status epoch_status;
	struct mob_drain drain;
};

/* What is wrong with a call, if its answer can be told from that. */
enum flaw { FLAW_NONE, FLAW_POINTER, FLAW_VERSION, FLAW_INVALID };

static const struct command *pick_command(struct fuzz *f)
{
	unsigned int total = 0;
	uint64_t at;

	for (size_t i = 0; i < COMMANDS; i++)
		total += commands[i].weight;
	at = below(f, total);
	for (size_t i = 0;; i++) {
		if (at < commands[i].weight)
			return &commands[i];
		at -= commands[i].weight;
	}
}

/* A descriptor for a field: mostly of the kind that is wanted. */
static int some_fd(struct fuzz *f, enum kind kind)
{
	if (one_in(f, 8))
		return (int)fuzz_interesting(f);
	return table_pick(f, one_in(f, 8) ? KINDS : kind).fd;
}

static void fill(struct fuzz *f, const struct command *c, union argument *arg)
{
	switch (c->request) {
	case MOB_IOC_ATTACH:
		arg->attach.flags = (uint32_t)below(f, 2);
		arg->attach.bdev_fd = some_fd(f, KIND_BDEV);
		arg->attach.granule_shift =
			(uint32_t[]){0, 12, 16, 20, 24, 11, 25, 31, 32, (uint32_t)-1}[below(f, 10)];
		arg->attach.pool_limit = one_in(f, 2) ? 0 : fuzz_interesting(f);
		break;
	case MOB_IOC_OPEN:
		arg->open.bdev_fd = some_fd(f, KIND_BDEV);
		break;
	case MOB_DISK_IOC_MARK:
		arg->range.offset = one_in(f, 2) ? below(f, 1U << 26) : fuzz_interesting(f);
		arg->range.length = one_in(f, 2) ? below(f, 1U << 22) : fuzz_interesting(f);
		break;
	case MOB_DISK_IOC_ACK:
		arg->ack.events = (uint32_t)(one_in(f, 4) ? fuzz_interesting(f) : below(f, 8));
		break;
	case MOB_DISK_IOC_THRESHOLD:
		arg->threshold.dirty_bytes = one_in(f, 2) ? 0 : fuzz_interesting(f);
		break;
	case MOB_EPOCH_IOC_DRAIN:
		arg->drain.disk_id = (uint32_t)(one_in(f, 4) ? fuzz_interesting(f) : below(f, 64));
		break;
	default:
		break;
	}
}

/* Breaks what every argument has. */
static enum flaw spoil(struct fuzz *f, const struct command *c, union argument *arg, size_t size)
{
	uint32_t bit = 1U << below(f, 32);

	switch (below(f, 16)) {
	case 0:
		arg->head[0] = (uint32_t[]){0, 2, 255, (uint32_t)-1}[below(f, 4)];
		return FLAW_VERSION;
	case 1:
		arg->head[1] |= bit;
		return bit & c->flags ? FLAW_NONE : FLAW_INVALID;
	case 2:
		arg->bytes[c->reserved + below(f, size - c->reserved)] = (unsigned char)bit | 1;
		return FLAW_INVALID;
	case 3:
		if (!c->reserved0)
			return FLAW_NONE;
		arg->bytes[c->reserved0 + below(f, 4)] = 0x80;
		return FLAW_INVALID;
	case 4: /* all of it random, but where that would make a valid call */
		for (size_t i = 8; i < c->reserved; i++)
			arg->bytes[i] = (unsigned char)fuzz_random(f);
		if (!c->reserved0)
			return FLAW_NONE;
		arg->bytes[c->reserved0] |= 1;
		return FLAW_INVALID;
	default:
		return FLAW_NONE;
	}
}

/* Where the argument is: mostly where it can be read and written. */
static void *place(struct fuzz *f, const union argument *arg, size_t size, enum flaw *flaw)
{
	unsigned char *end = f->page + 4096;

	switch (below(f, 24)) {
	case 0:
		*flaw = FLAW_POINTER;
		return (void *[]){NULL,
				  (void *)8,
				  (void *)-1L,
				  (void *)(1UL << 47),
				  (void *)0xffff888000000000UL,
				  (void *)0xffffffff81000000UL}[below(f, 6)];
	case 1: /* its last byte is not there */
		*flaw = FLAW_POINTER;
		return end - size + 1;
	case 2: /* read-only: may be copied in, the answer cannot be copied out */
		memcpy(f->page, arg, size);
		return f->read_only;
	case 3: /* not aligned */
		memcpy(end - size - 3, arg, size);
		return end - size - 3;
	default:
		memcpy(end - size, arg, size);
		return end - size;
	}
}

/* A descriptor that a call has made. */
static void keep(struct fuzz *f, const struct command *c, const union argument *arg)
{
	switch (c->request) {
	case MOB_IOC_ATTACH:
		table_put(f, arg->attach.disk_fd, KIND_DISK);
		break;
	case MOB_IOC_OPEN:
		table_put(f, arg->open.disk_fd, KIND_DISK);
		break;
	case MOB_IOC_ADVANCE:
		table_put(f, arg->advance.epoch_fd, KIND_EPOCH);
		break;
	case MOB_EPOCH_IOC_DRAIN:
		table_put(f, arg->drain.drain_fd, KIND_DRAIN);
		break;
	default:
		break;
	}
}

static bool ended(const char *text, size_t size)
{
	return memchr(text, 0, size) != NULL;
}

/* What an answer must be, whatever else goes on. */
static void check_answer(const struct command *c, const union argument *arg)
{
	bool ok = true;

	switch (c->request) {
	case MOB_IOC_INFO:
		ok = ended(arg->info.mode_reason, MOB_REASON_BYTES) && arg->info.disks <= 64 &&
		     (arg->info.mode == MOB_MODE_HOOK || arg->info.mode == MOB_MODE_TRACK_ONLY);
		break;
	case MOB_IOC_ATTACH:
		ok = arg->attach.granule_shift >= MOB_GRANULE_SHIFT_MIN &&
		     arg->attach.granule_shift <= MOB_GRANULE_SHIFT_MAX && arg->attach.size;
		break;
	case MOB_DISK_IOC_STATUS:
		ok = arg->disk_status.size && !(arg->disk_status.events & ~7U);
		break;
	case MOB_DISK_IOC_GROW:
		ok = arg->grow.size > 0;
		break;
	case MOB_IOC_ADVANCE:
		ok = arg->advance.disks > 0 && arg->advance.epoch > 0;
		break;
	case MOB_EPOCH_IOC_STATUS:
		ok = ended(arg->epoch_status.torn_reason, MOB_REASON_BYTES) &&
		     (arg->epoch_status.state == MOB_EPOCH_CLOSING ||
		      arg->epoch_status.state == MOB_EPOCH_SEALED) &&
		     !arg->epoch_status.torn_reason[0] == !(arg->epoch_status.result & 1);
		break;
	case MOB_EPOCH_IOC_DRAIN:
		ok = arg->drain.dirty_granules <= arg->drain.granules &&
		     arg->drain.bitmap_bytes * 8 >= arg->drain.granules &&
		     arg->drain.bitmap_bytes % 4096 == 0;
		break;
	default:
		break;
	}
	if (!ok)
		broken("%s answers what cannot be", c->name);
}

/* A call that a descriptor of ours does not have; a drain has none, so none is refused for want of privileges. */
static int unknown_error(enum kind kind)
{
	return settings.denied && kind != KIND_DRAIN ? EPERM : ENOTTY;
}

/* Of a descriptor that was the same throughout. */
static void check_refusal(const struct command *c, const struct held *h, enum flaw flaw, int error)
{
	int expected = 0;

	if (h->kind < KIND_BDEV && h->kind != c->kind)
		expected = unknown_error(h->kind);
	else if (settings.denied)
		expected = h->kind < KIND_BDEV ? EPERM : 0;
	else if (h->kind != c->kind)
		return;
	else if (flaw == FLAW_POINTER)
		expected = EFAULT;
	else if (flaw == FLAW_VERSION)
		expected = EPROTONOSUPPORT;
	else if (flaw == FLAW_INVALID)
		expected = EINVAL;
	if (expected && error != expected)
		broken("%s on a descriptor of kind %d, flaw %d: %s, expected %s", c->name, h->kind,
		       flaw, error ? strerrorname_np(error) : "success", strerrorname_np(expected));
}

static int issue(struct fuzz *f, int fd, unsigned long request, void *arg)
{
	char number[16];
	ssize_t n;
	int error;

	if (f->fail_nth >= 0 && one_in(f, 4)) {
		n = snprintf(number, sizeof(number), "%u", 1 + (unsigned int)below(f, 12));
		if (pwrite(f->fail_nth, number, (size_t)n, 0) != n)
			broken("cannot ask for a fault: %s", strerror(errno));
		error = ioctl(fd, request, arg) ? errno : 0;
		if (pwrite(f->fail_nth, "0", 1, 0) != 1)
			broken("cannot end asking for a fault: %s", strerror(errno));
	} else {
		error = ioctl(fd, request, arg) ? errno : 0;
	}
	f->calls++;
	f->accepted += !error;
	return error;
}

/* A number that means nothing to any of ours: its direction and size are taken from elsewhere. */
static void call_unknown(struct fuzz *f)
{
	struct held h = table_pick(f, (enum kind)below(f, KIND_BDEV));
	unsigned long request = _IOC(below(f, 4), MOB_IOC_MAGIC, 0x60 + below(f, 0xa0),
				     below(f, 1U << _IOC_SIZEBITS));
	int error = issue(f, h.fd, request, f->page);

	if (h.kind < KIND_BDEV && table_unchanged(&h) && error != unknown_error(h.kind))
		broken("an unknown ioctl gives %s", error ? strerrorname_np(error) : "success");
}

void call_one(struct fuzz *f)
{
	const struct command *c = pick_command(f);
	struct held h = table_pick(f, one_in(f, 12) ? KINDS : c->kind);
	size_t size = _IOC_SIZE(c->request);
	union argument arg;
	enum flaw flaw;
	void *at;
	int error;

	if (one_in(f, 32)) {
		call_unknown(f);
		return;
	}
	memset(&arg, 0, sizeof(arg));
	arg.head[0] = MOB_UAPI_VERSION;
	fill(f, c, &arg);
	flaw = spoil(f, c, &arg, size);
	at = place(f, &arg, size, &flaw);
	error = issue(f, h.fd, c->request, at);
	if (table_unchanged(&h))
		check_refusal(c, &h, flaw, error);
	if (error)
		return;
	if (settings.denied)
		broken("%s is granted without CAP_SYS_ADMIN", c->name);
	memcpy(&arg, at, size);
	keep(f, c, &arg);
	check_answer(c, &arg);
}
