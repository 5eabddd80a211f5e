// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/lib/https_peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/pki.h"
#include "tests/unit/lib/support.h"

static struct err e;

void https_peer_check(int result, const struct err *why)
{
	if (result == 0)
		return;
	fprintf(stderr, "cannot prepare the server: %s\n", why->text);
	exit(EXIT_FAILURE);
}

static void fixture_check(int result)
{
	https_peer_check(result, &e);
}

static void put_file(const char *name, char *text)
{
	FILE *f = fopen(temp_path(name), "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		fixture_check(-errno);
	free(text);
}

/* NAME.key and NAME.pem, issued by the CA. */
static void make_pair(const char *ca_key, const char *ca, const char *name,
		      const struct pki_issue *what)
{
	char *key, *csr, *cert, file[64];

	fixture_check(pki_new_csr(name, &key, &csr, &e));
	fixture_check(pki_issue(ca_key, ca, csr, what, &cert, NULL, &e));
	free(csr);
	snprintf(file, sizeof(file), "%s.key", name);
	put_file(file, key);
	snprintf(file, sizeof(file), "%s.pem", name);
	put_file(file, cert);
}

void https_peer_certificates(void)
{
	static const char *const names[] = {"127.0.0.1", "right.example", NULL};
	const struct pki_issue server = {.common_name = "s",
					 .names = names,
					 .server = true,
					 .valid_s = 9999};
	const struct pki_issue client = {.common_name = "a-machine", .valid_s = 9999};
	char *key, *ca;

	fixture_check(pki_new_ca("another CA", 3, &key, &ca, &e));
	make_pair(key, ca, "foreign", &client);
	put_file("other-ca.key", key);
	put_file("other-ca.pem", ca);
	fixture_check(pki_new_ca("CA", 3, &key, &ca, &e));
	make_pair(key, ca, "server", &server);
	make_pair(key, ca, "client", &client);
	put_file("ca.key", key);
	put_file("ca.pem", ca);
}

void https_peer_start(struct https_peer *s, const char *option)
{
	int in[2], out[2];
	FILE *ports;

	if (pipe(in) || pipe(out))
		fixture_check(-errno);
	s->pid = fork();
	if (s->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		closefrom(3);
		execlp("python3", "python3", "tests/unit/lib/https_server.py",
		       temp_path("server.pem"), temp_path("server.key"), temp_path("ca.pem"),
		       option, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	s->in = in[1];
	ports = fdopen(out[0], "r");
	if (!ports || fscanf(ports, "%u %u", &s->port, &s->proxy) != 2)
		fixture_check(-1);
	fclose(ports);
}

void https_peer_stop(struct https_peer *s)
{
	close(s->in);
	waitpid(s->pid, NULL, 0);
}
