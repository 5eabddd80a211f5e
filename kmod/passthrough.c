// SPDX-License-Identifier: GPL-2.0
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/major.h>
#include <linux/nvme.h>
#include <linux/uaccess.h>
#include <scsi/scsi_proto.h>

#include "compat.h"
#include "disk.h"
#include "multipath.h"
#include "passthrough.h"
#include "track.h"

static const char mob_reason_unknown[] = "a write of unknown range (passthrough) reached a disk";

/* Commands that write without sending data, and are not named in scsi_proto.h. */
#define MOB_SCSI_FORMAT_WITH_PRESET	0x38
#define MOB_SCSI_WRITE_LONG_10		0x3f	/* marks a block as unreadable */
#define MOB_SCSI_SANITIZE		0x48
#define MOB_SCSI_SERVICE_OUT_16		0x9f	/* WRITE LONG is one of its actions */
#define MOB_ATA_12			0xa1
#define MOB_ATA_16			0x85
#define MOB_ATA_ZERO_EXT		0x44
#define MOB_ATA_WRITE_UNCORRECTABLE	0x45
#define MOB_ATA_SET_SECTOR_SIZE		0xb2
#define MOB_ATA_SANITIZE		0xb4
#define MOB_ATA_CFA_ERASE		0xc0

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
	switch (command) {
	case MOB_ATA_ZERO_EXT:
	case MOB_ATA_WRITE_UNCORRECTABLE:
	case MOB_ATA_SET_SECTOR_SIZE:
	case MOB_ATA_SANITIZE:
	case MOB_ATA_CFA_ERASE:
		return true;
	default:
		return false;
	}
}

/*
 * SCSI disks get commands without data all the time (is it ready, does it spin); these are
 * the ones of them that change what is on the disk.
 */
static bool mob_scsi_writes(const u8 *cdb)
{
	switch (cdb[0]) {
	case FORMAT_UNIT:
	case MOB_SCSI_FORMAT_WITH_PRESET:
	case MOB_SCSI_WRITE_LONG_10:
	case MOB_SCSI_SANITIZE:
	case MOB_SCSI_SERVICE_OUT_16:
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

/* Every transport's driver has it in its name. */
static bool mob_is_nvme_driver(const struct request_queue *q)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol_no_offset(name, (unsigned long)q->mq_ops->queue_rq);
	return strstr(name, "nvme");
}

/*
 * Does an NVMe command for a controller, not for one of its namespaces, change what is on a
 * disk? The driver's own data begin with a pointer to the command, in every transport.
 */
static bool mob_nvme_admin_writes(struct request *rq)
{
	struct nvme_command *cmd;
	u8 opcode;

	if (get_kernel_nofault(cmd, (struct nvme_command **)blk_mq_rq_to_pdu(rq)) ||
	    get_kernel_nofault(opcode, &cmd->common.opcode))
		return true;
	switch (opcode) {
	case nvme_admin_format_nvm:
	case nvme_admin_sanitize_nvm:
	case nvme_admin_security_send:
	case nvme_admin_ns_mgmt:
		return true;
	default:
		/* Of a vendor's own: whatever does not only read. */
		return opcode >= nvme_admin_vendor_start && (opcode & 3) != 2;
	}
}

/*
 * Is @gd a disk of the controller whose own queue @q is? Which controllers lead to a disk with
 * several paths the queue does not tell: it may be this one.
 */
static bool mob_is_of_controller(const struct gendisk *gd, const struct request_queue *q)
{
	const struct blk_mq_tag_set *set = gd->queue->tag_set;

	if (set)
		return set->driver_data == q->tag_set->driver_data;
	return mob_is_namespace(gd);
}

/* The request, for a queue without a disk if @to is NULL, may change what is on @gd. */
static bool mob_writes_to(struct request *rq, const struct gendisk *to, const struct gendisk *gd)
{
	if (gd->queue != rq->q && !(to && to != gd && mob_is_path_of(to, gd)))
		return false;
	if (op_is_write(req_op(rq)))
		return true;
	/*
	 * A command that sends no data counts as one that does not write, for the kernel:
	 * NVMe's Write Zeroes as well.
	 */
	return !blk_rq_bytes(rq) && (!mob_is_scsi(gd) || mob_scsi_writes(mob_scsi_cdb(rq)));
}

static void mob_suspect(struct request *rq, const struct gendisk *to)
{
	bool admin = !to && blk_rq_is_passthrough(rq) && mob_is_nvme_driver(rq->q) &&
		     mob_nvme_admin_writes(rq);
	struct mob_disk *disk;
	unsigned long flags;
	unsigned int i;

	local_irq_save(flags);
	for (i = 0; i < ARRAY_SIZE(mob_disk_hash); i++) {
		hlist_for_each_entry_rcu(disk, &mob_disk_hash[i], hash, irqs_disabled()) {
			if (!mob_writes_to(rq, to, disk->gd) &&
			    !(admin && mob_is_of_controller(disk->gd, rq->q)))
				continue;
			mob_disk_raise(disk, MOB_EVENT_SUSPECT);
			mob_epoch_tear_all(&mob_epochs, mob_reason_unknown);
		}
	}
	local_irq_restore(flags);
}

void mob_passthrough(struct request *rq, const struct gendisk *gd)
{
	if (blk_rq_is_passthrough(rq))
		mob_suspect(rq, gd);
}

void mob_passthrough_cloned(struct request *rq)
{
	if (op_is_write(req_op(rq)))
		mob_suspect(rq, NULL);
}
