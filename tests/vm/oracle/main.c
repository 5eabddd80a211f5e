// SPDX-License-Identifier: Apache-2.0
#include "oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const char usage_text[] =
	"usage: oracle format [--threads KIND:SIZE,...] [--rows N] DISK...\n"
	"       oracle write [--seconds S] [--pause US] [--progress FILE] DISK...\n"
	"       oracle verify [--at-least FILE] [--at-most FILE] [--verbose] IMAGE...\n"
	"       oracle selftest [--rounds N] [--seed N]\n"
	"DISK, IMAGE: PATH[@OFFSET], always the same order. KIND: direct dsync buffered vector nowait\n"
	"hipri aio zero discard. verify ends with 0: holds a consistent prefix, 1: violated, 2: error.\n";

static const char default_threads[] =
	"direct:512,direct:4096,dsync:1536,direct:65536,buffered:8192,vector:12288,nowait:3584,"
	"aio:16384,hipri:2048,zero:512,discard:1024,direct:24576";

static int usage(void)
{
	fputs(usage_text, stderr);
	return 2;
}

static bool parse_thread(const char *word, struct orc_thread *thread)
{
	const char *colon = strchr(word, ':');
	char *end;

	if (!colon)
		return false;
	thread->size = (uint32_t)strtoul(colon + 1, &end, 10);
	for (thread->kind = 0; thread->kind < ORC_KINDS; thread->kind++)
		if (strlen(orc_kind_names[thread->kind]) == (size_t)(colon - word) &&
		    !strncmp(orc_kind_names[thread->kind], word, (size_t)(colon - word)))
			return !*end && end != colon + 1;
	return false;
}

static bool parse_threads(const char *spec, struct orc_config *config)
{
	char *copy = strdup(spec), *save = NULL;
	bool ok = copy;

	for (char *word = ok ? strtok_r(copy, ",", &save) : NULL; word && ok;
	     word = strtok_r(NULL, ",", &save))
		ok = config->threads < ORC_MAX_THREADS &&
		     parse_thread(word, &config->thread[config->threads++]);
	if (!ok)
		fprintf(stderr, "oracle: '%s' is not a list of up to %u KIND:SIZE\n", spec,
			ORC_MAX_THREADS);
	free(copy);
	return ok;
}

static int cmd_format(const char *threads, unsigned int rows, char **disks, int count)
{
	struct orc_config config = {.disks = (uint32_t)count, .rows = rows};
	struct orc_layout l;
	uint64_t run;

	if (!parse_threads(threads, &config))
		return 2;
	if (getrandom(&run, sizeof(run), 0) != sizeof(run)) {
		fprintf(stderr, "oracle: getrandom: %m\n");
		return 2;
	}
	if (!orc_layout_init(&l, &config, run) || orc_format(&l, disks))
		return 2;
	printf("%" PRIu64 " bytes on each of %d disks, %u threads, rings of %u blocks\n", l.area,
	       count, config.threads, l.ring);
	return 0;
}

static bool read_progress(const char *path, uint64_t run, struct orc_progress *p)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok = fd >= 0 && read(fd, p, sizeof(*p)) == sizeof(*p) && p->magic == ORC_MAGIC &&
		  p->run == run;

	if (fd >= 0)
		close(fd);
	if (!ok)
		fprintf(stderr, "oracle: %s is not a progress file of this run\n", path);
	return ok;
}

/* Reads an image's area; the layout comes with the first. */
static bool read_image(const char *arg, uint32_t number, struct orc_layout *l,
		       struct orc_image *image)
{
	uint8_t sector[ORC_PAGE];
	struct orc_layout own;
	uint64_t offset;
	uint32_t disk;
	bool ok = false;
	int fd;

	if (!orc_split_disk(arg, image->name, &offset)) {
		fprintf(stderr, "oracle: '%s' is not PATH[@OFFSET]\n", arg);
		return false;
	}
	fd = open(image->name, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, sector, sizeof(sector), (off_t)offset) != sizeof(sector)) {
		fprintf(stderr, "oracle: cannot read %s: %m\n", image->name);
	} else if (!orc_read_config(sector, &own, &disk) || disk != number ||
		   (number && own.run != l->run)) {
		fprintf(stderr, "oracle: %s does not hold disk %u of this run\n", image->name,
			number);
	} else {
		*l = own;
		image->data = malloc(own.area);
		ok = image->data &&
		     pread(fd, image->data, own.area, (off_t)offset) == (ssize_t)own.area;
		if (!ok)
			fprintf(stderr, "oracle: cannot read %" PRIu64 " bytes of %s: %m\n",
				own.area, image->name);
	}
	if (fd >= 0)
		close(fd);
	return ok;
}

