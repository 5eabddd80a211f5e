/* SPDX-License-Identifier: Apache-2.0 */
/* mobility-appliance: receives what agents replicate, and gives machines back. See mobility-appliance(8). */
#include <stdio.h>
#include <string.h>

#include "appliance/command.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define DEFAULT_DIR "/var/lib/mobility-appliance"

static const struct {
	const char *name, *arguments, *does;
	int (*run)(const char *dir, int argc, char **argv);
} commands[] = {
	{"init", "--name NAME[,NAME...] [--control ADDR:PORT] [--data ADDR:PORT]",
	 "make the folder: CA, configuration, catalog", command_init},
	{"serve", "", "serve agents, in the foreground", command_serve},
	{"token", "[--expires 1h] [--json]", "print a token that enrols one machine",
	 command_token},
	{"machines", "[--json]", "list the machines", command_machines},
	{"disks", "[MACHINE] [--json]", "list the disks and how far they are replicated",
	 command_disks},
	{"points", "[MACHINE] [--json]", "list the recovery points", command_points},
	{"export", "MACHINE POINT --format raw OUTDIR",
	 "write a recovery point's disks as images (POINT: id, bookmark or latest)",
	 command_export},
	{"verify", "[MACHINE [POINT]]", "check every stored digest", command_verify},
	{"remove", "MACHINE", "forget a machine, its disks and its points", command_remove},
};

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: mobility-appliance [--dir DIR] COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %s %s\n        %s\n", commands[i].name, commands[i].arguments,
			commands[i].does);
	fprintf(to, "\nDIR is %s unless given.\n", DEFAULT_DIR);
	return status;
}

/* What was printed may have gone nowhere, which a buffer tells only at the end. */
static int ended(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	return command_error(EXIT_FAILED, "the output is not complete: standard output cannot be "
					  "written (is the disk that it goes to full?)");
}

int main(int argc, char **argv)
{
	const char *dir = DEFAULT_DIR;
	int at = 1;

	log_init("mobility-appliance", LOG_LEVEL_INFO);
	if (at < argc && (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h")))
		return ended(usage(stdout, EXIT_DONE));
	if (at + 1 < argc && !strcmp(argv[at], "--dir")) {
		dir = argv[at + 1];
		at += 2;
	}
	if (at >= argc)
		return usage(stderr, EXIT_USAGE);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(argv[at], commands[i].name))
			return ended(commands[i].run(dir, argc - at - 1, argv + at + 1));
	}
	return command_error(EXIT_USAGE, "there is no command %s; --help lists them", argv[at]);
}
