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

/* What is not named in scsi_proto.h or linux/nvme.h. */
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
#define MOB_ATA_WRITE_LOG_EXT		0x3f
#define MOB_ATA_WRITE_LOG_DMA_EXT	0x57
#define MOB_ATA_SMART			0xb0
#define MOB_ATA_SMART_WRITE_LOG		0xd6	/* its feature */
#define MOB_ATA_LOG_SCT_COMMAND		0xe0	/* a log that is a command */
#define MOB_ATA_LOG_SCT_DATA		0xe1
#define MOB_NVME_VERIFY			0x0c
#define MOB_NVME_ZONE_MGMT_RECV		0x7a
#define MOB_NVME_VENDOR			0x80	/* and above */

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

/*
 * SMART Command Transport: the data say what is to be done. Monitors set time limits and
 * read tables by it; sectors can be written by it as well.
 */
static bool mob_sct_writes(struct request *rq)
{
	struct bio_vec data;
	const u8 *action;

	if (!rq->bio || !bio_has_data(rq->bio))
		return true;
	data = bio_iter_iovec(rq->bio, rq->bio->bi_iter);
	if (data.bv_len < sizeof(u16) || !page_address(data.bv_page))
		return true;
	action = page_address(data.bv_page) + data.bv_offset;
	switch (action[0] | action[1] << 8) {
	case 3:		/* error recovery control */
	case 4:		/* feature control */
	case 5:		/* data tables */
		return false;
	default:
		return true;
	}
}

/* What is written to logs is not on the disk, but for one that is a command. */
static bool mob_ata_log_writes(struct request *rq, u8 log)
{
	if (log == MOB_ATA_LOG_SCT_COMMAND)
		return mob_sct_writes(rq);
	return log == MOB_ATA_LOG_SCT_DATA;
}

static bool mob_ata_writes(struct request *rq, u8 command, u8 feature, u8 log)
{
	switch (command) {
	case MOB_ATA_ZERO_EXT:
	case MOB_ATA_WRITE_UNCORRECTABLE:
	case MOB_ATA_SET_SECTOR_SIZE:
	case MOB_ATA_SANITIZE:
	case MOB_ATA_CFA_ERASE:
		return true;
	case MOB_ATA_WRITE_LOG_EXT:
	case MOB_ATA_WRITE_LOG_DMA_EXT:
		return mob_ata_log_writes(rq, log);
	case MOB_ATA_SMART:
		return feature == MOB_ATA_SMART_WRITE_LOG && mob_ata_log_writes(rq, log);
	default:
		return op_is_write(req_op(rq));
	}
}

/*
 * SCSI disks get commands all the time that change nothing on them: is it ready, does it
 * spin, and settings, logs and reservations, which send data. Some that change much send none, or
 * are told to be a read by who has them sent.
 */
static bool mob_scsi_writes(struct request *rq)
{
	const u8 *cdb = mob_scsi_cdb(rq);

	switch (cdb[0]) {
	case FORMAT_UNIT:
	case MOB_SCSI_FORMAT_WITH_PRESET:
	case MOB_SCSI_WRITE_LONG_10:
	case MOB_SCSI_SANITIZE:
	case MOB_SCSI_SERVICE_OUT_16:
	case WRITE_SAME_16:		/* with NDOB, no data-out buffer */
	case VARIABLE_LENGTH_CMD:	/* the same with 32 bytes */
		return true;
	case MODE_SELECT:
	case MODE_SELECT_10:
	case LOG_SELECT:
	case PERSISTENT_RESERVE_OUT:
		return false;
	case MAINTENANCE_OUT:		/* a change of paths, by who manages them */
		return (cdb[1] & 0x1f) != MO_SET_TARGET_PGS;
	case MOB_ATA_12:
		return mob_ata_writes(rq, cdb[9], cdb[3], cdb[5]);
	case MOB_ATA_16:
		return mob_ata_writes(rq, cdb[14], cdb[4], cdb[8]);
	default:
		return op_is_write(req_op(rq));
	}
}

/* Every transport's driver has it in its name. */
static bool mob_is_nvme_driver(const struct request_queue *q)
{
	char name[KSYM_SYMBOL_LEN];

	sprint_symbol_no_offset(name, (unsigned long)q->mq_ops->queue_rq);
	return strstr(name, "nvme");
}

/* The driver's own data begin with a pointer to the command, in every transport. */
static bool mob_nvme_opcode(struct request *rq, u8 *opcode)
{
	struct nvme_command *cmd;

	return !get_kernel_nofault(cmd, (struct nvme_command **)blk_mq_rq_to_pdu(rq)) &&
	       !get_kernel_nofault(*opcode, &cmd->common.opcode);
}

/*
 * Does a command for a namespace change what is on it? The kernel goes by whether it
 * sends data: Write Zeroes does not, and Compare does.
 */
static bool mob_nvme_writes(struct request *rq)
{
	u8 opcode;

	if (!mob_nvme_opcode(rq, &opcode))
		return true;
	switch (opcode) {
	case nvme_cmd_flush:
	case nvme_cmd_read:
	case nvme_cmd_compare:
	case MOB_NVME_VERIFY:
	case nvme_cmd_resv_register:
	case nvme_cmd_resv_report:
	case nvme_cmd_resv_acquire:
	case nvme_cmd_resv_release:
	case MOB_NVME_ZONE_MGMT_RECV:
		return false;
	default:
		/* Of a vendor's own: whatever does not only read. */
		return opcode < MOB_NVME_VENDOR || (opcode & 3) != 2;
	}
}

/*
 * Does an NVMe command for a controller, not for one of its namespaces, change what is on a
 * disk?
 */
static bool mob_nvme_admin_writes(struct request *rq)
{
	u8 opcode;

	if (!mob_nvme_opcode(rq, &opcode))
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

/*
 * These hand a command that somebody has for them to a disk below, where nothing tells that
 * it was for them; it may have been.
 */
static bool mob_hands_on(const struct gendisk *gd)
{
	return str_has_prefix(gd->disk_name, "dm-") || str_has_prefix(gd->disk_name, "bcache");
}

/* The command for @to may change what is there; @odd: where its commands are not known. */
static bool mob_command_writes(struct request *rq, const struct gendisk *to, bool odd)
{
	if (mob_is_scsi(to))
		return mob_scsi_writes(rq);
	if (mob_is_nvme_driver(rq->q))
		return mob_nvme_writes(rq);
	return op_is_write(req_op(rq)) || odd;
}

/* The request, for a queue without a disk if @to is NULL, may change what is on @gd. */
static bool mob_writes_to(struct request *rq, const struct gendisk *to, const struct gendisk *gd)
{
	bool below = to && to != gd;

	if (below && blk_rq_is_passthrough(rq) && mob_hands_on(gd))
		return mob_command_writes(rq, to, false);
	if (gd->queue != rq->q &&
	    !(below && READ_ONCE(mob_multipath_disks) && mob_is_path_of(to, gd)))
		return false;
	if (!blk_rq_is_passthrough(rq))
		return op_is_write(req_op(rq));
	/* A command that sends no data may write all the same. */
	return mob_command_writes(rq, gd, !blk_rq_bytes(rq));
}

static void mob_suspect(struct request *rq, const struct gendisk *to)
{
	struct mob_disk *disk;
	unsigned long flags;
	unsigned int i;
	bool admin;

	/* One that is attached meanwhile is looked for again at the request's end. */
	if (list_empty(&mob_disk_list))
		return;
	admin = !to && blk_rq_is_passthrough(rq) && mob_is_nvme_driver(rq->q) &&
		mob_nvme_admin_writes(rq);
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
