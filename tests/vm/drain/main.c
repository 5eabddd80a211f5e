// SPDX-License-Identifier: Apache-2.0
#include "drain.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage_text[] =
	"usage: drain info\n"
	"       drain attach [--granule-shift N] [--pool BYTES] [--dirty] DEVICE...\n"
	"       drain status DEVICE...\n"
	"       drain mark --offset N --length N DEVICE...\n"
	"       drain grow DEVICE... (take the size that it has now)\n"
	"       drain detach DEVICE...\n"
	"       drain diff DEVICE=REPLICA... (in how many granules do they differ?)\n"
	"       drain run [OPTION...] DEVICE=REPLICA...\n"
	"       drain hold [--until closing|sealed|reading|read] [--commit] [OPTION...] "
	"DEVICE=REPLICA...\n"
	"run takes boundaries of the attached devices and applies each epoch to the replicas:\n"
	"  --epochs N (0: until SIGTERM)  --interval MS  --abort-every N  --torn-ok  --random-order\n"
	"  --delay US  --read KIB  --progress FILE (kept as FILE.before, FILE.after)  --check COMMAND\n"
	"  --bypass (reads the disk, not the epoch: for showing that a check can fail)\n"
	"hold takes a boundary, goes on with its epoch to a stage and waits there for SIGTERM; then it\n"
	"closes the epoch, or reads it to its end and commits it.\n";

struct arguments {
	struct run_options run;
	uint32_t granule_shift;
	uint64_t pool, offset, length;
	bool dirty;
	struct source sources[DISKS_MAX];
	unsigned int count;
};

static int usage(void)
{
	fputs(usage_text, stderr);
	return 2;
}

static int cmd_info(int control)
{
	struct mob_info i;

	if (mob_info(control, &i))
		return 1;
	printf("mode=%u disks=%u epoch=%" PRIu64 " committed_epoch=%" PRIu64 " pool_limit=%" PRIu64
	       " pool_used=%" PRIu64 " boundaries=%" PRIu64 " torn_epochs=%" PRIu64
	       " held_writes=%" PRIu64 " held_max_us=%" PRIu64 " held_total_us=%" PRIu64
	       " reason='%.*s'\n",
	       i.mode, i.disks, (uint64_t)i.epoch, (uint64_t)i.committed_epoch,
	       (uint64_t)i.pool_limit, (uint64_t)i.pool_used, (uint64_t)i.boundaries,
	       (uint64_t)i.torn_epochs, (uint64_t)i.held_writes, (uint64_t)i.held_max_ns / 1000,
	       (uint64_t)i.held_total_ns / 1000, MOB_REASON_BYTES, i.mode_reason);
	return 0;
}

static int cmd_status(const struct source *s)
{
	struct mob_disk_status d;

	if (mob_disk_status(s, &d))
		return 1;
	printf("device=%s granule=%u events=%u size=%" PRIu64 " dirty_granules=%" PRIu64
	       " writes=%" PRIu64 " written_bytes=%" PRIu64 " preserved_granules=%" PRIu64
	       " held_writes=%" PRIu64 " held_max_us=%" PRIu64 " failed_writes=%" PRIu64
	       " bitmap_bytes=%" PRIu64 " pool_limit=%" PRIu64 " pool_used=%" PRIu64 "\n",
	       s->device, 1u << d.granule_shift, d.events, (uint64_t)d.size,
	       (uint64_t)d.dirty_granules, (uint64_t)d.writes, (uint64_t)d.written_bytes,
	       (uint64_t)d.preserved_granules, (uint64_t)d.held_writes,
	       (uint64_t)d.held_max_ns / 1000, (uint64_t)d.failed_writes, (uint64_t)d.bitmap_bytes,
	       (uint64_t)d.pool_limit, (uint64_t)d.pool_used);
	return 0;
}

