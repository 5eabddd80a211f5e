/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything that differs between kernels. features.h is generated: each of the
 * probes in this directory that compiles defines MOB_HAVE_<its name>. No other
 * file of the module may test for a kernel version or a feature.
 */
#ifndef MOB_COMPAT_H
#define MOB_COMPAT_H

#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/ftrace.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "features.h"

#ifndef MOB_HAVE_BIO_BDEV
#include <linux/genhd.h>
#endif
#ifdef MOB_HAVE_SCSI_CMND_ARRAY
#include <scsi/scsi_cmnd.h>
#else
#include <scsi/scsi_request.h>
#endif

#if !defined(CONFIG_64BIT) || !defined(CONFIG_FTRACE) || !defined(CONFIG_KPROBES)
#error "mobility needs a 64-bit kernel with CONFIG_FTRACE and CONFIG_KPROBES"
#endif

/* 5.12 renamed it. */
#ifndef BIO_MAX_VECS
#define BIO_MAX_VECS	BIO_MAX_PAGES
#endif

/* The whole disk that a bio goes to. */
static __always_inline struct gendisk *mob_bio_disk(const struct bio *bio)
{
#ifdef MOB_HAVE_BIO_BDEV
	return bio->bi_bdev->bd_disk;
#else
	return bio->bi_disk;
#endif
}

#ifndef MOB_HAVE_BIO_BDEV
/* The partition that a bio has not been remapped from yet, or NULL. Under RCU. */
static inline struct hd_struct *mob_bio_part(const struct bio *bio)
{
	struct disk_part_tbl *table = rcu_dereference_raw(bio->bi_disk->part_tbl);

	if (!bio->bi_partno || bio->bi_partno >= table->len)
		return NULL;
	return rcu_dereference_raw(table->part[bio->bi_partno]);
}
#endif

/*
 * The first sector of a bio on the whole disk, also where the hook sees a bio
 * before the kernel has remapped it from its partition. Inside an RCU read-side
 * section, which interrupts off are.
 */
static __always_inline sector_t mob_bio_sector(struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;

#ifdef MOB_HAVE_BIO_BDEV
	if (bdev_is_partition(bio->bi_bdev) && !bio_flagged(bio, BIO_REMAPPED))
		sector += bio->bi_bdev->bd_start_sect;
#else
	struct hd_struct *part = mob_bio_part(bio);

	if (part)
		sector += part->start_sect;
#endif
	return sector;
}

/*
 * A bio is traced as remapped from @from. Its own partition's remapping is traced just
 * before the kernel notes it in the bio; a driver's remapping to a partition is not that
 * yet. Inside an RCU read-side section.
 */
static inline void mob_bio_note_remap(struct bio *bio, dev_t from)
{
#ifdef MOB_HAVE_BIO_BDEV
	if (bdev_is_partition(bio->bi_bdev) && bio->bi_bdev->bd_dev == from)
		bio_set_flag(bio, BIO_REMAPPED);
#else
	struct hd_struct *part = mob_bio_part(bio);

	if (part && part_devt(part) == from)
		bio->bi_partno = 0;
#endif
}

/* What an iterator has behind it in its present segment, in bytes. */
static inline unsigned int mob_iter_offset(const struct bvec_iter *iter)
{
#ifdef MOB_HAVE_BVEC_ITER_OFFSET
	return iter->bi_offset;
#else
	return iter->bi_bvec_done;
#endif
}

#ifdef MOB_HAVE_REQ_POLLED
#define MOB_REQ_POLLED	REQ_POLLED
#else
#define MOB_REQ_POLLED	REQ_HIPRI
#endif

/* What submit_bio() returned until 5.15 for a bio that cannot be polled for. */
#define MOB_POLL_NOWHERE	-1U

/* Nobody polls for the bio: an interrupt ends it, so what it was allocated from must bear that. */
static inline void mob_bio_clear_polled(struct bio *bio)
{
#ifdef MOB_HAVE_BIO_CLEAR_POLLED
	bio_clear_polled(bio);
#else
	bio->bi_opf &= ~MOB_REQ_POLLED;
#ifdef MOB_HAVE_BIO_PERCPU_CACHE
	bio_clear_flag(bio, BIO_PERCPU_CACHE);
#endif
#endif
}

/* A bio that another thread issues may wait, and nobody polls for it. */
static inline void mob_bio_make_patient(struct bio *bio)
{
	bio->bi_opf &= ~REQ_NOWAIT;
	mob_bio_clear_polled(bio);
}

/* A bio for reading; with a @bs that has a reserve and a @gfp that may wait never NULL. */
static inline struct bio *mob_bio_alloc_read(struct block_device *bdev, unsigned short vecs,
					     gfp_t gfp, struct bio_set *bs)
{
#ifdef MOB_HAVE_BIO_ALLOC_BDEV
	return bio_alloc_bioset(bdev, vecs, REQ_OP_READ | REQ_SYNC, gfp, bs);
#else
	struct bio *bio = bio_alloc_bioset(gfp, vecs, bs);

	if (bio) {
		bio_set_dev(bio, bdev);
		bio_set_op_attrs(bio, REQ_OP_READ, REQ_SYNC);
	}
	return bio;
#endif
}

static inline bool mob_disk_is_dead(struct gendisk *gd)
{
#ifdef MOB_HAVE_GD_DEAD
	return test_bit(GD_DEAD, &gd->state);
#else
	return !(gd->flags & GENHD_FL_UP);
#endif
}

