/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what reads JSON from the network: the strict getters of the library, and each request body
 * of the appliance. Every body that is accepted must keep what the rest of the appliance relies on.
 */
#include <inttypes.h>
#include <string.h>

#include "appliance/body.h"
#include "include/mobility/wire.h"
#include "lib/json.h"
#include "tests/fuzz/fuzz.h"

enum { OBJECT, ENROLL, RENEW, DISK, OPEN, COMMIT, DIGESTS, DOUBT, KINDS };

static const char *const kinds[KINDS] = {"object", "enroll", "renew",	"disk",
					 "open",   "commit", "digests", "doubt"};
static unsigned long long accepted[KINDS];

static void report(void)
{
	fprintf(stderr, "reached:");
	for (int i = 0; i < KINDS; i++)
		fprintf(stderr, " %llu %s,", accepted[i], kinds[i]);
	fprintf(stderr, " accepted\n");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	atexit(report);
	return 0;
}

/* A refusal has its sentence, whatever the input was. */
static bool fine(int kind, int r, const struct err *e)
{
	must(r <= 0);
	must(r == 0 || (e->code == r && e->text[0] && memchr(e->text, 0, sizeof(e->text))));
	accepted[kind] += r == 0;
	return r == 0;
}

static void try_getters(const json_t *o, const char *key, json_t *value)
{
	struct err e = {0};
	const char *s;
	uint64_t n;
	json_t *v;
	bool b;

	if (json_get_str(o, key, 1, 40, &s, &e) == 0)
		must(json_is_string(value) && strlen(s) >= 1 && strlen(s) <= 40);
	if (json_get_opt_str(o, key, 40, &s, &e) == 0)
		must(s ? json_is_string(value) && strlen(s) <= 40 : json_is_null(value));
	if (json_get_u64(o, key, 1000, &n, &e) == 0)
		must(json_is_integer(value) && n <= 1000);
	if (json_get_bool(o, key, &b, &e) == 0)
		must(json_is_boolean(value));
	if (json_get_array(o, key, 4, &v, &e) == 0)
		must(v == value && json_array_size(v) <= 4);
	if (json_get_object(o, key, &v, &e) == 0)
		must(v == value && json_is_object(v));
	if (json_get_opt_object(o, key, &v, &e) == 0)
		must(v ? v == value : json_is_null(value));
}

/* What is accepted is written and read again to the same. */
static void fuzz_object(const void *data, size_t size)
{
	static const char *const keys[] = {"a", "disks", NULL};
	struct err e = {0};
	_cleanup_json_ json_t *o = json_parse_object(data, size, 1 << 16, &e);
	const char *key;
	json_t *value;

	if (!fine(OBJECT, o ? 0 : e.code, &e))
		return;
	json_object_foreach (o, key, value)
		try_getters(o, key, value);
	json_only_keys(o, keys, &e);

	_cleanup_free_ char *text = json_text(o);

	must(text);

	_cleanup_json_ json_t *again = json_parse_object(text, strlen(text), SIZE_MAX, &e);

	must(again && json_equal(o, again));
}

static void fuzz_identity(const void *data, size_t size)
{
	struct body_enroll enroll;
	struct body_renew renew;
	struct err e = {0};

	if (fine(ENROLL, body_enroll(data, size, &enroll, &e), &e))
		must(strlen(enroll.token) && strlen(enroll.hostname) < TEXT_MAX &&
		     strlen(enroll.csr));
	body_enroll_clear(&enroll);
	if (fine(RENEW, body_renew(data, size, &renew, &e), &e))
		must(strlen(renew.csr) > 0);
	body_renew_clear(&renew);
}

static void fuzz_disk(const void *data, size_t size)
{
	struct body_digests range;
	struct body_doubt doubt;
	struct body_disk disk;
	struct err e = {0};

	if (fine(DISK, body_disk(data, size, &disk, &e), &e)) {
		must(memchr(disk.key, 0, sizeof(disk.key)) &&
		     memchr(disk.name, 0, sizeof(disk.name)));
		must(disk.size && disk.size % 512 == 0 && disk.size <= BODY_DISK_MAX);
		must(disk.granule >= 512 && (disk.granule & (disk.granule - 1)) == 0);
		must(!strchr(disk.name, '/') && strcmp(disk.name, "..") != 0);
	}
	if (fine(DIGESTS, body_digests(data, size, &range, &e), &e)) {
		must(range.offset % WIRE_BLOCK == 0 && range.length > 0);
		must(range.length <= BODY_DIGEST_RANGE_MAX);
	}
	if (fine(DOUBT, body_doubt(data, size, &doubt, &e), &e))
		must(doubt.offset <= BODY_DISK_MAX && doubt.bytes <= BODY_DISK_MAX);
}

static void check_commit(const struct body_commit *b)
{
	uint8_t id[UUID_BYTES];

	must(b->disk_count <= BODY_DISKS_MAX && b->boundary <= INT64_MAX);
	must(uuid_parse_text(b->attempt, id) == 0);
	for (size_t i = 0; i < b->disk_count; i++) {
		must(uuid_parse_text(b->disks[i].disk, id) == 0);
		must(i == 0 || strcmp(b->disks[i - 1].disk, b->disks[i].disk) < 0);
		must(b->disks[i].replicated <= BODY_DISK_MAX);
	}
}

static void fuzz_epoch(const void *data, size_t size)
{
	struct body_commit commit;
	uint8_t id[UUID_BYTES];
	struct body_open open;
	struct err e = {0};

	if (fine(OPEN, body_open(data, size, &open, &e), &e))
		must(uuid_parse_text(open.attempt, id) == 0);
	if (fine(COMMIT, body_commit(data, size, &commit, &e), &e))
		check_commit(&commit);
	body_commit_clear(&commit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_object(data, size);
	fuzz_identity(data, size);
	fuzz_disk(data, size);
	fuzz_epoch(data, size);
	return 0;
}