static bool parse_options(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {{"epochs", required_argument, NULL, 'e'},
						{"interval", required_argument, NULL, 'i'},
						{"abort-every", required_argument, NULL, 'a'},
						{"torn-ok", no_argument, NULL, 't'},
						{"random-order", no_argument, NULL, 'r'},
						{"delay", required_argument, NULL, 'd'},
						{"read", required_argument, NULL, 'k'},
						{"progress", required_argument, NULL, 'p'},
						{"check", required_argument, NULL, 'c'},
						{"bypass", no_argument, NULL, 'b'},
						{"until", required_argument, NULL, 'u'},
						{"commit", no_argument, NULL, 'C'},
						{"dirty", no_argument, NULL, 'D'},
						{"granule-shift", required_argument, NULL, 'g'},
						{"pool", required_argument, NULL, 'P'},
						{"offset", required_argument, NULL, 'o'},
						{"length", required_argument, NULL, 'l'},
						{0}};
	int c, stage;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'e':
			a->run.epochs = (unsigned int)atoi(optarg);
			break;
		case 'i':
			a->run.interval_ms = (unsigned int)atoi(optarg);
			break;
		case 'a':
			a->run.abort_every = (unsigned int)atoi(optarg);
			break;
		case 't':
			a->run.torn_ok = true;
			break;
		case 'r':
			a->run.random_order = true;
			break;
		case 'b':
			a->run.bypass = true;
			break;
		case 'd':
			a->run.delay_us = (unsigned int)atoi(optarg);
			break;
		case 'k':
			a->run.read_kib = (unsigned int)atoi(optarg);
			break;
		case 'p':
			a->run.progress = optarg;
			break;
		case 'c':
			a->run.check = optarg;
			break;
		case 'u':
			stage = hold_stage(optarg);
			if (stage < 0)
				return false;
			a->run.until = (enum hold_stage)stage;
			break;
		case 'C':
			a->run.commit = true;
			break;
		case 'D':
			a->dirty = true;
			break;
		case 'g':
			a->granule_shift = (uint32_t)atoi(optarg);
			break;
		case 'P':
			a->pool = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			a->offset = strtoull(optarg, NULL, 0);
			break;
		case 'l':
			a->length = strtoull(optarg, NULL, 0);
			break;
		default:
			return false;
		}
	}
	return true;
}

static int open_source(struct source *s, char *arg, bool with_replica)
{
	char *equals = strchr(arg, '=');

	*s = (struct source){
		.device = arg, .bdev_fd = -1, .direct_fd = -1, .disk_fd = -1, .replica_fd = -1};
	if (with_replica != (equals != NULL)) {
		fprintf(stderr, "drain: '%s': %s\n", arg,
			with_replica ? "DEVICE=REPLICA is needed" : "a device is needed");
		return -1;
	}
	if (equals) {
		*equals = 0;
		s->replica = equals + 1;
		s->replica_fd = open(s->replica, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (s->replica_fd < 0) {
			fprintf(stderr, "drain: cannot open %s: %s\n", s->replica, strerror(errno));
			return -1;
		}
	}
	s->bdev_fd = open(s->device, O_RDONLY | O_CLOEXEC);
	s->direct_fd = open(s->device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (s->bdev_fd < 0 || s->direct_fd < 0) {
		fprintf(stderr, "drain: cannot open %s: %s\n", s->device, strerror(errno));
		return -1;
	}
	return 0;
}

/* attach, status, mark, detach: one device after another */
static int cmd_each(int control, const char *command, struct arguments *a)
{
	int ret = 0;

	for (unsigned int i = 0; i < a->count && !ret; i++) {
		struct source *s = &a->sources[i];

		if (!strcmp(command, "attach"))
			ret = mob_attach(control, s, a->granule_shift, a->pool, a->dirty);
		else
			ret = mob_reopen(control, s);
		if (ret)
			break;
		if (!strcmp(command, "status") || !strcmp(command, "attach"))
			ret = cmd_status(s);
		else if (!strcmp(command, "mark"))
			ret = mob_mark(s, a->offset, a->length);
		else if (!strcmp(command, "grow"))
			ret = mob_grow(s);
		else
			ret = mob_detach(s);
	}
	return ret ? 1 : 0;
}

static int cmd_diff(const struct arguments *a)
{
	uint64_t granules;

	for (unsigned int i = 0; i < a->count; i++) {
		if (diff(&a->sources[i], &granules))
			return 1;
		printf("device=%s differing_granules=%" PRIu64 "\n", a->sources[i].device,
		       granules);
	}
	return 0;
}

/* run, hold, diff: devices and their replicas */
static int cmd_pairs(int control, const char *command, struct arguments *a)
{
	for (unsigned int i = 0; i < a->count; i++)
		if (mob_reopen(control, &a->sources[i]))
			return 1;
	if (!strcmp(command, "diff"))
		return cmd_diff(a);
	if (!strcmp(command, "hold"))
		return hold(control, a->sources, a->count, &a->run);
	return run(control, a->sources, a->count, &a->run);
}

int main(int argc, char **argv)
{
	static const char *const each[] = {"attach", "status", "mark", "grow", "detach"};
	struct arguments a = {.run.read_kib = 1024};
	const char *command = argc > 1 ? argv[1] : "";
	bool pairs =
		!strcmp(command, "run") || !strcmp(command, "hold") || !strcmp(command, "diff");
	int control;

	if (argc < 2 || !parse_options(argc - 1, argv + 1, &a))
		return usage();
	argv += optind + 1;
	control = mob_open();
	if (control < 0)
		return 1;
	if (!strcmp(command, "info"))
		return cmd_info(control);
	for (; *argv && a.count < DISKS_MAX; argv++)
		if (open_source(&a.sources[a.count++], *argv, pairs))
			return 1;
	if (!a.count || *argv)
		return usage();
	if (pairs)
		return cmd_pairs(control, command, &a);
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		if (!strcmp(command, each[i]))
			return cmd_each(control, command, &a);
	return usage();
}
