/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/command.h"
#include "appliance/enrol.h"
#include "appliance/listen.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/pki.h"

#define CA_DAYS 7300

struct init {
	const char *names, *control, *data;
};

static int parse(int argc, char **argv, struct init *o)
{
	for (int i = 0; i < argc; i += 2) {
		const char **to = !strcmp(argv[i], "--name")	  ? &o->names
				  : !strcmp(argv[i], "--control") ? &o->control
				  : !strcmp(argv[i], "--data")	  ? &o->data
								  : NULL;

		if (!to)
			return command_error(EXIT_USAGE, "init does not know %s", argv[i]);
		if (i + 1 >= argc)
			return command_error(EXIT_USAGE, "%s needs a value", argv[i]);
		*to = argv[i + 1];
	}
	if (!o->names)
		return command_error(
			EXIT_USAGE, "init needs --name: the DNS names or addresses by which agents "
				    "reach this appliance");
	return EXIT_DONE;
}

static int check(const struct init *o, struct err *e)
{
	struct sockaddr_storage address;
	socklen_t len;
	int rc = 0;

	for (const char *p = o->names; *p; p++) {
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:,_*",
			    *p))
			return err_set(e, -EINVAL,
				       "%s is not a list of DNS names or addresses, separated by "
				       "commas",
				       o->names);
	}
	rc = listen_parse(o->control, &address, &len, e);
	return rc == 0 ? listen_parse(o->data, &address, &len, e) : rc;
}

static int write_file(const char *dir, const char *name, const char *text, struct err *e)
{
	_cleanup_free_ char *path = home_path(dir, name);

	if (!path)
		return err_set(e, -ENOMEM, "out of memory");
	return io_write_file_atomic(path, text, strlen(text), 0600, e);
}

static int make_folders(const char *dir, struct err *e)
{
	static const char *const folders[] = {"pki", "run", "machines"};
	int rc = io_mkdirs(dir, 0700, e);

	for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(folders); i++) {
		_cleanup_free_ char *path = home_path(dir, folders[i]);

		rc = path ? io_mkdirs(path, 0700, e) : err_set(e, -ENOMEM, "out of memory");
	}
	return rc;
}

static int make_ca(const char *dir, struct err *e)
{
	_cleanup_free_ char *key = NULL, *certificate = NULL;
	int rc = pki_new_ca("Mobility appliance CA", CA_DAYS, &key, &certificate, e);

	if (rc == 0)
		rc = write_file(dir, HOME_CA_KEY, key, e);
	if (rc == 0)
		rc = write_file(dir, HOME_CA, certificate, e);
	if (key)
		explicit_bzero(key, strlen(key));
	return rc;
}

/* appliance.conf comes last: a folder with it is whole. */
static int make_home(const char *dir, const struct init *o, struct err *e)
{
	_cleanup_free_ char *text = config_text(o->names, o->control, o->data);
	_cleanup_free_ char *catalog = home_path(dir, "catalog.db");
	struct catalog *c = NULL;
	struct home h;
	int rc;

	if (!text || !catalog)
		return err_set(e, -ENOMEM, "out of memory");
	rc = make_folders(dir, e);
	if (rc == 0)
		rc = make_ca(dir, e);
	if (rc == 0)
		rc = catalog_open(catalog, true, &c, e);
	catalog_close(c);
	if (rc == 0)
		rc = write_file(dir, "appliance.conf", text, e);
	if (rc == 0)
		rc = home_open(&h, dir, e);
	if (rc < 0)
		return rc;
	rc = enrol_server(&h, e);
	home_close(&h);
	return rc;
}

static int print_fingerprint(const char *dir, struct err *e)
{
	_cleanup_free_ char *ca = home_read(dir, HOME_CA, e);
	char fingerprint[PKI_FINGERPRINT_BYTES];
	int rc = ca ? pki_fingerprint(ca, fingerprint, e) : e->code;

	if (rc == 0)
		printf("made the appliance in %s\nCA fingerprint: %s\n"
		       "next: mobility-appliance --dir %s serve\n",
		       dir, fingerprint, dir);
	return rc;
}

int command_init(const char *dir, int argc, char **argv)
{
	struct init o = {.control = "0.0.0.0:443", .data = "0.0.0.0:9443"};
	_cleanup_free_ char *conf = home_path(dir, "appliance.conf");
	_cleanup_free_ char *key = home_path(dir, HOME_CA_KEY);
	struct err e;
	int rc = parse(argc, argv, &o);

	if (rc)
		return rc;
	if (check(&o, &e) < 0)
		return command_error(EXIT_USAGE, "%s", e.text);
	if (!conf || !key)
		return command_error(EXIT_FAILED, "out of memory");
	if (access(conf, F_OK) == 0 || access(key, F_OK) == 0)
		return command_error(EXIT_FAILED, "%s is an appliance already; nothing was changed",
				     dir);
	rc = make_home(dir, &o, &e);
	if (rc == 0)
		rc = print_fingerprint(dir, &e);
	return rc < 0 ? command_failed(&e) : EXIT_DONE;
}
