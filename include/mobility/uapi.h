/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The only interface between the kernel module and userspace.
 *
 * MANUAL
 *
 * /dev/mobility (mode 0600) is the control device. Every ioctl, read and mmap, on
 * every descriptor below, needs CAP_SYS_ADMIN. Everything else is a file descriptor:
 *
 *	control fd --MOB_IOC_ATTACH / MOB_IOC_OPEN--> disk fd
 *	control fd --MOB_IOC_ADVANCE---------------> epoch fd
 *	epoch fd   --MOB_EPOCH_IOC_DRAIN-----------> drain fd (one for each disk)
 *
 * Granule.  The unit of tracking: 1 << granule_shift bytes, a power of two of
 * at least 4 KiB, counted from sector 0 of the whole disk. The last granule of
 * a disk may be short.
 *
 * Disk fd.  MOB_IOC_ATTACH starts tracking a whole disk (never a partition) on
 * line, mounted or not. The attachment outlives the descriptor and the process;
 * MOB_IOC_OPEN finds it again, MOB_DISK_IOC_DETACH ends it. attach_id is random
 * for each attachment: as long as it is the same, no write has been missed since
 * the attachment. poll() on a disk fd: POLLIN while the dirty bytes of the active
 * epoch are at or above the threshold, POLLPRI while an event is not
 * acknowledged (MOB_DISK_IOC_ACK), POLLHUP when the disk is gone or detached.
 *
 * Epoch.  The set of writes between two boundaries, over all attached disks
 * together. MOB_IOC_ADVANCE takes a boundary: it publishes the next epoch at one
 * instant for all disks and returns at once with an epoch fd for the epoch that
 * the boundary ended. That epoch is closing until every write that belongs to
 * it has completed, then it is sealed: poll() reports POLLIN. At most one epoch
 * is closing or sealed at a time; until it is committed or closed, and its bits
 * have been given back, MOB_IOC_ADVANCE fails with EBUSY. Once it is over, poll() on
 * its fd reports POLLHUP, and every ioctl fails with ESTALE.
 *
 * Image of an epoch.  All writes tagged with it or with an earlier one; writes in
 * flight at the boundary are in either state, whole sectors. If write B was
 * submitted after write A had completed, no image holds B without A, across
 * disks too. A torn epoch (MOB_EPOCH_TORN) keeps every change but is not the
 * image of any instant: replicate it, do not make a recovery point of it. An
 * epoch can become torn until the last of its granules has been read; ask
 * MOB_EPOCH_IOC_STATUS after reading and before committing.
 *
 * Drain fd.  Belongs to a sealed epoch and a disk. mmap(PROT_READ, MAP_SHARED) at
 * offset 0 gives the dirty bitmap, bitmap_bytes long: bit n (little-endian bit
 * order within bytes) is granule n; it does not change while the epoch is
 * sealed. pread() of whole granules gives their content at the boundary, from
 * disk or from the preserved copy. Reading a dirty granule ends its
 * preservation: its content at the boundary can be had once, so the reader keeps
 * it until it is safe elsewhere. A second pread() of a granule of a sealed
 * epoch fails with ESTALE. pread() of a clean granule gives what is on
 * the disk now. EIO from pread() is a read error of the disk: the granules of
 * that call stay unread and may be tried again, in part.
 *
 * Commit and close.  MOB_EPOCH_IOC_COMMIT forgets the epoch's bits on all disks: call
 * it when the epoch is durable elsewhere. Closing the epoch fd without a commit
 * (a crash too) merges its bits into the active epoch: nothing is lost. After
 * either, drain fds of the epoch fail with ESTALE. A commit fails with EAGAIN while the epoch is
 * closing; with EINTR the caller is being killed, and the epoch is committed all the same.
 *
 * Mark.  MOB_DISK_IOC_MARK sets the bits of a range in the active epoch, as if it
 * had been written now: initial replication and resync are made of it.
 *
 * Events.  MOB_EVENT_SUSPECT: writes happened whose range is not known (pass-
 * through commands; an allocation failed where a write could not be counted; the
 * machine hibernated, and its memory does not know of the image that was written
 * then): the disk must be resynchronised. MOB_EVENT_RESIZED: the capacity is no longer
 * what is tracked; writes past the end of that are not tracked. A larger disk is taken
 * up by MOB_DISK_IOC_GROW, a smaller one is to be attached again.
 * MOB_EVENT_GONE: the disk was removed. Events persist until acknowledged.
 *
 * Growth.  MOB_DISK_IOC_GROW takes the capacity that the disk has now as the one that is
 * tracked. The attachment and every bit stay; the new bits are clear: what was written
 * there before the call is for the caller to mark. Granules keep their size; the old
 * last granule may have been short and is whole now.
 *
 * Mode.  MOB_MODE_HOOK: all of the above. MOB_MODE_TRACK_ONLY: the submission path
 * could not be hooked (the reason is in mob_info.mode_reason); nothing is
 * preserved: an epoch whose granule was overwritten before it was read is torn.
 *
 * Structures.  Each begins with version (MOB_UAPI_VERSION) and flags. Reserved
 * fields and unknown flags must be zero, else EINVAL; another version gives
 * EPROTONOSUPPORT. Sizes and offsets are bytes, times are nanoseconds, integers
 * are of the machine's byte order.
 *
 * Errors common to all: EPERM (no CAP_SYS_ADMIN), EFAULT, EINVAL, ENOTTY, ENOMEM.
 */
