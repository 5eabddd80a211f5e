// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/ctl/actions.h"
#include "lib/cleanup.h"
#include "lib/clock.h"

static void usage(FILE *to)
{
	fputs("usage: mobilityctl [--config FILE] COMMAND\n"
	      "  enroll HOST[:PORT] --fingerprint sha256:HEX --token-file FILE|-\n"
	      "  protect DISK... [--source auto|kmod|scan]\n"
	      "  unprotect DISK...\n"
	      "  status [--json] [--watch]\n"
	      "  bookmark [NAME | --name NAME] [--app] [--timeout 5m]\n"
	      "  writers [--json]\n"
	      "  resync DISK [--now]\n"
	      "  verify [DISK...]\n"
	      "  pause | resume\n"
	      "  explain [--json]\n"
	      "  plan DISK... [--duration 1h] [--interval 1s] [--retention 24h] [--bandwidth RATE] [--json]\n",
	      to);
}

static const struct {
	const char *name;
	int (*run)(struct ctl *c);
	int least, most; /* arguments */
	const char *options; /* letters of those it takes */
} commands[] = {
	{"enroll", ctl_enroll, 1, 1, "ft"},	 {"protect", ctl_protect, 1, 64, "s"},
	{"unprotect", ctl_unprotect, 1, 64, ""}, {"status", ctl_status, 0, 0, "jw"},
	{"bookmark", ctl_bookmark, 0, 1, "oan"}, {"resync", ctl_resync, 1, 1, "N"},
	{"verify", ctl_verify, 0, 64, ""},	 {"pause", ctl_pause, 0, 0, ""},
	{"resume", ctl_resume, 0, 0, ""},	 {"explain", ctl_explain, 0, 0, "j"},
	{"plan", ctl_plan, 1, 64, "jdirb"},	 {"writers", ctl_writers, 0, 0, "j"},
};

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
					{"help", no_argument, NULL, 'h'},
					{"fingerprint", required_argument, NULL, 'f'},
					{"token-file", required_argument, NULL, 't'},
					{"source", required_argument, NULL, 's'},
					{"json", no_argument, NULL, 'j'},
					{"watch", no_argument, NULL, 'w'},
					{"now", no_argument, NULL, 'N'},
					{"timeout", required_argument, NULL, 'o'},
					{"duration", required_argument, NULL, 'd'},
					{"interval", required_argument, NULL, 'i'},
					{"retention", required_argument, NULL, 'r'},
					{"bandwidth", required_argument, NULL, 'b'},
					{"app", no_argument, NULL, 'a'},
					{"name", required_argument, NULL, 'n'},
					{NULL, 0, NULL, 0}};

static int take_option(struct ctl *c, int letter, const char **config, char *seen)
{
	if (letter != 'c')
		seen[strlen(seen)] = (char)letter;
	switch (letter) {
	case 'c':
		*config = optarg;
		return 0;
	case 'f':
		c->fingerprint = optarg;
		return 0;
	case 't':
		c->token_file = optarg;
		return 0;
	case 's':
		c->source = optarg;
		return source_choice_parse(optarg) < 0 ? -EINVAL : 0;
	case 'j':
		c->json = true;
		return 0;
	case 'w':
		c->watch = true;
		return 0;
	case 'd':
		return duration_parse(optarg, &c->duration_ns);
	case 'i':
		return duration_parse(optarg, &c->interval_ns);
	case 'r':
		return duration_parse(optarg, &c->retention_ns);
	case 'b':
		return size_parse(optarg, &c->bandwidth);
	case 'a':
		c->app = true;
		return 0;
	case 'N':
		c->now = true;
		return 0;
	case 'n':
		c->name = optarg;
		return 0;
	case 'o':
		return duration_parse(optarg, &c->timeout_ns);
	default:
		return -EINVAL;
	}
}

static int __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
	va_list args;

	fputs("mobilityctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return -EINVAL;
}

static const char *option_name(int letter)
{
	const struct option *o = options;

	while (o->name && o->val != letter)
		o++;
	return o->name;
}

/* What was printed may have gone nowhere, which a buffer tells only at the end. */
static int ended(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fputs("mobilityctl: the output is not complete: standard output cannot be written (is the disk "
	      "that it goes to full?)\n",
	      stderr);
	return CTL_FAILED;
}

#define SEEN_MAX 64 /* letters of options, and the terminator */

static int take_options(int argc, char **argv, struct ctl *c, const char **config,
			char seen[SEEN_MAX])
{
	int letter;

	while ((letter = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (letter == 'h') {
			usage(stdout);
			exit(ended(CTL_OK));
		}
		if (letter == '?') /* getopt has said what is wrong */
			return -EINVAL;
		if (strlen(seen) + 2 > SEEN_MAX)
			return wrong("too many options");
		if (take_option(c, letter, config, seen))
			return wrong("--%s cannot be '%s'", option_name(letter), optarg);
	}
	return 0;
}

/* The index of the command, or -EINVAL: what is wrong has been said. */
static int parse(int argc, char **argv, struct ctl *c, const char **config)
{
	char seen[SEEN_MAX] = "";
	size_t i = 0, taken;

	if (take_options(argc, argv, c, config, seen))
		return -EINVAL;
	if (optind >= argc)
		return wrong("a command is missing");
	c->args = argv + optind + 1;
	c->arg_count = argc - optind - 1;
	while (i < ARRAY_SIZE(commands) && strcmp(commands[i].name, argv[optind]) != 0)
		i++;
	if (i == ARRAY_SIZE(commands))
		return wrong("there is no command '%s'", argv[optind]);
	taken = strspn(seen, commands[i].options);
	if (seen[taken])
		return wrong("%s takes no --%s", commands[i].name, option_name(seen[taken]));
	/* A bookmark has one name. */
	if (c->arg_count > commands[i].most || (c->name && c->arg_count))
		return wrong("%s: '%s' is one too many", commands[i].name,
			     c->args[c->arg_count - 1]);
	if (c->arg_count < commands[i].least)
		return wrong("%s: an argument is missing", commands[i].name);
	return (int)i;
}

int main(int argc, char **argv)
{
	struct ctl c = {.timeout_ns = 300 * NSEC_PER_SEC,
			.duration_ns = 3600 * NSEC_PER_SEC,
			.interval_ns = NSEC_PER_SEC,
			.retention_ns = 24 * 3600 * NSEC_PER_SEC};
	const char *config = NULL;
	struct config conf;
	struct err e;
	int command = parse(argc, argv, &c, &config), r;

	if (command < 0) {
		usage(stderr);
		return CTL_USAGE;
	}
	if (config_load(config, &conf, &e)) {
		fprintf(stderr, "mobilityctl: %s\n", e.text);
		config_clear(&conf);
		return CTL_USAGE;
	}
	c.socket = conf.socket;
	c.state_dir = conf.state_dir;
	r = commands[command].run(&c);
	config_clear(&conf);
	return ended(r);
}
