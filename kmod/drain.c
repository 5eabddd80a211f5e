// SPDX-License-Identifier: GPL-2.0
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "disk.h"
#include "drain.h"
#include "pool.h"
#include "preserve.h"
#include "read.h"
#include "testdelay.h"
#include "track.h"

/* What one step of a pread() reads; granules may be larger. */
#define MOB_STEP_BYTES	(1U << 20)
#define MOB_STEP_PAGES	(MOB_STEP_BYTES / PAGE_SIZE)
/* Copies looked up under one hold of the lock. */
#define MOB_LOOK_BATCH	16

struct mob_drain_file {
	struct mob_disk *disk;
	u64 epoch;
	struct mutex lock;	/* the pages */
	struct page *pages[MOB_STEP_PAGES];
};

/* A part of the disk within a pread(): either whole granules or a part of one. */
struct mob_step {
	u64 offset;
	unsigned int bytes;
};

static bool mob_drain_is_dirty(const struct mob_drain_file *df, u64 granule)
{
	return test_bit(granule, df->disk->map[mob_parity(df->epoch)].bits);
}

static unsigned int mob_granule_shift(const struct mob_disk *disk)
{
	return disk->shift + SECTOR_SHIFT;
}

/*
 * Puts the preserved part of one granule over what was read from the disk. Under the
 * lock of the copies: a copy goes away only by a drain. -ESTALE: drained already.
 */
static int mob_overlay(struct mob_drain_file *df, const struct mob_step *step, u64 granule)
{
	unsigned int shift = mob_granule_shift(df->disk);
	struct mob_copy *copy = xa_load(&df->disk->copies, granule);
	u64 start = max(step->offset, granule << shift);
	u64 end = min(step->offset + step->bytes, (granule + 1) << shift);

	if (!copy)
		return test_bit(granule, df->disk->safe.bits) ? -ESTALE : 0;
	/* Both sides begin at multiples of a page, or of the smaller granule. */
	while (start < end) {
		unsigned int in_copy = start - (granule << shift);
		unsigned int in_step = start - step->offset;
		unsigned int len = min_t(u64, end - start,
					 PAGE_SIZE - max(offset_in_page(in_copy),
							 offset_in_page(in_step)));

		memcpy(page_address(df->pages[in_step / PAGE_SIZE]) + offset_in_page(in_step),
		       page_address(copy->pages[in_copy / PAGE_SIZE]) + offset_in_page(in_copy),
		       len);
		start += len;
	}
	return 0;
}

static int mob_overlay_step(struct mob_drain_file *df, const struct mob_step *step)
{
	unsigned int shift = mob_granule_shift(df->disk);
	u64 granule = step->offset >> shift;
	u64 end = ((step->offset + step->bytes - 1) >> shift) + 1;
	int ret = 0;

	while (granule < end && !ret) {
		u64 batch = min(end, granule + MOB_LOOK_BATCH);

		xa_lock(&df->disk->copies);
		for (; granule < batch && !ret; granule++)
			if (mob_drain_is_dirty(df, granule))
				ret = mob_overlay(df, step, granule);
		xa_unlock(&df->disk->copies);
	}
	return ret;
}

/* The granules that end within the step are the reader's: nothing preserves them any more. */
static void mob_release_step(struct mob_drain_file *df, const struct mob_step *step)
{
	struct mob_disk *disk = df->disk;
	unsigned int shift = mob_granule_shift(disk);
	u64 granule = step->offset >> shift;
	u64 end = step->offset + step->bytes;
	struct mob_copy *copy;

	for (; (granule << shift) + mob_granule_length(disk, granule) <= end; granule++) {
		if (mob_drain_is_dirty(df, granule)) {
			xa_lock(&disk->copies);
			/* A preserver that comes later sees the bit and drops its copy. */
			mob_bitmap_set(&disk->safe, granule, 1);
			copy = __xa_erase(&disk->copies, granule);
			xa_unlock(&disk->copies);
			if (copy)
				mob_copy_free(disk, copy);
		}
		if (granule + 1 >= mob_disk_granules(disk))
			break;
	}
}

static int mob_read_step(struct mob_drain_file *df, const struct mob_step *step)
{
	struct mob_read read;
	unsigned int done = 0;

	mob_read_begin(&read, df->disk, GFP_NOIO);
	mob_read_seek(&read, step->offset >> SECTOR_SHIFT, DIV_ROUND_UP(step->bytes, PAGE_SIZE));
	while (done < step->bytes) {
		unsigned int len = min_t(unsigned int, step->bytes - done, PAGE_SIZE);

		mob_read_add(&read, df->pages[done / PAGE_SIZE], len);
		done += len;
	}
	return mob_read_wait(&read);
}

/*
 * The disk is read first, then copies are looked up: content that was overwritten
 * before our read has its copy visible by now, because the copy came before the
 * overwrite. Only what has reached userspace is given up.
 */
