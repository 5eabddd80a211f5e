/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/index.h"
#include "appliance/names.h"
#include "lib/clock.h"
#include "tests/unit/appliance/helpers.h"

char *scratch_make(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir;

	/* Thousands of syncs: in memory where there is such a folder. */
	if (!tmp)
		tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	ck_assert_int_gt(asprintf(&dir, "%s/appliance-XXXXXX", tmp), 0);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	return dir;
}

void scratch_remove(char *dir)
{
	char command[512];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
	free(dir);
}

void flip(const char *dir, const char *name, off_t at)
{
	char path[512];
	uint8_t byte;
	int fd;

	ck_assert_int_lt(snprintf(path, sizeof(path), "%s/%s", dir, name), (int)sizeof(path));
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

void home_make(struct home *h, const char *dir)
{
	char path[512];
	struct err e;

	*h = (struct home){.dir = strdup(dir)};
	h->config.retention_ns = 86400 * NSEC_PER_SEC;
	h->config.point_interval_ns = 300 * NSEC_PER_SEC;
	h->config.all_points_for_ns = 3600 * NSEC_PER_SEC;
	h->config.client_life_ns = 3600 * NSEC_PER_SEC;
	h->config.reserve = 1 << 20;
	h->config.map_memory = 64 << 20;
	snprintf(path, sizeof(path), "%s/catalog.db", dir);
	ck_assert_msg(catalog_open(path, true, &h->catalog, &e) == 0, "%s", e.text);
	ck_assert_msg(store_dir_open(dir, &h->store, &e) == 0, "%s", e.text);
}

void machine_make(struct home *h, const char *id)
{
	struct token_row t = {.certificate = (char *)"certificate", .certificate_expires = 1};
	struct err e;

	digest_sha256(id, strlen(id), t.digest);
	strcpy(t.machine, id);
	ck_assert_msg(catalog_token_add(h->catalog, t.digest, UINT32_MAX, &e) == 0, "%s", e.text);
	ck_assert_msg(catalog_enrol(h->catalog, &t, "host", 1, &e) == 0, "%s", e.text);
}

char *appliance_make(struct appliance *app)
{
	char *dir = scratch_make();
	struct err e;

	*app = (struct appliance){0};
	home_make(&app->home, dir);
	machine_make(&app->home, MACHINE);
	ck_assert_int_eq(live_new(&app->home, &app->live, &e), 0);
	return dir;
}

void appliance_remove(struct appliance *app, char *dir)
{
	live_free(app->live);
	home_close(&app->home);
	scratch_remove(dir);
}

bool never(void *arg)
{
	(void)arg;
	return false;
}

void disk_make(struct home *h, const char *id, uint64_t size, struct disk_row *d)
{
	struct err e;

	*d = (struct disk_row){.size = size, .granule = 65536, .active = true};
	strcpy(d->id, id);
	strcpy(d->machine, MACHINE);
	strcpy(d->key, id);
	strcpy(d->name, "vda");
	ck_assert_msg(catalog_disk_put(h->catalog, d, &e) == 0, "%s", e.text);
}

uint32_t random_next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

void random_fill(uint64_t *seed, uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)random_next(seed);
}

uint16_t segment_version = WIRE_VERSION;

uint8_t *segment_make(const char *disk, uint64_t epoch, uint32_t number, const struct part *parts,
		      size_t count, size_t *len)
{
	size_t payload = 1;
	struct frame_builder *b;
	struct codec *c = codec_new();
	uint8_t id[UUID_BYTES], *copy;
	const uint8_t *out;

	for (size_t i = 0; i < count; i++)
		payload += parts[i].data ? parts[i].length : 0;
	b = frame_builder_new(payload);
	ck_assert_int_eq(uuid_parse_text(disk, id), 0);
	frame_builder_version(b, segment_version);
	frame_begin(b, id, epoch, number);
	for (size_t i = 0; i < count; i++) {
		enum wire_codec codec = (enum wire_codec)(i % 3);
		int rc = parts[i].data ? frame_add_data(b, c, codec, 1, parts[i].offset,
							parts[i].data, parts[i].length)
				       : frame_add_zero(b, parts[i].offset, parts[i].length);

		ck_assert_int_eq(rc, 0);
	}
	frame_finish(b, &out, len);
	copy = malloc(*len);
	memcpy(copy, out, *len);
	frame_builder_free(b);
	codec_free(c);
	return copy;
}

