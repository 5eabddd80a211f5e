// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/source.h"
#include "agent/source_kmod.h"
#include "include/mobility/uapi.h"
#include "lib/cleanup.h"
#include "lib/digest.h"

#define DEVICE "/dev/" MOB_DEVICE_NAME
#define POLL_STEP_MS 200

struct kmod {
	int fd;
};

struct boundary {
	int fd;
};

int kmod_fd(const struct kmod *k)
{
	return k->fd;
}

static int cannot_open(int code, struct err *e)
{
	if (code == -ENOENT || code == -ENXIO || code == -ENODEV)
		return err_set(e, -ENODEV, "the kernel module is not loaded (no " DEVICE ")");
	if (code == -EPERM || code == -EACCES)
		return err_set(e, -EPERM, "mobilityd may not open " DEVICE ": it must run as root");
	return err_errno(e, code, "cannot open " DEVICE);
}

int kmod_open(struct kmod **out, struct err *e)
{
	struct kmod *k = calloc(1, sizeof(*k));
	struct kmod_view view;
	int r;

	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	k->fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	r = k->fd < 0 ? cannot_open(-errno, e) : kmod_view(k, &view, e);
	if (r) {
		kmod_close(k);
		return r;
	}
	*out = k;
	return 0;
}

void kmod_close(struct kmod *k)
{
	if (!k)
		return;
	if (k->fd >= 0)
		close(k->fd);
	free(k);
}

const char *kmod_mode_name(enum kmod_mode m)
{
	static const char *const names[] = {"absent", "hook", "track-only"};

	return names[m];
}

int kmod_view(struct kmod *k, struct kmod_view *out, struct err *e)
{
	struct mob_info info = {.version = MOB_UAPI_VERSION};

	memset(out, 0, sizeof(*out));
	if (ioctl(k->fd, MOB_IOC_INFO, &info)) {
		if (errno == EPROTONOSUPPORT)
			return err_set(
				e, -EPROTONOSUPPORT,
				"the loaded kernel module is of another version than mobilityd: "
				"install both from one release and load the module again");
		return err_errno(e, -errno, "the kernel module does not answer");
	}
	out->mode = info.mode == MOB_MODE_HOOK ? KMOD_HOOK : KMOD_TRACK_ONLY;
	snprintf(out->reason, sizeof(out->reason), "%.*s", MOB_REASON_BYTES, info.mode_reason);
	hex_encode(info.module_id, MOB_ID_BYTES, out->module_id);
	out->epoch = info.epoch;
	out->committed_epoch = info.committed_epoch;
	out->pool_limit = info.pool_limit;
	out->pool_used = info.pool_used;
	out->boundaries = info.boundaries;
	out->torn_epochs = info.torn_epochs;
	out->held_writes = info.held_writes;
	out->held_max_ns = info.held_max_ns;
	out->held_total_ns = info.held_total_ns;
	return 0;
}

static int epoch_status(struct boundary *b, struct mob_epoch_status *st, struct err *e)
{
	*st = (struct mob_epoch_status){.version = MOB_UAPI_VERSION};
	if (ioctl(b->fd, MOB_EPOCH_IOC_STATUS, st))
		return err_errno(e, -errno, "the kernel module does not tell the epoch's status");
	return 0;
}

int boundary_take(struct kmod *k, struct boundary **out, struct boundary_info *info, struct err *e)
{
	struct mob_advance a = {.version = MOB_UAPI_VERSION, .epoch_fd = -1};
	struct boundary *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	b->fd = -1;
	if (ioctl(k->fd, MOB_IOC_ADVANCE, &a)) {
		r = errno == EBUSY ? err_set(e, -EAGAIN, "the last epoch is still being given back")
				   : err_errno(e, -errno, "the kernel module takes no boundary");
		boundary_close(b);
		return r;
	}
	b->fd = a.epoch_fd;
	info->epoch = a.epoch;
	info->realtime_ns = a.boundary_realtime_ns;
	info->monotonic_ns = a.boundary_monotonic_ns;
	*out = b;
	return 0;
}

int boundary_sealed(struct boundary *b, uint64_t *in_flight, struct err *e)
{
	struct pollfd p = {.fd = b->fd, .events = POLLIN};
	struct mob_epoch_status st;
	int r = poll(&p, 1, POLL_STEP_MS);

	if (r < 0 && errno != EINTR)
		return err_errno(e, -errno, "cannot wait for the epoch to be sealed");
	r = epoch_status(b, &st, e);
	if (r)
		return r;
	*in_flight = st.in_flight;
	return st.state == MOB_EPOCH_SEALED;
}

int boundary_torn(struct boundary *b, bool *torn, char *reason, size_t size, struct err *e)
{
	struct mob_epoch_status st;
	int r = epoch_status(b, &st, e);

	if (r)
		return r;
	*torn = st.result & MOB_EPOCH_TORN;
	snprintf(reason, size, "%.*s", MOB_REASON_BYTES, st.torn_reason);
	return 0;
}

int boundary_commit(struct boundary *b, struct err *e)
{
	struct mob_plain plain = {.version = MOB_UAPI_VERSION};

	if (ioctl(b->fd, MOB_EPOCH_IOC_COMMIT, &plain))
		return err_errno(e, -errno, "the kernel module does not take the commit");
	return 0;
}

void boundary_close(struct boundary *b)
{
	if (!b)
		return;
	if (b->fd >= 0)
		close(b->fd);
	free(b);
}

int boundary_fd(const struct boundary *b)
{
	return b->fd;
}