#ifndef MOBILITY_UAPI_H
#define MOBILITY_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MOB_DEVICE_NAME		"mobility"
#define MOB_UAPI_VERSION	1
#define MOB_ID_BYTES		16
#define MOB_GRANULE_SHIFT_MIN	12
#define MOB_GRANULE_SHIFT_MAX	24
#define MOB_REASON_BYTES	96

enum mob_mode {
	MOB_MODE_HOOK		= 1,
	MOB_MODE_TRACK_ONLY	= 2,
};

/* Control fd: what is loaded, and how it stands. */
struct mob_info {
	__u32 version;			/* in: MOB_UAPI_VERSION */
	__u32 flags;			/* in: 0 */
	__u32 mode;			/* out: enum mob_mode */
	__u32 disks;			/* out: attached disks */
	__u64 epoch;			/* out: the active epoch */
	__u64 committed_epoch;		/* out: the last epoch committed, 0 if none */
	__u64 pool_limit;		/* out: bound of the pool of preserved copies */
	__u64 pool_used;		/* out */
	__u64 boundaries;		/* out: boundaries since load */
	__u64 torn_epochs;		/* out: epochs torn since load */
	__u64 held_writes;		/* out: writes held to preserve, since load */
	__u64 held_max_ns;		/* out: longest time a write was held */
	__u64 held_total_ns;		/* out */
	__u8  module_id[MOB_ID_BYTES];	/* out: random for each load of the module */
	char  mode_reason[MOB_REASON_BYTES]; /* out: why not MOB_MODE_HOOK, "" if it is */
	__u64 reserved[8];
};

/*
 * Control fd: attach a whole disk. EBUSY: attached already (use MOB_IOC_OPEN).
 * EBADF: bdev_fd is not open. ENOTBLK: not a block device. ENXIO: a partition. EOPNOTSUPP: a
 * zoned disk, or one that can be written past the block layer (DAX, and RAM disks of older
 * kernels). ENOMEDIUM: its capacity is 0. ENOSPC: 64 disks are attached, or the bound of all
 * bitmaps (module parameter bitmap_bytes) has no room for those of this one. EINTR, EAGAIN:
 * writes of an earlier attachment of the disk are still in flight, and a signal came, or 5 s
 * were over. After EFAULT the disk may be attached: the answer could not be stored.
 * The attachment keeps the open file of bdev_fd: open it read-only, without O_EXCL.
 */
