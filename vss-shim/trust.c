// SPDX-License-Identifier: Apache-2.0
#include "vss-shim/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"

enum part { PROGRAM, FOLDER, ABOVE };

static int trust_one(const char *path, enum part part, struct err *e)
{
	struct stat st;

	if (stat(path, &st))
		return err_errno(e, -errno, "cannot look at %s", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, -EPERM, "%s does not belong to root: chown root it", path);
	/* In a sticky folder nobody else renames or removes what belongs to us. */
	if ((st.st_mode & 022) && !(part == ABOVE && (st.st_mode & S_ISVTX)))
		return err_set(e, -EPERM, "%s can be written by others than root: chmod go-w it",
			       path);
	if (part == PROGRAM && !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s is not a file", path);
	if (part == PROGRAM && access(path, X_OK))
		return err_set(e, -EACCES, "%s is not executable: chmod +x it", path);
	return 0;
}

/* The folder, and all above it. */
static int trust_folders(const char *folder, struct err *e)
{
	_cleanup_free_ char *at = realpath(folder, NULL);
	enum part part = FOLDER;
	char *slash;
	int r = 0;

	if (!at)
		return err_errno(e, -errno, "cannot find %s", folder);
	while (!r && at[1]) {
		r = trust_one(at, part, e);
		part = ABOVE;
		slash = strrchr(at, '/');
		slash[slash == at] = '\0';
	}
	return r ? r : trust_one("/", part, e);
}

/* The folder that has path; the caller frees. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

int trust_program(const char *path, char **real, struct err *e)
{
	_cleanup_free_ char *name = realpath(path, NULL), *here = NULL, *there = NULL;
	int r;

	if (!name)
		return err_errno(e, -errno, "cannot find %s", path);
	/* Whoever can write the folder of the link chooses what is run. */
	here = folder_of(path);
	there = folder_of(name);
	if (!here || !there)
		return err_set(e, -ENOMEM, "out of memory");
	r = trust_one(name, PROGRAM, e);
	if (!r)
		r = trust_folders(there, e);
	if (!r)
		r = trust_folders(here, e);
	if (!r)
		*real = cleanup_steal_ptr(&name);
	return r;
}
