// SPDX-License-Identifier: Apache-2.0
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/io.h"

struct fake *fake;

static int fake_sync(int fd)
{
	(void)fd;
	atomic_fetch_add(&fake->syncs, 1);
	return 0;
}

static int fake_freeze(int fd)
{
	(void)fd;
	usleep((useconds_t)atomic_load(&fake->freeze_ms) * 1000);
	atomic_fetch_add(&fake->freezes, 1);
	if (atomic_load(&fake->answer))
		return atomic_load(&fake->answer);
	atomic_fetch_add(&fake->held, 1);
	return 0;
}

static int fake_thaw(int fd)
{
	int held = atomic_load(&fake->held);

	(void)fd;
	atomic_fetch_add(&fake->thaw_tries, 1);
	if (held > 0 && atomic_load(&fake->thaw_answer))
		return atomic_load(&fake->thaw_answer);
	while (held > 0 && !atomic_compare_exchange_weak(&fake->held, &held, held - 1))
		;
	if (held <= 0)
		return -EINVAL;
	atomic_fetch_add(&fake->thaws, 1);
	return 0;
}

const struct fs_ops fake_ops = {fake_sync, fake_freeze, fake_thaw};

void shim_setup(void)
{
	static const char *const folders[] = {"writers.d", "local.d", "hooks.d", "vmware.d"};
	const char *empty[] = {"/bin/sh", "-c", "rm -rf \"$0\"/*", temp_dir(), NULL};

	signal(SIGPIPE, SIG_IGN);
	fake = mmap(NULL, sizeof(*fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(fake, MAP_FAILED);
	ck_assert_int_eq(run_command(empty), 0);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		ck_assert_int_eq(mkdir(temp_path(folders[i]), 0755), 0);
}

void put(const char *name, mode_t mode, const char *content)
{
	const char *path = temp_path(name);
	FILE *f;

	unlink(path);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(content, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

void put_writer(const char *name, const char *cases)
{
	char text[4096], path[300];

	snprintf(text, sizeof(text),
		 "#!/bin/bash\n"
		 "if [ $1 = identify ]; then case identify in %s *) ;; esac; exit 0; fi\n"
		 "while read -r phase; do\n"
		 "echo \"$MOBILITY_WRITER $phase\" >>%s/log\n"
		 "case $phase in %s *) echo ok ;; esac\n"
		 "done\n"
		 "echo \"$MOBILITY_WRITER end\" >>%s/log\n",
		 cases, temp_dir(), cases, temp_dir());
	snprintf(path, sizeof(path), "writers.d/%s", name);
	put(path, 0755, text);
}

const char *read_log(void)
{
	static char text[4096];
	_cleanup_free_ char *found = NULL;

	text[0] = '\0';
	if (!io_read_file(temp_path("log"), sizeof(text) - 1, &found, NULL, NULL))
		strcpy(text, found);
	for (char *c = text; *c; c++)
		*c = *c == '\n' ? ';' : *c;
	return text;
}

static char *below(const char *name)
{
	return strdup(temp_path(name));
}

void test_settings(struct settings *s)
{
	*s = (struct settings){.window = 2 * NSEC_PER_SEC,
			       .identify = 10 * NSEC_PER_SEC,
			       .prepare = 5 * NSEC_PER_SEC,
			       .post = 5 * NSEC_PER_SEC,
			       .qemu_ga = true,
			       .vmware = true,
			       .azure = true};
	s->socket = below("socket");
	s->vendor_dir = below("writers.d");
	s->local_dir = below("local.d");
	s->qemu_ga_dir = below("hooks.d");
	s->vmware_freeze = below("pre-freeze-script");
	s->vmware_thaw = below("post-thaw-script");
	s->vmware_dir = below("vmware.d");
	s->azure_script = below("customscript.sh");
}

void test_settings_clear(struct settings *s)
{
	settings_clear(s);
}
