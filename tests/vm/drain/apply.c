// SPDX-License-Identifier: Apache-2.0
#include "drain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct span {
	uint64_t first, count; /* granules */
};

struct job {
	const struct source *s;
	const struct run_options *o;
	struct mob_drain d;
	const uint8_t *bitmap;
	uint8_t *buf;
	struct totals *totals;
};

static bool is_dirty(const struct job *j, uint64_t granule)
{
	return j->bitmap[granule / 8] >> (granule % 8) & 1;
}

/* The dirty granules as runs of at most `max`; NULL if out of memory. Also counts the granules. */
static struct span *list_spans(const struct job *j, uint64_t max, uint64_t *spans, uint64_t *dirty)
{
	uint64_t room = 1024;
	struct span *list = malloc(room * sizeof(*list));

	*spans = *dirty = 0;
	for (uint64_t g = 0; list && g < j->d.granules; g++) {
		struct span *last = *spans ? &list[*spans - 1] : NULL;

		if (!is_dirty(j, g))
			continue;
		(*dirty)++;
		if (last && last->first + last->count == g && last->count < max) {
			last->count++;
			continue;
		}
		if (*spans == room) {
			struct span *more = reallocarray(list, room *= 2, sizeof(*list));

			if (!more)
				free(list);
			list = more;
		}
		if (list)
			list[(*spans)++] = (struct span){g, 1};
	}
	return list;
}

static void shuffle(struct span *list, uint64_t n)
{
	for (uint64_t i = n; i > 1; i--) {
		uint64_t k = (uint64_t)random() % i;
		struct span swap = list[i - 1];

		list[i - 1] = list[k];
		list[k] = swap;
	}
}

static bool all_zeros(const uint8_t *buf, size_t length)
{
	return !buf[0] && !memcmp(buf, buf + 1, length - 1);
}

static int read_span(const struct job *j, uint64_t offset, size_t length)
{
	int fd = j->o->bypass ? j->s->direct_fd : j->d.drain_fd;
	size_t done = 0;

	while (done < length) {
		ssize_t n = pread(fd, j->buf + done, length - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 ||
		    ((size_t)n % (1u << j->d.granule_shift) && done + (size_t)n < length)) {
			fprintf(stderr,
				"drain: read of %zu bytes at %" PRIu64 " of %s gave %zd: %s\n",
				length - done, offset + done, j->s->device, n,
				n < 0 ? strerror(errno) : "short");
			return -1;
		}
		done += (size_t)n;
	}
	return 0;
}

static int write_span(const struct job *j, uint64_t offset, size_t length)
{
	j->totals->bytes += length;
	if (all_zeros(j->buf, length) &&
	    !fallocate(j->s->replica_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		       (off_t)length)) {
		j->totals->zero_bytes += length;
		return 0;
	}
	if (pwrite(j->s->replica_fd, j->buf, length, (off_t)offset) == (ssize_t)length)
		return 0;
	fprintf(stderr, "drain: cannot write %zu bytes to %s at %" PRIu64 ": %s\n", length,
		j->s->replica, offset, strerror(errno));
	return -1;
}

static int apply_spans(struct job *j, const struct span *list, uint64_t spans)
{
	for (uint64_t i = 0; i < spans; i++) {
		uint64_t offset = list[i].first << j->d.granule_shift;
		uint64_t length = list[i].count << j->d.granule_shift;

		if (offset + length > j->d.size)
			length = j->d.size - offset;
		if (read_span(j, offset, length) || write_span(j, offset, length))
			return -1;
		j->totals->granules += list[i].count;
		if (j->o->delay_us)
			usleep(j->o->delay_us);
	}
	return 0;
}

static int apply_bitmap(struct job *j, double part)
{
	uint64_t max = ((uint64_t)j->o->read_kib << 10) >> j->d.granule_shift;
	uint64_t spans, dirty;
	struct span *list;
	int ret = -1;

	if (!max)
		max = 1;
	list = list_spans(j, max, &spans, &dirty);
	j->buf = aligned_alloc(4096, max << j->d.granule_shift);
	if (!list || !j->buf) {
		fprintf(stderr, "drain: out of memory\n");
	} else if (dirty != j->d.dirty_granules) {
		fprintf(stderr, "drain: %s: %" PRIu64 " bits are set, %" PRIu64 " were promised\n",
			j->s->device, dirty, (uint64_t)j->d.dirty_granules);
	} else {
		if (j->o->random_order)
			shuffle(list, spans);
		ret = apply_spans(j, list, (uint64_t)((double)spans * part));
	}
	free(list);
	free(j->buf);
	return ret;
}

int apply_disk(int epoch_fd, const struct source *s, const struct run_options *o, double part,
	       struct totals *totals)
{
	struct job j = {.s = s, .o = o, .totals = totals};
	int ret = mob_drain(epoch_fd, s, &j.d);
	void *map;

	if (ret)
		return ret > 0 ? 0 : ret;
	map = mmap(NULL, j.d.bitmap_bytes, PROT_READ, MAP_SHARED, j.d.drain_fd, 0);
	if (map == MAP_FAILED) {
		fprintf(stderr, "drain: cannot map the bitmap of %s: %s\n", s->device,
			strerror(errno));
		close(j.d.drain_fd);
		return -1;
	}
	j.bitmap = map;
	ret = apply_bitmap(&j, part);
	munmap(map, j.d.bitmap_bytes);
	close(j.d.drain_fd);
	return ret;
}