#define MOB_ATTACH_DIRTY	(1U << 0)	/* begin with every bit set */
struct mob_attach {
	__u32 version;
	__u32 flags;			/* in: MOB_ATTACH_* */
	__s32 bdev_fd;			/* in: open descriptor of the block device */
	__u32 granule_shift;		/* in: 0 lets the module choose; out: chosen */
	__u64 pool_limit;		/* in: share of the pool for this disk, 0: all */
	__s32 disk_fd;			/* out: the disk fd, close-on-exec */
	__u32 disk_id;			/* out: small number, unique while loaded */
	__u64 size;			/* out: capacity in bytes */
	__u8  attach_id[MOB_ID_BYTES];	/* out */
	__u64 reserved[4];
};

/*
 * Control fd: the disk fd of an attached disk, or of the one that bdev_fd is a partition of. EBADF:
 * bdev_fd is not open. ENODEV: it is not attached, or not a block device.
 */
struct mob_open {
	__u32 version;
	__u32 flags;			/* in: 0 */
	__s32 bdev_fd;			/* in */
	__s32 disk_fd;			/* out */
	__u32 disk_id;			/* out */
	__u32 granule_shift;		/* out */
	__u64 size;			/* out */
	__u8  attach_id[MOB_ID_BYTES];	/* out */
	__u64 reserved[4];
};

/*
 * Control fd: take a boundary. EBUSY: an epoch is closing or sealed, or bits are
 * still being given back. ENODEV: no disk is attached.
 */
struct mob_advance {
	__u32 version;
	__u32 flags;			/* in: 0 */
	__s32 epoch_fd;			/* out: close-on-exec */
	__u32 disks;			/* out: disks of the epoch */
	__u64 epoch;			/* out: the epoch that the boundary ended */
	__u64 boundary_realtime_ns;	/* out: CLOCK_REALTIME at the boundary */
	__u64 boundary_monotonic_ns;	/* out: CLOCK_MONOTONIC at the boundary */
	__u64 reserved[4];
};

#define MOB_EVENT_SUSPECT	(1U << 0)
#define MOB_EVENT_RESIZED	(1U << 1)
#define MOB_EVENT_GONE		(1U << 2)

struct mob_disk_status {
	__u32 version;
	__u32 flags;			/* in: 0 */
	__u32 disk_id;
	__u32 granule_shift;
	__u32 events;			/* MOB_EVENT_*, not yet acknowledged */
	__u32 dev_major;
	__u32 dev_minor;
	__u32 reserved0;
	__u64 size;			/* capacity that is tracked */
	__u64 size_now;			/* 0: the disk is gone or detached */
	__u64 dirty_granules;		/* of the active epoch; may lag by a moment */
	__u64 writes;			/* writes tracked since attach */
	__u64 written_bytes;		/* bytes of these */
	__u64 preserved_granules;	/* copies made since attach */
	__u64 held_writes;
	__u64 held_max_ns;
	__u64 held_total_ns;
	__u64 failed_writes;		/* writes that ended in an error; they stay dirty */
	__u64 bitmap_bytes;		/* kernel memory of this disk's bitmaps */
	__u64 pool_limit;
	__u64 pool_used;
	__u8  attach_id[MOB_ID_BYTES];
	__u64 reserved[8];
};

struct mob_range {			/* MOB_DISK_IOC_MARK; clipped to the capacity */
	__u32 version;
	__u32 flags;			/* in: 0 */
	__u64 offset;			/* in: bytes; rounded outward to granules */
	__u64 length;			/* in: bytes, > 0 */
	__u64 reserved[2];
};

struct mob_ack {			/* MOB_DISK_IOC_ACK */
	__u32 version;
	__u32 flags;			/* in: 0 */
	__u32 events;			/* in: MOB_EVENT_* now known to userspace */
	__u32 reserved0;
	__u64 reserved[2];
};

struct mob_threshold {			/* MOB_DISK_IOC_THRESHOLD */
	__u32 version;
	__u32 flags;			/* in: 0 */
	__u64 dirty_bytes;		/* in: 0 turns it off (the default) */
	__u64 reserved[2];
};

