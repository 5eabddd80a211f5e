// SPDX-License-Identifier: Apache-2.0
#include "agent/ctl/actions.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/ctl/client.h"
#include "agent/ctl/text.h"
#include "lib/clock.h"
#include "lib/io.h"
#include "lib/json.h"
#include "lib/text.h"

#define TOKEN_MAX 4096

static int fail(const struct err *e)
{
	fprintf(stderr, "mobilityctl: %s\n", e->text);
	return e->code == -ECONNREFUSED ? CTL_NOT_RUNNING : CTL_FAILED;
}

/* What is not UTF-8 cannot be sent: the sentence has been printed. NULL: it was not given. */
static bool may_send(const char *argument)
{
	char shown[1024];

	if (!argument || text_utf8(argument))
		return true;
	text_escape(shown, sizeof(shown), argument);
	fprintf(stderr, "mobilityctl: %s is not UTF-8: rename it, or name it otherwise\n", shown);
	return false;
}

/*
 * Send the request (it is the callee's then). NULL: the sentence has been printed. *status is the
 * exit status.
 */
static json_t *ask(struct ctl *c, json_t *request, int *status)
{
	struct err e = {.code = -ENOMEM, .text = "out of memory"};
	json_t *answer = request ? client_ask(c->socket, request, &e) : NULL;

	json_decref(request);
	*status = answer ? CTL_OK : fail(&e);
	return answer;
}

/* --- enroll ----------------------------------------------------------------------------------- */

/* The first line of the file, or of standard input. */
static int read_token(const char *path, char out[TOKEN_MAX], struct err *e)
{
	FILE *f = strcmp(path, "-") ? fopen(path, "re") : stdin;
	const char *name = f == stdin ? "standard input" : path;
	int r = 0;

	out[0] = '\0';
	if (!f || (!fgets(out, TOKEN_MAX, f) && ferror(f)))
		r = -errno;
	if (f && f != stdin)
		fclose(f);
	if (r)
		return err_errno(e, r, "cannot read the token from %s", name);
	out[strcspn(out, "\r\n")] = '\0';
	/* No token has a blank; what mobility-appliance prints before it has. */
	if (out[0] && !strpbrk(out, " \t") && text_utf8(out))
		return 0;
	return err_set(e, -ENODATA,
		       "there is no token in %s: its first line is to be the token alone, of what "
		       "mobility-appliance token prints",
		       name);
}

int ctl_enroll(struct ctl *c)
{
	_cleanup_json_ json_t *answer = NULL;
	char token[TOKEN_MAX];
	struct err e;
	int status;

	if (!c->fingerprint || !c->token_file) {
		fputs("mobilityctl: enroll needs --fingerprint and --token-file: mobility-appliance token, run "
		      "on the appliance, prints what they hold\n",
		      stderr);
		return CTL_USAGE;
	}
	if (!may_send(c->args[0]) || !may_send(c->fingerprint))
		return CTL_USAGE;
	if (read_token(c->token_file, token, &e))
		return fail(&e);
	answer = ask(c,
		     json_pack("{s:s, s:s, s:s, s:s}", "command", "enroll", "address", c->args[0],
			       "fingerprint", c->fingerprint, "token", token),
		     &status);
	explicit_bzero(token, sizeof(token));
	if (answer)
		printf("enrolled as machine %s\n",
		       json_string_value(json_object_get(answer, "machine")));
	return status;
}

/* --- disks ------------------------------------------------------------------------------------ */

/* mobilityd has another working directory: paths that exist are made absolute. *list NULL: out of memory. */
static int disk_list(const struct ctl *c, json_t **list)
{
	*list = json_array();
	for (int i = 0; *list && i < c->arg_count; i++) {
		_cleanup_free_ char *real = realpath(c->args[i], NULL);
		const char *name = real ? real : c->args[i];
		bool ours = may_send(name);

		if (ours && !json_array_append_new(*list, json_string(name)))
			continue;
		json_decref(*list);
		*list = NULL;
		return ours ? CTL_OK : CTL_USAGE;
	}
	return CTL_OK;
}

/* As ask(), about the disks that were named. */
static json_t *ask_about_disks(struct ctl *c, json_t *request, int *status)
{
	json_t *disks;

	*status = disk_list(c, &disks);
	if (*status) {
		json_decref(request);
		return NULL;
	}
	if (json_object_set_new(request, "disks", disks)) {
		json_decref(request);
		request = NULL;
	}
	return ask(c, request, status);
}

static void print_protected(const json_t *answer)
{
	const json_t *disks = json_object_get(answer, "disks"), *d;
	char size[32];
	size_t i;

	json_array_foreach (disks, i, d)
		printf("%s: %s, %s, %s\n", json_string_value(json_object_get(d, "name")),
		       json_string_value(json_object_get(d, "path")),
		       size_format((uint64_t)json_integer_value(json_object_get(d, "size")), size),
		       json_string_value(json_object_get(d, "key")));
}

int ctl_protect(struct ctl *c)
{
	json_t *request = json_pack("{s:s}", "command", "protect");
	_cleanup_json_ json_t *answer = NULL;
	int status;

	if (c->source && request)
		json_object_set_new(request, "source", json_string(c->source));
	answer = ask_about_disks(c, request, &status);
	if (answer)
		print_protected(answer);
	return status;
}

/* Which disks it was that the command acted on: a path may have been another's before. */
static void print_done(const json_t *answer, const char *what)
{
	const json_t *disks = json_object_get(answer, "disks"), *d;
	size_t i;

	json_array_foreach (disks, i, d)
		printf("%s (%s, %s) %s\n", json_string_value(json_object_get(d, "name")),
		       json_string_value(json_object_get(d, "path")),
		       json_string_value(json_object_get(d, "key")), what);
}

