/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the reader of configuration files, with a key of each type. */
#include <string.h>

#include "lib/conf.h"
#include "tests/fuzz/fuzz.h"

struct target {
	char *text, *path;
	uint64_t number, size, time;
	bool flag;
	int choice;
};

static const char *const choices[] = {"auto", "kmod", "scan", NULL};

#define AT(member) offsetof(struct target, member)
static const struct conf_key keys[] = {
	{"agent", "text", CONF_STRING, AT(text), 2, 20, NULL, "ab", "2 to 20 bytes"},
	{"agent", "path", CONF_PATH, AT(path), 1, 100, NULL, NULL, "an absolute path"},
	{"replication", "number", CONF_U64, AT(number), 1, 16, NULL, "2", "1 to 16"},
	{"replication", "size", CONF_SIZE, AT(size), 4096, 1 << 30, NULL, "1M", "4K to 1G"},
	{"replication", "time", CONF_DURATION, AT(time), 1000, 0, NULL, "1s", "a time"},
	{"network", "flag", CONF_BOOL, AT(flag), 0, 0, NULL, "no", "yes or no"},
	{"network", "choice", CONF_CHOICE, AT(choice), 0, 0, choices, "scan", "a source"},
	{0},
};

static unsigned long long accepted, changed;

static void report(void)
{
	fprintf(stderr, "reached: %llu files accepted, %llu of them with settings\n", accepted,
		changed);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	atexit(report);
	return 0;
}

static void check_accepted(const struct target *t)
{
	must(t->text && strlen(t->text) >= 2 && strlen(t->text) <= 20);
	must(!t->path || (t->path[0] == '/' && strlen(t->path) <= 100));
	must(t->number >= 1 && t->number <= 16);
	must(t->size >= 4096 && t->size <= 1 << 30);
	must(t->time >= 1000);
	must(t->choice >= 0 && t->choice <= 2);
	accepted++;
	changed += t->path || t->number != 2 || t->flag || t->choice != 2 || t->size != 1 << 20;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct target t = {0};
	struct err e = {0};
	FILE *f;
	int r;

	if (size == 0)
		return 0;
	f = fmemopen((void *)data, size, "r");
	must(f);
	r = conf_read(f, "fuzz.conf", keys, &t, &e);
	fclose(f);
	if (r == 0) {
		check_accepted(&t);
	} else {
		must(r == e.code && strncmp(e.text, "fuzz.conf:", 10) == 0);
		must(!t.text && !t.path);
	}
	conf_clear(keys, &t);
	return 0;
}