/* Does the driver take writes past submit_bio()? */
static inline bool mob_disk_bypasses_bios(struct gendisk *gd)
{
#ifdef MOB_HAVE_RW_PAGE
	if (gd->fops->rw_page)
		return true;
#endif
#ifdef MOB_HAVE_BLK_QUEUE_DAX
	return blk_queue_dax(gd->queue);
#else
	return gd->queue->limits.features & BLK_FEAT_DAX;
#endif
}

static inline void mob_vma_forbid_write(struct vm_area_struct *vma)
{
#ifdef MOB_HAVE_VM_FLAGS_CLEAR
	vm_flags_clear(vma, VM_MAYWRITE);
#else
	vma->vm_flags &= ~VM_MAYWRITE;
#endif
}

/* Waits until every task that was preempted has left the code it was in. */
static inline void mob_synchronize_tasks(void)
{
#ifdef CONFIG_TASKS_RCU
	synchronize_rcu_tasks();
#endif
}

/*
 * ftrace. With CONFIG_DYNAMIC_FTRACE_WITH_ARGS a callback may read the arguments
 * and change the instruction pointer without all registers having been saved.
 */
#ifdef MOB_HAVE_FTRACE_REGS
#define mob_ftrace_regs ftrace_regs
#else
#define mob_ftrace_regs pt_regs
#endif

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
#define MOB_FTRACE_REGS		0
#else
#define MOB_FTRACE_REGS		FTRACE_OPS_FL_SAVE_REGS
#endif

/*
 * No recursion guard: a callback cannot come back to itself (it submits nothing), and a
 * guard that is wrong once loses a write. Older kernels add one unless told not to.
 */
#ifdef MOB_HAVE_FTRACE_RECURSION
#define MOB_FTRACE_RECURSION	0
#else
#define MOB_FTRACE_RECURSION	FTRACE_OPS_FL_RECURSION_SAFE
#endif

static __always_inline unsigned long mob_ftrace_arg(struct mob_ftrace_regs *fregs, unsigned int n)
{
#if defined(MOB_HAVE_FTRACE_GET_ARGUMENT)
	return ftrace_regs_get_argument(fregs, n);
#elif defined(MOB_HAVE_FTRACE_REGS)
	return regs_get_kernel_argument(&fregs->regs, n);
#else
	return regs_get_kernel_argument(fregs, n);
#endif
}

static __always_inline void mob_ftrace_redirect(struct mob_ftrace_regs *fregs, void *to)
{
#if defined(MOB_HAVE_FTRACE_SET_IP)
	ftrace_regs_set_instruction_pointer(fregs, (unsigned long)to);
#elif defined(MOB_HAVE_FTRACE_REGS)
	instruction_pointer_set(&fregs->regs, (unsigned long)to);
#else
	instruction_pointer_set(fregs, (unsigned long)to);
#endif
}

/* Where the call or jump at @at leads, if there is one; any address if not. */
#ifdef CONFIG_X86_64
#define MOB_CALLS_ARE_KNOWN	true
#define MOB_CALL_BYTES		5
static inline unsigned long mob_call_target(unsigned long at)
{
	const u8 *code = (const u8 *)at;
	s32 distance;

	if (code[0] != 0xe8 && code[0] != 0xe9)
		return 0;
	memcpy(&distance, code + 1, sizeof(distance));
	return at + MOB_CALL_BYTES + distance;
}
#else
#define MOB_CALLS_ARE_KNOWN	false
#define MOB_CALL_BYTES		1
static inline unsigned long mob_call_target(unsigned long at)
{
	return 0;
}
#endif

/* Which argument of blk_execute_rq() and blk_execute_rq_nowait() is the request. */
#if defined(MOB_HAVE_EXECUTE_RQ_2)
#define MOB_EXECUTE_RQ_ARG	0
#elif defined(MOB_HAVE_EXECUTE_RQ_3)
#define MOB_EXECUTE_RQ_ARG	1
#else
#define MOB_EXECUTE_RQ_ARG	2
#endif

/* The disk that a request goes to, or NULL. */
static inline const struct gendisk *mob_rq_disk(struct request *rq)
{
#ifdef MOB_HAVE_QUEUE_DISK
	return rq->q->disk;
#else
	return rq->rq_disk;
#endif
}

/* The disk that a request for blk_execute_rq() or blk_execute_rq_nowait() goes to, or NULL. */
static inline const struct gendisk *mob_execute_rq_disk(struct request *rq,
							struct mob_ftrace_regs *fregs)
{
#ifdef MOB_HAVE_QUEUE_DISK
	return rq->q->disk;
#else
	/* The argument before the request. */
	return (const struct gendisk *)mob_ftrace_arg(fregs, MOB_EXECUTE_RQ_ARG - 1);
#endif
}

/* The command of a passthrough request to a SCSI disk. */
static inline const u8 *mob_scsi_cdb(struct request *rq)
{
#ifdef MOB_HAVE_SCSI_CMND_ARRAY
	return ((struct scsi_cmnd *)blk_mq_rq_to_pdu(rq))->cmnd;
#else
	return scsi_req(rq)->cmd;
#endif
}

/* Which argument of blk_insert_cloned_request() is the request. */
#ifdef MOB_HAVE_INSERT_CLONED_1
#define MOB_INSERT_CLONED_ARG	0
#else
#define MOB_INSERT_CLONED_ARG	1
#endif

/* Arguments of the tracepoints block_bio_queue and block_bio_remap before the bio. */
#ifdef MOB_HAVE_TRACE_BIO_ONLY
#define MOB_TRACE_QUEUE_ARG
#else
#define MOB_TRACE_QUEUE_ARG	struct request_queue *q,
#endif

#endif