static int mob_drain_step(struct mob_drain_file *df, const struct mob_step *step,
			  char __user *to)
{
	unsigned int done = 0;
	int ret;

	if (!mob_disk_is_hooked(df->disk))
		return -ESTALE;
	if (mob_read_step(df, step))
		return -EIO;
	/* Unhooked while we read: an overwrite may have gone by unseen. */
	if (!mob_disk_is_hooked(df->disk))
		return -ESTALE;
	mob_test_delay(MOB_DELAY_DRAIN_READ);
	ret = mob_overlay_step(df, step);
	if (ret)
		return ret;
	mob_test_delay(MOB_DELAY_DRAIN_CHECKED);
	while (done < step->bytes) {
		unsigned int len = min_t(unsigned int, step->bytes - done, PAGE_SIZE);

		if (copy_to_user(to + done, page_address(df->pages[done / PAGE_SIZE]), len))
			return -EFAULT;
		done += len;
	}
	mob_release_step(df, step);
	return 0;
}

/* Whole granules read so far, so that a short count never splits one. */
static ssize_t mob_drain_steps(struct mob_drain_file *df, u64 offset, u64 end, char __user *to)
{
	unsigned int granule = mob_disk_granule_bytes(df->disk);
	struct mob_step step = { .offset = offset };
	int ret = 0;

	while (step.offset < end) {
		if (fatal_signal_pending(current))
			ret = -EINTR;
		step.bytes = min_t(u64, end - step.offset, MOB_STEP_BYTES);
		if (!ret)
			ret = mob_drain_step(df, &step, to + (step.offset - offset));
		if (ret)
			break;
		step.offset += step.bytes;
		cond_resched();
	}
	if (step.offset < end)
		step.offset = round_down(step.offset, granule);
	return step.offset > offset ? step.offset - offset : ret;
}

static ssize_t mob_drain_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	struct mob_drain_file *df = file->private_data;
	u64 size = mob_disk_bytes(df->disk);
	u64 offset = *pos;
	u64 end;
	ssize_t ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (offset & (mob_disk_granule_bytes(df->disk) - 1))
		return -EINVAL;
	if (offset >= size || !count)
		return 0;
	end = min_t(u64, offset + count, size);
	if (end != size && (end & (mob_disk_granule_bytes(df->disk) - 1)))
		return -EINVAL;
	if (!mob_epoch_reader_get(&mob_epochs, &df->disk->readers, df->epoch))
		return -ESTALE;
	ret = mutex_lock_killable(&df->lock);
	if (!ret) {
		ret = mob_drain_steps(df, offset, end, to);
		mutex_unlock(&df->lock);
	}
	mob_epoch_reader_put(&df->disk->readers);
	if (ret > 0)
		*pos += ret;
	return ret;
}

/* The pages are the mapping's as well: they outlive the bitmap. */
static int mob_drain_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct mob_drain_file *df = file->private_data;
	int ret;

	if (!capable(CAP_SYS_ADMIN) || vma->vm_flags & VM_WRITE)
		return -EPERM;
	mob_vma_forbid_write(vma);
	/* A reader: nobody exchanges the bitmap meanwhile. */
	if (!mob_epoch_reader_get(&mob_epochs, &df->disk->readers, df->epoch))
		return -ESTALE;
	ret = remap_vmalloc_range(vma, df->disk->map[mob_parity(df->epoch)].bits, vma->vm_pgoff);
	mob_epoch_reader_put(&df->disk->readers);
	return ret;
}

static void mob_drain_free(struct mob_drain_file *df)
{
	unsigned int i;

	for (i = 0; i < MOB_STEP_PAGES; i++)
		if (df->pages[i])
			__free_page(df->pages[i]);
	mob_disk_put(df->disk);
	kfree(df);
}

static int mob_drain_release(struct inode *inode, struct file *file)
{
	mob_drain_free(file->private_data);
	return 0;
}

static const struct file_operations mob_drain_fops = {
	.owner		= THIS_MODULE,
	.read		= mob_drain_read,
	.llseek		= default_llseek,
	.mmap		= mob_drain_mmap,
	.release	= mob_drain_release,
};

struct file *mob_drain_open(struct mob_disk *disk, u64 epoch)
{
	struct mob_drain_file *df = kzalloc(sizeof(*df), GFP_KERNEL);
	struct file *file;
	unsigned int i;

	if (!df)
		return ERR_PTR(-ENOMEM);
	df->disk = mob_disk_get(disk);
	df->epoch = epoch;
	mutex_init(&df->lock);
	for (i = 0; i < MOB_STEP_PAGES; i++) {
		df->pages[i] = alloc_page(GFP_KERNEL);
		if (!df->pages[i])
			goto free_df;
	}
	file = anon_inode_getfile("[mobility-drain]", &mob_drain_fops, df, O_RDONLY | O_CLOEXEC);
	if (IS_ERR(file))
		mob_drain_free(df);
	else
		file->f_mode |= FMODE_PREAD | FMODE_LSEEK;
	return file;

free_df:
	mob_drain_free(df);
	return ERR_PTR(-ENOMEM);
}