static void print_report(const struct orc_layout *l, const struct orc_report *r, bool verbose)
{
	printf("oracle: %s:", r->total ? "VIOLATED" : "consistent");
	for (uint32_t t = 0; t < l->config.threads; t++)
		printf(" %" PRIu64 "%s", r->state[t].prefix,
		       r->state[t].newest > r->state[t].prefix ? "+" : "");
	putchar('\n');
	for (uint32_t t = 0; verbose && t < l->config.threads; t++)
		printf("  thread %u: %s %u: blocks 1-%" PRIu64 "%s\n", t,
		       orc_kind_names[l->config.thread[t].kind], l->config.thread[t].size,
		       r->state[t].prefix,
		       r->state[t].newest > r->state[t].prefix ? ", part of the next" : "");
	for (int kind = 0; kind < ORC_VIOLATIONS; kind++)
		if (r->count[kind])
			printf("  %u x %s\n", r->count[kind], orc_violation_names[kind]);
}

static int cmd_verify(const char *least_path, const char *most_path, bool verbose, char **args,
		      uint32_t count)
{
	struct orc_image images[ORC_MAX_DISKS] = {0};
	struct orc_progress least, most;
	struct orc_report report = {0};
	struct orc_layout l = {0};
	int status = 2;

	for (uint32_t i = 0; i < count; i++)
		if (!read_image(args[i], i, &l, &images[i]))
			goto out;
	if (l.config.disks != count) {
		fprintf(stderr, "oracle: %u images given, the run has %u disks\n", count,
			l.config.disks);
		goto out;
	}
	if ((least_path && !read_progress(least_path, l.run, &least)) ||
	    (most_path && !read_progress(most_path, l.run, &most)))
		goto out;
	status = orc_verify(&l, images, least_path ? &least : NULL, most_path ? &most : NULL,
			    &report)
			 ? 1
			 : 0;
	print_report(&l, &report, verbose);
out:
	for (uint32_t i = 0; i < count; i++)
		free(images[i].data);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"threads", required_argument, NULL, 't'},
						{"rows", required_argument, NULL, 'r'},
						{"seconds", required_argument, NULL, 's'},
						{"pause", required_argument, NULL, 'u'},
						{"progress", required_argument, NULL, 'p'},
						{"at-least", required_argument, NULL, 'l'},
						{"at-most", required_argument, NULL, 'm'},
						{"verbose", no_argument, NULL, 'v'},
						{"rounds", required_argument, NULL, 'n'},
						{"seed", required_argument, NULL, 'e'},
						{0}};
	const char *threads = default_threads, *least = NULL, *most = NULL;
	struct orc_write_options write_options = {0};
	unsigned int rows = 8, rounds = 50;
	uint64_t seed = 1;
	bool verbose = false;
	uint32_t count;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 't':
			threads = optarg;
			break;
		case 'r':
			rows = (unsigned int)atoi(optarg);
			break;
		case 's':
			write_options.seconds = (unsigned int)atoi(optarg);
			break;
		case 'u':
			write_options.pause_us = (unsigned int)atoi(optarg);
			break;
		case 'p':
			write_options.progress = optarg;
			break;
		case 'l':
			least = optarg;
			break;
		case 'm':
			most = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		case 'n':
			rounds = (unsigned int)atoi(optarg);
			break;
		case 'e':
			seed = strtoull(optarg, NULL, 0);
			break;
		default:
			return usage();
		}
	}
	if (optind >= argc)
		return usage();
	argv += optind;
	count = (uint32_t)(argc - optind - 1);
	if (!strcmp(argv[0], "selftest") && !count)
		return orc_selftest(rounds, seed);
	if (count < 1 || count > ORC_MAX_DISKS)
		return usage();
	if (!strcmp(argv[0], "format"))
		return cmd_format(threads, rows, argv + 1, (int)count);
	if (!strcmp(argv[0], "write"))
		return orc_write(argv + 1, count, &write_options);
	if (!strcmp(argv[0], "verify"))
		return cmd_verify(least, most, verbose, argv + 1, count);
	return usage();
}
