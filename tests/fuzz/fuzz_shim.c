// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes what vss-shim reads: lines of the requester, lines of writers, the output of identify, and the
 * kernel's list of mounts. The input arrives through a pipe in pieces of its first byte's size, as lines
 * do; each line is an order and an answer. What is accepted keeps its bounds, and means the
 * same however it was cut into pieces.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "vss-shim/lines.h"
#include "vss-shim/mounts.h"
#include "vss-shim/protocol.h"

static unsigned long long orders, answers, identities, tables;

static void report(void)
{
	fprintf(stderr,
		"reached: %llu orders, %llu answers, %llu identities, %llu mounts accepted\n",
		orders, answers, identities, tables);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	atexit(report);
	return 0;
}

static bool plain(const char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	}
	return true;
}

static void check_order(const char *line, size_t len)
{
	static struct order o;
	struct err e = {0};

	if (order_parse(line, len, &o, &e)) {
		must(e.code < 0 && e.text[0]);
		return;
	}
	orders++;
	must(o.kind <= ORDER_WRITERS && o.disk_count <= ORDER_DISKS_MAX);
	must(!o.window_ms || (o.window_ms >= WINDOW_MIN_MS && o.window_ms <= WINDOW_MAX_MS));
	must(o.named || !o.disk_count);
	must(o.kind == ORDER_SET || (!o.named && !o.window_ms));
}

static void check_answer(const char *line, size_t len)
{
	struct answer a;

	if (answer_parse(line, len, &a))
		return;
	answers++;
	must(len <= ANSWER_MAX && strlen(a.text) <= len && plain(a.text));
	must(a.kind == ANSWER_OK || a.text[0]);
}

static void check_identity(const char *text, size_t len)
{
	struct identity id;
	struct err e = {0};

	if (identity_parse(text, len, &id, &e)) {
		must(e.text[0] && !id.freeze_ms && !id.title[0]);
		return;
	}
	identities++;
	must(len <= IDENTIFY_MAX && plain(id.title) && plain(id.promise));
	must(!id.freeze_ms || (id.freeze_ms >= 10 && id.freeze_ms <= 60000));
	must(!id.prepare_ms || (id.prepare_ms >= 100 && id.prepare_ms <= 600000));
}

static void check_mounts(const char *text, size_t len)
{
	struct mounts m;
	struct err e = {0};

	if (mounts_parse(text, len, &m, &e)) {
		must(e.text[0] && !m.count);
		return;
	}
	tables += m.count > 0;
	for (size_t i = 0; i < m.count; i++) {
		must(m.fs[i].point && m.fs[i].type && m.fs[i].source);
		for (size_t j = 0; j < i; j++)
			must(m.fs[i].dev != m.fs[j].dev);
	}
	mounts_clear(&m);
}

/* As through a socket, in pieces; the lines are those that there are in the text. */
static void check_lines(const char *text, size_t len, size_t piece)
{
	static struct lines l;
	char line[LINE_MAX_BYTES];
	const char *at = text;
	size_t n, sent = 0;
	int p[2], r = 0;

	must(!pipe2(p, O_NONBLOCK));
	l.used = 0;
	while (r != -EMSGSIZE && (sent < len || r != -EAGAIN)) {
		size_t part = len - sent < piece ? len - sent : piece;

		if (part)
			must(write(p[1], text + sent, part) == (ssize_t)part);
		sent += part;
		r = lines_read(&l, p[0]);
		must(r > 0 || r == -EAGAIN || r == -EMSGSIZE);
		while (lines_take(&l, line, &n)) {
			must(n < LINE_MAX_BYTES && line[n] == '\0');
			must(!memcmp(at, line, n) && at[n] == '\n');
			at += n + 1;
			check_order(line, n);
			check_answer(line, n);
		}
	}
	close(p[0]);
	close(p[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;

	if (!size)
		return 0;
	check_lines(text, size - 1, (size_t)data[0] * 16 + 1);
	check_identity(text, size - 1);
	check_mounts(text, size - 1);
	return 0;
}
