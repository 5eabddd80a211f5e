/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "appliance/home.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define PEM_MAX 65536

char *home_path(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

char *home_read(const char *dir, const char *name, struct err *e)
{
	_cleanup_free_ char *path = home_path(dir, name);
	char *text = NULL;
	size_t len;

	if (!path) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	return io_read_file(path, PEM_MAX, &text, &len, e) < 0 ? NULL : text;
}

int home_open(struct home *h, const char *dir, struct err *e)
{
	_cleanup_free_ char *conf = home_path(dir, "appliance.conf");
	_cleanup_free_ char *catalog = home_path(dir, "catalog.db");
	int rc;

	*h = (struct home){.dir = strdup(dir)};
	if (!h->dir || !conf || !catalog)
		rc = err_set(e, -ENOMEM, "out of memory");
	else if (access(conf, F_OK) < 0 && errno != ENOENT)
		rc = err_errno(e, -errno, "cannot look into %s, the folder of the appliance", dir);
	else if (access(conf, F_OK) < 0)
		rc = err_errno(e, -errno,
			       "%s is not the folder of an appliance; make one with "
			       "`mobility-appliance --dir %s init --name NAME`",
			       dir, dir);
	else
		rc = config_load(conf, &h->config, e);
	if (rc == 0)
		rc = catalog_open(catalog, false, &h->catalog, e);
	if (rc == 0)
		rc = store_dir_open(dir, &h->store, e);
	if (rc < 0)
		home_close(h);
	return rc;
}

void home_close(struct home *h)
{
	store_destroy(h->store);
	catalog_close(h->catalog);
	config_clear(&h->config);
	free(h->dir);
	*h = (struct home){0};
}

int home_lock(const struct home *h, struct err *e)
{
	_cleanup_free_ char *path = home_path(h->dir, "lock");
	int fd;

	if (!path)
		return err_set(e, -ENOMEM, "out of memory");
	fd = io_lock_file(path, e);
	if (fd == -EBUSY)
		return err_set(e, -EBUSY, "another mobility-appliance serves %s already", h->dir);
	return fd;
}
