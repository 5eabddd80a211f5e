// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/fsmap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/skip.h"
#include "lib/cleanup.h"

#define RECORDS 1024

/* Only what the filesystem says of its own data device, and says is free. */
static bool is_free(const struct fsmap_head *head, const struct fsmap *m, uint32_t device)
{
	return head->fmh_oflags & FMH_OF_DEV_T && m->fmr_device == device &&
	       m->fmr_flags & FMR_OF_SPECIAL_OWNER && m->fmr_owner == FMR_OWN_FREE;
}

static void set_keys(struct fsmap_head *head, uint32_t device, uint64_t from, uint64_t to)
{
	memset(head, 0, sizeof(*head));
	head->fmh_count = RECORDS;
	head->fmh_keys[0].fmr_device = device;
	head->fmh_keys[0].fmr_physical = from;
	head->fmh_keys[1].fmr_device = device;
	head->fmh_keys[1].fmr_physical = to;
	head->fmh_keys[1].fmr_owner = UINT64_MAX;
	head->fmh_keys[1].fmr_offset = UINT64_MAX;
	head->fmh_keys[1].fmr_flags = UINT32_MAX;
}

/* One report, in bytes of the disk, ascending. from and to are of the filesystem's device. */
static int report(int fd, uint32_t device, uint64_t start, uint64_t from, uint64_t to,
		  struct skip_set *out)
{
	_cleanup_free_ struct fsmap_head *head = malloc(fsmap_sizeof(RECORDS));
	int r = 0;

	if (!head)
		return -ENOMEM;
	set_keys(head, device, from, to);
	for (;;) {
		if (ioctl(fd, FS_IOC_GETFSMAP, head))
			return -errno;
		for (uint32_t i = 0; !r && i < head->fmh_entries; i++) {
			const struct fsmap *m = &head->fmh_recs[i];

			if (is_free(head, m, device))
				r = skip_add(out, start + m->fmr_physical,
					     start + m->fmr_physical + m->fmr_length, SKIP_FREE);
		}
		if (r || !head->fmh_entries ||
		    head->fmh_recs[head->fmh_entries - 1].fmr_flags & FMR_OF_LAST)
			return r;
		fsmap_advance(head);
	}
}

/* The kernel's encoding of a device number in 32 bits. */
static uint32_t encode_device(dev_t dev)
{
	uint32_t major = major(dev), minor = minor(dev);

	return (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

/*
 * What was freed before the first report is freed on disk, too, when the sync is over; what is free
 * in both, and not written since the first, no recovery of the filesystem can bring back into use.
 */
static int twice(int fd, uint32_t device, uint64_t start, uint64_t from, uint64_t to,
		 struct skip_set *first)
{
	struct skip_set second = {0};
	int r = report(fd, device, start, from, to, first);

	/* Nothing to gain: spare the machine the sync. */
	if (r || !first->count)
		return r;
	if (syncfs(fd))
		r = -errno;
	if (!r)
		r = report(fd, device, start, from, to, &second);
	if (!r)
		r = skip_intersect(first, &second);
	skip_clear(&second);
	return r;
}

int skip_fsmap(const char *mount, dev_t device, uint64_t start, uint64_t from, uint64_t to,
	       struct skip_set *out, struct err *e)
{
	_cleanup_close_ int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct skip_set found = {0};
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st))
		return err_errno(e, -errno, "cannot open the filesystem at %s", mount);
	/* Of what was opened, whatever is mounted there by now. */
	r = st.st_dev == device ? twice(fd, encode_device(device), start, from, to, &found)
				: -EXDEV;
	for (size_t i = 0; !r && i < found.count; i++)
		r = skip_add(out, found.range[i].from, found.range[i].to, SKIP_FREE);
	skip_clear(&found);
	if (r == -EXDEV)
		return err_set(e, r, "another filesystem is mounted over the one at %s", mount);
	return r ? err_errno(e, r, "the filesystem at %s does not tell what is free", mount) : 0;
}