/*
 * MOB_DISK_IOC_GROW. EBUSY: an epoch is closing, sealed or being given back. ERANGE: the
 * disk has become smaller. ENOSPC: the bound of all bitmaps has no room for larger ones.
 * ENODEV: the disk is gone or detached. After an error the disk is tracked as before.
 */
struct mob_grow {
	__u32 version;
	__u32 flags;			/* in: 0 */
	__u64 size;			/* out: bytes that are tracked now */
	__u64 reserved[2];
};

struct mob_plain {			/* ioctls without arguments of their own */
	__u32 version;
	__u32 flags;			/* in: 0 */
	__u64 reserved[2];
};

enum mob_epoch_state {
	MOB_EPOCH_CLOSING	= 1,
	MOB_EPOCH_SEALED	= 2,
};

#define MOB_EPOCH_TORN		(1U << 0)

struct mob_epoch_status {
	__u32 version;
	__u32 flags;			/* in: 0 */
	__u32 state;			/* out: enum mob_epoch_state */
	__u32 result;			/* out: MOB_EPOCH_* */
	__u64 epoch;
	__u64 in_flight;		/* out: its writes not completed yet, approximate */
	__u32 disks;			/* out */
	__u32 reserved0;
	char  torn_reason[MOB_REASON_BYTES]; /* out: the first reason, "" if not torn */
	__u64 reserved[4];
};

/*
 * Epoch fd: open the drain of a disk. EAGAIN: the epoch is still closing. ENODEV:
 * no such disk in this epoch (attached later, or detached since).
 */
struct mob_drain {
	__u32 version;
	__u32 flags;			/* in: 0 */
	__u32 disk_id;			/* in */
	__s32 drain_fd;			/* out: close-on-exec */
	__u32 granule_shift;		/* out */
	__u32 reserved0;
	__u64 bitmap_bytes;		/* out: length to mmap, whole pages */
	__u64 granules;			/* out: granules of the disk */
	__u64 dirty_granules;		/* out: of this epoch, exact */
	__u64 size;			/* out: capacity in bytes */
	__u64 reserved[4];
};

#define MOB_IOC_MAGIC		0xB5

#define MOB_IOC_INFO		_IOWR(MOB_IOC_MAGIC, 0x00, struct mob_info)
#define MOB_IOC_ATTACH		_IOWR(MOB_IOC_MAGIC, 0x01, struct mob_attach)
#define MOB_IOC_OPEN		_IOWR(MOB_IOC_MAGIC, 0x02, struct mob_open)
#define MOB_IOC_ADVANCE		_IOWR(MOB_IOC_MAGIC, 0x03, struct mob_advance)

#define MOB_DISK_IOC_STATUS	_IOWR(MOB_IOC_MAGIC, 0x20, struct mob_disk_status)
#define MOB_DISK_IOC_MARK	_IOWR(MOB_IOC_MAGIC, 0x21, struct mob_range)
#define MOB_DISK_IOC_ACK	_IOWR(MOB_IOC_MAGIC, 0x22, struct mob_ack)
#define MOB_DISK_IOC_THRESHOLD	_IOWR(MOB_IOC_MAGIC, 0x23, struct mob_threshold)
#define MOB_DISK_IOC_DETACH	_IOWR(MOB_IOC_MAGIC, 0x24, struct mob_plain)
#define MOB_DISK_IOC_GROW	_IOWR(MOB_IOC_MAGIC, 0x25, struct mob_grow)

#define MOB_EPOCH_IOC_STATUS	_IOWR(MOB_IOC_MAGIC, 0x40, struct mob_epoch_status)
#define MOB_EPOCH_IOC_DRAIN	_IOWR(MOB_IOC_MAGIC, 0x41, struct mob_drain)
#define MOB_EPOCH_IOC_COMMIT	_IOWR(MOB_IOC_MAGIC, 0x42, struct mob_plain)

#endif
