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

/* What goes into the folder; all of it is there before anything is written. */
struct made {
	char *conf; /* text of appliance.conf */
	char *ca_key, *ca, *server; /* PEM */
	bool has_ca; /* from an init that was interrupted: agents may know its fingerprint */
};

static void made_clear(struct made *m)
{
	char *const all[] = {m->conf, m->ca_key, m->ca, m->server};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i])
			explicit_bzero(all[i], strlen(all[i]));
		free(all[i]);
	}
}

static bool has_file(const char *dir, const char *name)
{
	_cleanup_free_ char *path = home_path(dir, name);

	return path && access(path, F_OK) == 0;
}

/* The key is written first: without a certificate, nothing was signed with it. */
static int get_ca(const char *dir, struct made *m, struct err *e)
{
	m->has_ca = has_file(dir, HOME_CA_KEY) && has_file(dir, HOME_CA);
	if (!m->has_ca)
		return pki_new_ca("Mobility appliance CA", CA_DAYS, &m->ca_key, &m->ca, e);
	m->ca_key = home_read(dir, HOME_CA_KEY, e);
	m->ca = m->ca_key ? home_read(dir, HOME_CA, e) : NULL;
	return m->ca ? 0 : e->code;
}

/* -EINVAL, -E2BIG: what was asked for cannot be. */
static int make(const char *dir, const struct init *o, struct made *m, struct err *e)
{
	struct config c;
	int rc;

	m->conf = config_text(o->names, o->control, o->data);
	if (!m->conf)
		return err_set(e, -ENOMEM, "out of memory");
	rc = config_parse(m->conf, &c, e);
	if (rc < 0)
		return rc;
	rc = get_ca(dir, m, e);
	if (rc == 0)
		rc = enrol_issue_server(&c, m->ca_key, m->ca, &m->server, e);
	config_clear(&c);
	return rc;
}

/* appliance.conf comes last: a folder with it is whole, and one without it is none yet. */
static int write_home(const char *dir, const struct made *m, struct err *e)
{
	_cleanup_free_ char *catalog = home_path(dir, "catalog.db");
	struct catalog *c = NULL;
	int rc = catalog ? make_folders(dir, e) : err_set(e, -ENOMEM, "out of memory");

	if (rc == 0 && !m->has_ca)
		rc = write_file(dir, HOME_CA_KEY, m->ca_key, e);
	if (rc == 0 && !m->has_ca)
		rc = write_file(dir, HOME_CA, m->ca, e);
	if (rc == 0)
		rc = write_file(dir, HOME_SERVER, m->server, e);
	if (rc == 0)
		rc = catalog_open(catalog, true, &c, e);
	catalog_close(c);
	return rc < 0 ? rc : write_file(dir, "appliance.conf", m->conf, e);
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
	_cleanup_(made_clear) struct made m = {0};
	struct err e;
	int rc = parse(argc, argv, &o);

	if (rc)
		return rc;
	if (check(&o, &e) < 0)
		return command_error(EXIT_USAGE, "%s", e.text);
	if (has_file(dir, "appliance.conf"))
		return command_error(EXIT_FAILED, "%s is an appliance already; nothing was changed",
				     dir);
	rc = make(dir, &o, &m, &e);
	if (rc == -EINVAL || rc == -E2BIG)
		return command_error(EXIT_USAGE, "%s; nothing was made", e.text);
	if (rc == 0)
		rc = write_home(dir, &m, &e);
	if (rc == 0)
		rc = print_fingerprint(dir, &e);
	return rc < 0 ? command_failed(&e) : EXIT_DONE;
}
