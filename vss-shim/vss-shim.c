// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "vss-shim/command.h"
#include "vss-shim/hook.h"
#include "vss-shim/protocol.h"
#include "vss-shim/server.h"

static void usage(FILE *to)
{
	fputs("usage: vss-shim [--config FILE] serve\n"
	      "       vss-shim [--config FILE] run [--timeout TIME] [--anyway] [--json] -- COMMAND "
	      "[ARGUMENT...]\n",
	      to);
}

struct options {
	const char *config;
	struct command run;
	bool serve;
};

static int take_window(const char *text, struct options *o)
{
	const uint64_t ms = 1000000;

	if (duration_parse(text, &o->run.window_ns) || o->run.window_ns < WINDOW_MIN_MS * ms ||
	    o->run.window_ns > WINDOW_MAX_MS * ms)
		return -EINVAL;
	return 0;
}

/* Options may come before and after the verb; a command is behind it and its own options. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
						{"timeout", required_argument, NULL, 't'},
						{"anyway", no_argument, NULL, 'a'},
						{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	const char *verb = NULL;
	int letter;

	while ((letter = getopt_long(argc, argv, "-", options, NULL)) != -1) {
		if (letter == 'c')
			o->config = optarg;
		else if (letter == 'a')
			o->run.anyway = true;
		else if (letter == 'j')
			o->run.json = true;
		else if (letter == 't' && take_window(optarg, o))
			return -EINVAL;
		else if (letter == 1 && !verb) {
			verb = optarg;
			o->serve = !strcmp(verb, "serve");
		} else if (letter == 1) {
			optind--; /* the command, without -- before it */
			break;
		} else if (letter == 'h') {
			usage(stdout);
			exit(0);
		} else if (letter != 't') {
			return -EINVAL;
		}
	}
	o->run.argv = argv + optind;
	if (!verb || (!o->serve && strcmp(verb, "run") != 0))
		return -EINVAL;
	return o->serve == (optind == argc) ? 0 : -EINVAL;
}

/* Signals come through a descriptor. */
static int block_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct settings settings;
	struct err e;
	int signals, r;

	if (argc > 1 && !strcmp(argv[1], "hook"))
		return hook_main(argc - 2, argv + 2);
	if (parse(argc, argv, &o)) {
		usage(stderr);
		return o.serve ? 2 : EXIT_BAD_USAGE;
	}
	log_init("vss-shim", LOG_LEVEL_INFO);
	if (settings_load(o.config, &settings, &e)) {
		log_error("%s", e.text);
		return o.serve ? 2 : EXIT_BAD_USAGE;
	}
	log_set_level((enum log_level)settings.log_level);
	/* What writers leave behind becomes our child, and is found. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signals = block_signals();
	if (o.serve) {
		r = serve(&settings, signals, &e);
		if (r)
			log_error("%s", e.text);
		r = r ? 1 : 0;
	} else {
		r = command_run(&settings, &o.run, signals);
	}
	settings_clear(&settings);
	return r;
}
