// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/discover.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/text.h"
#include "vss-shim/trust.h"

#define SELF "/proc/self/exe"
#define HOOK_FILE_MAX 48 /* bytes of a hook's file name, which is part of its own */

struct found {
	const struct settings *s;
	struct writer *list;
	size_t count;
};

bool discover_name_ok(const char *name)
{
	size_t len = strlen(name);

	if (len < 4 || len > 64 || !isdigit((unsigned char)name[0]) ||
	    !isdigit((unsigned char)name[1]) || name[2] != '-')
		return false;
	for (const char *c = name + 3; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
			return false;
	}
	return true;
}

static struct writer *find(const struct found *f, const char *name)
{
	for (size_t i = 0; i < f->count; i++) {
		if (!strcmp(f->list[i].name, name))
			return &f->list[i];
	}
	return NULL;
}

static int name_it(struct writer *w, const char *name, const char *path, struct err *e)
{
	snprintf(w->name, sizeof(w->name), "%s", name);
	w->path = strdup(path);
	return w->path ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int append(struct found *f, const char *name, const char *path, struct writer **out,
		  struct err *e)
{
	if (f->count == WRITERS_MAX)
		return err_set(e, -E2BIG, "there are more than %d writers", WRITERS_MAX);
	writer_init(*out = &f->list[f->count++]);
	return name_it(*out, name, path, e);
}

/* A new writer, or the one of that name, emptied. */
static int place(struct found *f, const char *name, const char *path, struct writer **out,
		 struct err *e)
{
	*out = find(f, name);
	if (!*out)
		return append(f, name, path, out, e);
	writer_clear(*out);
	return name_it(*out, name, path, e);
}

static bool off(const struct settings *s, struct writer *w)
{
	if (!settings_disabled(s, w->name))
		return false;
	w->result = RESULT_DISABLED;
	snprintf(w->text, sizeof(w->text), "disabled in the configuration");
	return true;
}

/* The program may be run, and *real is its path; else the writer is refused. */
static bool may_run(struct writer *w, const char *path, char **real)
{
	struct err e;

	if (!trust_program(path, real, &e))
		return true;
	w->result = RESULT_REFUSED;
	snprintf(w->text, sizeof(w->text), "refused: %.480s", e.text);
	return false;
}

static int add_writer(struct found *f, const char *folder, const char *name, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	char target[PATH_MAX];
	struct writer *w;
	ssize_t n;
	int r;

	if (!discover_name_ok(name))
		return 0;
	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		path = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	r = place(f, name, path, &w, e);
	if (r || off(f->s, w))
		return r;
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0)
		target[n] = '\0';
	if (n > 0 && !strcmp(target, "/dev/null")) {
		w->result = RESULT_DISABLED;
		snprintf(w->text, sizeof(w->text), "disabled by a link to /dev/null");
	} else {
		may_run(w, path, &w->args[0]);
	}
	return 0;
}

struct hook_files {
	const char *name, *kind, *freeze, *thaw; /* one of the latter may be NULL */
	bool cut; /* the name is not all of it */
};

/* Only a writer in /etc replaces one. Of two hooks of one name, or a hook and a writer, none is passed over. */
static bool may_be_called(const struct found *f, struct writer *w, const struct hook_files *h)
{
	const struct writer *other = find(f, w->name);

	if (h->cut)
		text_format(w->text, sizeof(w->text),
			    "refused: the file name of %.300s is longer than %d bytes: rename it",
			    w->path, HOOK_FILE_MAX);
	else if (other != w)
		text_format(w->text, sizeof(w->text),
			    "refused: the hook %.200s would have the name of %.200s: rename one",
			    w->path, other->path);
	else
		return true;
	w->result = RESULT_REFUSED;
	return false;
}