static int on_disks(struct ctl *c, const char *command, const char *done)
{
	_cleanup_json_ json_t *answer = NULL;
	int status;

	answer = ask_about_disks(c, json_pack("{s:s}", "command", command), &status);
	if (answer)
		print_done(answer, done);
	return status;
}

int ctl_unprotect(struct ctl *c)
{
	return on_disks(c, "unprotect", "is not protected any more");
}

int ctl_resync(struct ctl *c)
{
	_cleanup_json_ json_t *answer = NULL;
	const json_t *starts;
	char when[32];
	int status;

	answer = ask_about_disks(c, json_pack("{s:s, s:b}", "command", "resync", "now", c->now),
				 &status);
	if (answer)
		print_done(answer, "is to be resynchronised");
	starts = json_object_get(answer, "starts");
	if (json_is_integer(starts))
		printf("it begins with the next resync_window, %s; at once: mobilityctl resync --now %s\n",
		       clock_format_utc((uint64_t)json_integer_value(starts), when), c->args[0]);
	else if (starts)
		printf("resync_window is never: only mobilityctl resync --now %s begins it\n",
		       c->args[0]);
	return status;
}

int ctl_verify(struct ctl *c)
{
	return on_disks(c, "verify", "is to be verified");
}

/* --- the rest --------------------------------------------------------------------------------- */

static int plain(struct ctl *c, const char *command)
{
	_cleanup_json_ json_t *answer = NULL;
	int status;

	answer = ask(c, json_pack("{s:s}", "command", command), &status);
	return status;
}

int ctl_pause(struct ctl *c)
{
	return plain(c, "pause");
}

int ctl_resume(struct ctl *c)
{
	return plain(c, "resume");
}

/* It was asked for and could not be had: a script must be able to tell. */
static int judge_application(const struct ctl *c, const json_t *answer)
{
	const char *consistency = json_string_value(json_object_get(answer, "consistency"));
	const char *reason = json_string_value(json_object_get(answer, "reason"));

	if (!c->app || (consistency && !strcmp(consistency, "application")))
		return CTL_OK;
	fprintf(stderr,
		"mobilityctl: it is not application-consistent: %s (mobilityctl writers shows all)\n",
		reason && *reason ? reason : "mobilityd does not say why");
	return CTL_ONLY_CRASH;
}

int ctl_bookmark(struct ctl *c)
{
	_cleanup_json_ json_t *answer = NULL;
	json_t *request;
	char when[32];
	int status;

	if (c->arg_count)
		c->name = c->args[0];
	if (!may_send(c->name))
		return CTL_USAGE;
	request = json_pack("{s:s, s:I}", "command", "bookmark", "timeout_ns",
			    (json_int_t)c->timeout_ns);
	if (c->name && request)
		json_object_set_new(request, "name", json_string(c->name));
	if (c->app && request)
		json_object_set_new(request, "app", json_true());
	answer = ask(c, request, &status);
	if (answer)
		printf("recovery point %" PRId64 " \"%s\", %s-consistent, %s\n",
		       (int64_t)json_integer_value(json_object_get(answer, "id")),
		       json_string_value(json_object_get(answer, "name")),
		       json_string_value(json_object_get(answer, "consistency")),
		       clock_format_utc((uint64_t)json_integer_value(
						json_object_get(answer, "time")),
					when));
	return answer ? judge_application(c, answer) : status;
}

int ctl_explain(struct ctl *c)
{
	int status;
	_cleanup_json_ json_t *answer = ask(c, json_pack("{s:s}", "command", "explain"), &status);
	_cleanup_free_ char *text = NULL;

	if (!answer)
		return status;
	json_object_del(answer, "ok");
	text = c->json ? json_dumps(answer, JSON_INDENT(2) | JSON_REAL_PRECISION(4))
		       : text_explain(answer);
	if (!text) {
		fputs("mobilityctl: the answer of mobilityd cannot be understood: are both of one "
		      "release?\n",
		      stderr);
		return CTL_FAILED;
	}
	printf("%s%s", text, c->json ? "\n" : "");
	return CTL_OK;
}

/* One status as it was asked for; *healthy tells the exit status. */
static int print_status(const struct ctl *c, json_t *answer, bool *healthy)
{
	char *text;

	json_object_del(answer, "ok");
	*healthy = text_healthy(answer);
	text = c->json ? json_dumps(answer, c->watch ? JSON_COMPACT : JSON_INDENT(2))
		       : text_status(answer);
	if (!text) {
		fputs("mobilityctl: the status of mobilityd cannot be understood: are both of one "
		      "release?\n",
		      stderr);
		return CTL_FAILED;
	}
	/* On a terminal the screen is drawn anew; a file or pipe gets one after the other. */
	if (c->watch && !c->json && isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	fputs(text, stdout);
	if (c->json || (c->watch && !isatty(STDOUT_FILENO)))
		fputc('\n', stdout);
	fflush(stdout);
	free(text);
	return CTL_OK;
}

int ctl_status(struct ctl *c)
{
	const struct timespec second = {.tv_sec = 1};
	bool healthy = false;
	int status;

	do {
		_cleanup_json_ json_t *answer =
			ask(c, json_pack("{s:s}", "command", "status"), &status);

		if (answer)
			status = print_status(c, answer, &healthy);
		if (status || ferror(stdout))
			return status ? status : CTL_FAILED;
		if (c->watch)
			nanosleep(&second, NULL);
	} while (c->watch);
	return healthy ? CTL_OK : CTL_FAILED;
}
