// SPDX-License-Identifier: GPL-2.0
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/kernel.h>
#include <linux/major.h>
#include <scsi/scsi_proto.h>

#include "compat.h"
#include "disk.h"
#include "passthrough.h"
#include "track.h"

static const char mob_reason_unknown[] = "a write of unknown range (passthrough) reached a disk";

/* Commands that write without sending data, and are not named in scsi_proto.h. */
#define MOB_SCSI_SANITIZE		0x48
#define MOB_ATA_12			0xa1
#define MOB_ATA_16			0x85
#define MOB_ATA_WRITE_UNCORRECTABLE	0x45
#define MOB_ATA_SANITIZE		0xb4

static bool mob_is_scsi(const struct gendisk *gd)
{
	switch (gd->major) {
	case SCSI_DISK0_MAJOR:
	case SCSI_DISK1_MAJOR ... SCSI_DISK7_MAJOR:
	case SCSI_DISK8_MAJOR ... SCSI_DISK15_MAJOR:
		return true;
	default:
		return false;
	}
}

static bool mob_ata_writes(u8 command)
{
	return command == MOB_ATA_WRITE_UNCORRECTABLE || command == MOB_ATA_SANITIZE;
}

/*
 * SCSI disks get commands without data all the time (is it ready, does it spin); these are
 * the ones of them that change what is on the disk.
 */
static bool mob_scsi_writes(const u8 *cdb)
{
	switch (cdb[0]) {
	case FORMAT_UNIT:
	case MOB_SCSI_SANITIZE:
	case WRITE_SAME_16:		/* with NDOB, no data-out buffer */
	case VARIABLE_LENGTH_CMD:	/* the same with 32 bytes */
		return true;
	case MOB_ATA_12:
		return mob_ata_writes(cdb[9]);
	case MOB_ATA_16:
		return mob_ata_writes(cdb[14]);
	default:
		return false;
	}
}

/* NVMe multipath: nvme0c1n2 is a path, by controller 1, to what users have as nvme0n2. */
static bool mob_is_path_of(const struct gendisk *path, const struct gendisk *head)
{
	int system, controller, namespace, head_system, head_namespace;

	return sscanf(path->disk_name, "nvme%dc%dn%d", &system, &controller, &namespace) == 3 &&
	       sscanf(head->disk_name, "nvme%dn%d", &head_system, &head_namespace) == 2 &&
	       system == head_system && namespace == head_namespace;
}

static bool mob_concerns(struct request *rq, const struct gendisk *to, const struct gendisk *gd)
{
	return gd->queue == rq->q || (to && to != gd && mob_is_path_of(to, gd));
}

/* The request writes: somewhere on the disks that it concerns. */
static void mob_suspect(struct request *rq, const struct gendisk *to, bool data)
{
	struct mob_disk *disk;
	unsigned long flags;
	unsigned int i;

	local_irq_save(flags);
	for (i = 0; i < ARRAY_SIZE(mob_disk_hash); i++) {
		hlist_for_each_entry_rcu(disk, &mob_disk_hash[i], hash, irqs_disabled()) {
			if (!mob_concerns(rq, to, disk->gd))
				continue;
			if (!data && mob_is_scsi(disk->gd) && !mob_scsi_writes(mob_scsi_cdb(rq)))
				continue;
			mob_disk_raise(disk, MOB_EVENT_SUSPECT);
			mob_epoch_tear_all(&mob_epochs, mob_reason_unknown);
		}
	}
	local_irq_restore(flags);
}

/*
 * A command that sends no data counts as one that does not write, for the kernel: NVMe's
 * Write Zeroes as well.
 */
void mob_passthrough(struct request *rq, const struct gendisk *gd)
{
	if (!blk_rq_is_passthrough(rq))
		return;
	if (op_is_write(req_op(rq)))
		mob_suspect(rq, gd, true);
	else if (!blk_rq_bytes(rq))
		mob_suspect(rq, gd, false);
}

void mob_passthrough_cloned(struct request *rq)
{
	if (op_is_write(req_op(rq)))
		mob_suspect(rq, NULL, true);
}