/* hook KIND FREEZE THAW; the adapter is this program (vss-shim/hook.h). */
static int add_hook(struct found *f, const struct hook_files *h, struct err *e)
{
	char *first = NULL, *second = NULL;
	struct writer *w;
	int r = append(f, h->name, h->freeze ? h->freeze : h->thaw, &w, e);

	if (r)
		return r;
	w->hook = true;
	if (off(f->s, w) || !may_be_called(f, w, h) ||
	    (h->freeze && !may_run(w, h->freeze, &first)) ||
	    (h->thaw && !may_run(w, h->thaw, &second))) {
		free(first);
		return 0;
	}
	w->args[0] = strdup(SELF);
	w->args[1] = strdup("hook");
	w->args[2] = strdup(h->kind);
	w->args[3] = first ? first : strdup("-");
	w->args[4] = second ? second : strdup("-");
	for (int i = 0; i < 5; i++) {
		if (!w->args[i])
			return err_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* Calls each with every name in the folder, sorted; no folder is an empty one. */
static int each_name(struct found *f, const char *folder,
		     int (*each)(struct found *f, const char *folder, const char *name,
				 struct err *e),
		     struct err *e)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort), r = 0;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_errno(e, -errno, "cannot read %s", folder);
	for (int i = 0; i < n; i++) {
		if (!r && names[i]->d_name[0] != '.')
			r = each(f, folder, names[i]->d_name, e);
		free(names[i]);
	}
	free(names);
	return r;
}

/* Files that package managers and editors leave are no hooks (as qemu-guest-agent's script does). */
static bool leftover(const char *name)
{
	static const char *const ends[] = {"~",		  ".bak",      ".orig",	     ".rpmnew",
					   ".rpmorig",	  ".rpmsave",  ".sample",    ".dpkg-old",
					   ".dpkg-new",	  ".dpkg-tmp", ".dpkg-dist", ".dpkg-bak",
					   ".dpkg-backup"};
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t n = strlen(ends[i]);

		if (len > n && !strcmp(name + len - n, ends[i]))
			return true;
	}
	return false;
}

/* kind is also how the name begins: NN-kind.file. */
static int add_file_hook(struct found *f, const char *folder, const char *file, const char *prefix,
			 const char *kind, struct err *e)
{
	char path[PATH_MAX], name[WRITER_NAME_BYTES];
	struct hook_files h = {name, kind, path, path, strlen(file) > HOOK_FILE_MAX};

	if (leftover(file) ||
	    snprintf(path, sizeof(path), "%s/%s", folder, file) >= (int)sizeof(path))
		return 0;
	/* What is not executable its own agent does not run either. */
	if (access(path, X_OK))
		return 0;
	snprintf(name, sizeof(name), "%s.%.*s", prefix, HOOK_FILE_MAX, file);
	text_whole(name);
	return add_hook(f, &h, e);
}

static int add_qemu(struct found *f, const char *folder, const char *file, struct err *e)
{
	return add_file_hook(f, folder, file, "50-qemu-ga", "qemu-ga", e);
}

static int add_vmware(struct found *f, const char *folder, const char *file, struct err *e)
{
	return add_file_hook(f, folder, file, "61-vmware", "vmware", e);
}

static int add_hooks(struct found *f, struct err *e)
{
	const struct settings *s = f->s;
	const char *freeze = exists(s->vmware_freeze) ? s->vmware_freeze : NULL;
	const char *thaw = exists(s->vmware_thaw) ? s->vmware_thaw : NULL;
	const struct hook_files scripts = {"60-vmware-scripts", "vmware", freeze, thaw, false},
				azure = {"70-azure", "azure", s->azure_script, s->azure_script,
					 false};
	int r = 0;

	if (s->qemu_ga)
		r = each_name(f, s->qemu_ga_dir, add_qemu, e);
	if (!r && s->vmware && (freeze || thaw))
		r = add_hook(f, &scripts, e);
	if (!r && s->vmware)
		r = each_name(f, s->vmware_dir, add_vmware, e);
	if (!r && s->azure && exists(s->azure_script))
		r = add_hook(f, &azure, e);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct writer *)a)->name, ((const struct writer *)b)->name);
}

int discover(const struct settings *s, struct writer list[WRITERS_MAX], size_t *count,
	     struct err *e)
{
	struct found f = {s, list, 0};
	int r = each_name(&f, s->vendor_dir, add_writer, e);

	if (!r)
		r = each_name(&f, s->local_dir, add_writer, e);
	if (!r)
		r = add_hooks(&f, e);
	if (r) {
		while (f.count)
			writer_clear(&list[--f.count]);
		return r;
	}
	qsort(list, f.count, sizeof(*list), by_name);
	*count = f.count;
	return 0;
}