int segment_append(struct journal *j, const uint8_t *segment, size_t len, struct err *e)
{
	struct frame f;

	ck_assert_msg(frame_parse(&f, segment, len, UINT64_MAX, true, e) == 0, "%s", e->text);
	return journal_append(j, &f, segment, e);
}

static int collect(void *arg, uint64_t count, const struct index_entry *entries, size_t n,
		   struct err *e)
{
	struct index *ix = arg;

	(void)e;
	if (!entries) {
		free(ix->entries);
		ix->count = 0;
		ix->entries = calloc(count + 1, sizeof(*entries));
		return 0;
	}
	memcpy(ix->entries + ix->count, entries, n * sizeof(*entries));
	ix->count += n;
	return 0;
}

int index_load(int (*from)(const struct index_of *of, index_fn fn, void *arg, struct err *e),
	       const struct index_of *of, struct index *ix, struct err *e)
{
	*ix = (struct index){.epoch = of->epoch};
	return from(of, collect, ix, e);
}

void index_clear(struct index *ix)
{
	free(ix->entries);
	*ix = (struct index){0};
}

static void write_journal(struct home *h, const struct disk_row *d, uint64_t epoch,
			  const struct part *parts, size_t count, struct commit_disk *cd)
{
	char name[STORE_NAME_MAX];
	struct journal *j;
	struct err e;

	name_journal(name, d->machine, d->id, epoch);
	ck_assert_msg(journal_open(h->store, name, 0, &j, &e) == 0, "%s", e.text);
	/* Backwards and two parts each, so that neither order nor number says where a segment is. */
	while (count) {
		size_t n = count > 1 ? 2 : 1, len;
		uint8_t *s = segment_make(d->id, epoch, (uint32_t)cd->segments++, parts + count - n,
					  n, &len);

		ck_assert_msg(segment_append(j, s, len, &e) == 0, "%s", e.text);
		free(s);
		count -= n;
	}
	cd->bytes = journal_bytes(j);
	journal_close(j);
}

void epoch_commit(struct home *h, const struct disk_row *d, uint64_t epoch, uint64_t segments,
		  uint64_t bytes, bool point)
{
	struct commit_disk cd = {.segments = segments,
				 .bytes = bytes,
				 .size = d->size,
				 .replicated = d->size,
				 .state = DISK_PROTECTED};
	struct commit_row row = {.point = point, .answer = "{}", .disks = &cd, .disk_count = 1};
	struct index_of of = {h->store, d->machine, d->id, epoch, segments, bytes};
	struct err e;

	strcpy(cd.disk, d->id);
	strcpy(row.machine, d->machine);
	strcpy(row.attempt, "attempt");
	strcpy(row.consistency, "crash");
	row.committed_at = clock_realtime_ns();
	ck_assert_msg(catalog_epoch_open(h->catalog, d->machine, "attempt", &row.epoch, &e) == 0,
		      "%s", e.text);
	ck_assert_uint_eq(row.epoch, epoch);
	ck_assert_msg(catalog_commit(h->catalog, &row, &e) == 0, "%s", e.text);
	if (segments)
		ck_assert_msg(index_make(&of, false, &e) == 0, "%s", e.text);
}

void epoch_make(struct home *h, const struct disk_row *d, uint64_t epoch, const struct part *parts,
		size_t count, bool point)
{
	struct commit_disk cd = {0};

	write_journal(h, d, epoch, parts, count, &cd);
	epoch_commit(h, d, epoch, cd.segments, cd.bytes, point);
}
