// SPDX-License-Identifier: Apache-2.0
/*
 * Changes a range of a disk in one of the ways that Linux has, once.
 *
 * usage: blkio HOW DEVICE OFFSET LENGTH [BYTE]
 *	write, nowait	pwrite, pwritev2 with RWF_NOWAIT, O_DIRECT
 *	synced		pwritev2 with RWF_DSYNC through the page cache: as pwrite and fdatasync
 *	burst		every other block of 4 KiB, all of them in flight at once (io_submit)
 *	discard, secure, zero, punch	BLKDISCARD, BLKSECDISCARD, BLKZEROOUT, fallocate PUNCH_HOLE
 *	sg		SG_IO with WRITE(10)
 *	sg-read, sg-ready	SG_IO with READ(10), TEST UNIT READY: change nothing
 *	sg-format	SG_IO with FORMAT UNIT, which sends no data; 0 whatever the disk answers
 *	sg-opcode, sg-ata	the same with the SCSI opcode, or the ATA command (ATA PASS-THROUGH), BYTE
 *	sg-out, sg-in	the SCSI opcode BYTE, told to send or to receive LENGTH; 0 whatever the disk answers
 *	sg-paths	the same with MAINTENANCE OUT, whose action is BYTE
 *	sg-log	the same with ATA WRITE LOG EXT to the log BYTE
 *	sg-sct	the same with ATA SMART WRITE LOG to the log of SMART Command Transport, whose action is BYTE
 *	nvme-compare, nvme-zero-in	NVME_IOCTL_IO_CMD with Compare (changes nothing), and with Write Zeroes that is told to send data; 0 whatever
 *			the disk answers
 *	nvme, nvme-io, nvme-zero	NVME_IOCTL_IO_CMD with Write, NVME_IOCTL_SUBMIT_IO, Write Zeroes
 *	nvme-format	NVME_IOCTL_ADMIN_CMD with Format NVM, of the whole namespace
 *	nvme-log, nvme-feature	the same with Get Log Page, Get Features (no data): change nothing
 * OFFSET and LENGTH are bytes, multiples of 4096, LENGTH at most 1 MiB where data is transferred. Status
 * 0: done; 3: the device or its driver cannot (EOPNOTSUPP, ENOTTY); 1: it failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <scsi/sg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define DATA_MAX (1u << 20)
#define BURST_MAX 1024
#define NVME_WRITE 0x01
#define NVME_COMPARE 0x05
#define NVME_WRITE_ZEROES 0x08
#define NVME_ADMIN_GET_LOG_PAGE 0x02
#define NVME_ADMIN_GET_FEATURES 0x0a
#define NVME_ADMIN_FORMAT 0x80

struct target {
	int fd;
	uint64_t offset, length;
	uint8_t *data;
};

static int whole(const struct target *t, ssize_t n)
{
	if (n >= 0 && (uint64_t)n != t->length)
		errno = EIO;
	return n >= 0 && (uint64_t)n == t->length ? 0 : -1;
}

static int do_write(const struct target *t)
{
	return whole(t, pwrite(t->fd, t->data, t->length, (off_t)t->offset));
}

static int do_nowait(const struct target *t)
{
	struct iovec v = {.iov_base = t->data, .iov_len = t->length};
	ssize_t n;

	do {
		n = pwritev2(t->fd, &v, 1, (off_t)t->offset, RWF_NOWAIT);
	} while (n < 0 && errno == EAGAIN);
	return whole(t, n);
}

static int do_synced(const struct target *t)
{
	struct iovec v = {.iov_base = t->data, .iov_len = t->length};

	if (fcntl(t->fd, F_SETFL, 0)) /* without O_DIRECT */
		return -1;
	return whole(t, pwritev2(t->fd, &v, 1, (off_t)t->offset, RWF_DSYNC));
}

/* Waits for all of them; each has to have written its block. */
static int burst_end(aio_context_t aio, long count)
{
	static struct io_event events[BURST_MAX];
	long n = syscall(SYS_io_getevents, aio, count, count, events, NULL);

	for (long i = 0; i < n; i++) {
		if (events[i].res != 4096) {
			errno = events[i].res < 0 ? (int)-events[i].res : EIO;
			return -1;
		}
	}
	return n == count ? 0 : -1;
}

static int do_burst(const struct target *t)
{
	static struct iocb blocks[BURST_MAX], *list[BURST_MAX];
	uint64_t count = t->length / 8192;
	aio_context_t aio = 0;

	if (!count || count > BURST_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (uint64_t i = 0; i < count; i++) {
		blocks[i] = (struct iocb){.aio_lio_opcode = IOCB_CMD_PWRITE,
					  .aio_fildes = (uint32_t)t->fd,
					  .aio_buf = (uintptr_t)t->data,
					  .aio_nbytes = 4096,
					  .aio_offset = (int64_t)(t->offset + i * 8192)};
		list[i] = &blocks[i];
	}
	if (syscall(SYS_io_setup, BURST_MAX, &aio) ||
	    syscall(SYS_io_submit, aio, count, list) != (long)count)
		return -1;
	return burst_end(aio, (long)count);
}

static int range_ioctl(const struct target *t, unsigned long request)
{
	uint64_t range[2] = {t->offset, t->length};

	return ioctl(t->fd, request, range);
}

static int do_discard(const struct target *t)
{
	return range_ioctl(t, BLKDISCARD);
}

static int do_secure(const struct target *t)
{
	return range_ioctl(t, BLKSECDISCARD);
}

static int do_zero(const struct target *t)
{
	return range_ioctl(t, BLKZEROOUT);
}

static int do_punch(const struct target *t)
{
	return fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)t->offset,
			 (off_t)t->length);
}

static int sg_io(const struct target *t, uint8_t *cdb, unsigned int length, int direction,
		 struct sg_io_hdr *h)
{
	static uint8_t sense[32];

	*h = (struct sg_io_hdr){.interface_id = 'S',
				.dxfer_direction = direction,
				.cmd_len = (unsigned char)length,
				.cmdp = cdb,
				.dxferp = direction == SG_DXFER_NONE ? NULL : t->data,
				.dxfer_len =
					direction == SG_DXFER_NONE ? 0 : (unsigned int)t->length,
				.sbp = sense,
				.mx_sb_len = sizeof(sense),
				.timeout = 60000};
	return ioctl(t->fd, SG_IO, h);
}

static int cdb_no_data(const struct target *t, uint8_t *cdb, unsigned int length, bool refusable)
{
	struct sg_io_hdr h;
	int ret = sg_io(t, cdb, length, SG_DXFER_NONE, &h);

	if (!ret && !refusable && (h.info & SG_INFO_OK_MASK) != SG_INFO_OK) {
		errno = EIO;
		ret = -1;
	}
	return ret;
}

/* FORMAT UNIT and the like: a command of six bytes that are zero but for the first */
static int scsi_no_data(const struct target *t, uint8_t opcode, bool refusable)
{
	uint8_t cdb[6] = {opcode};

	return cdb_no_data(t, cdb, sizeof(cdb), refusable);
}

static int scsi(const struct target *t, uint8_t opcode, int direction)
{
	uint32_t block = (uint32_t)(t->offset / 512), blocks = (uint32_t)(t->length / 512);
	uint8_t cdb[10] = {opcode,
			   0,
			   (uint8_t)(block >> 24),
			   (uint8_t)(block >> 16),
			   (uint8_t)(block >> 8),
			   (uint8_t)block,
			   0,
			   (uint8_t)(blocks >> 8),
			   (uint8_t)blocks,
			   0};
	struct sg_io_hdr h;
	int ret = sg_io(t, cdb, sizeof(cdb), direction, &h);

	if (!ret && (h.info & SG_INFO_OK_MASK) != SG_INFO_OK) {
		errno = EIO;
		ret = -1;
	}
	return ret;
}

static int do_sg(const struct target *t)
{
	return scsi(t, 0x2a, SG_DXFER_TO_DEV);
}

static int do_sg_read(const struct target *t)
{
	return scsi(t, 0x28, SG_DXFER_FROM_DEV);
}

static int do_sg_ready(const struct target *t)
{
	return scsi_no_data(t, 0x00, false);
}

static int do_sg_format(const struct target *t)
{
	return scsi_no_data(t, 0x04, true);
}

static int do_sg_opcode(const struct target *t)
{
	uint8_t cdb[16] = {t->data[0]};

	return cdb_no_data(t, cdb, sizeof(cdb), true);
}

static int do_sg_ata(const struct target *t)
{
	uint8_t cdb[16] = {0x85, 3 << 1, [14] = t->data[0]};

	return cdb_no_data(t, cdb, sizeof(cdb), true);
}

static int sg_refusable(const struct target *t, uint8_t *cdb, int direction)
{
	struct sg_io_hdr h;

	return sg_io(t, cdb, 16, direction, &h);
}

static int do_sg_out(const struct target *t)
{
	uint8_t cdb[16] = {t->data[0]};

	return sg_refusable(t, cdb, SG_DXFER_TO_DEV);
}

static int do_sg_in(const struct target *t)
{
	uint8_t cdb[16] = {t->data[0]};

	return sg_refusable(t, cdb, SG_DXFER_FROM_DEV);
}

static int do_sg_paths(const struct target *t)
{
	uint8_t cdb[16] = {0xa4, t->data[0]};

	return sg_refusable(t, cdb, SG_DXFER_TO_DEV);
}

/* PIO Data-Out, of which the log's number is the lowest byte of the address */
static int do_sg_log(const struct target *t)
{
	uint8_t cdb[16] = {0x85, 5 << 1, [6] = 1, [8] = t->data[0], [14] = 0x3f};

	return sg_refusable(t, cdb, SG_DXFER_TO_DEV);
}

static int do_sg_sct(const struct target *t)
{
	uint8_t cdb[16] = {0x85,       5 << 1,	    [4] = 0xd6,	 [6] = 1,
			   [8] = 0xe0, [10] = 0x4f, [12] = 0xc2, [14] = 0xb0};

	t->data[1] = 0; /* the action is a word */
	return sg_refusable(t, cdb, SG_DXFER_TO_DEV);
}

/* Above 0 is the status that the device gave. */
static int nvme_ioctl(const struct target *t, unsigned long request, void *command)
{
	int ret = ioctl(t->fd, request, command);

	if (ret > 0)
		errno = EIO;
	return ret ? -1 : 0;
}

static int nvme_command(const struct target *t, uint8_t opcode, bool data)
{
	struct nvme_passthru_cmd c = {.opcode = opcode,
				      .nsid = (uint32_t)ioctl(t->fd, NVME_IOCTL_ID),
				      .addr = data ? (uintptr_t)t->data : 0,
				      .data_len = data ? (uint32_t)t->length : 0,
				      .cdw10 = (uint32_t)(t->offset / 512),
				      .cdw12 = (uint32_t)(t->length / 512 - 1)};

	return nvme_ioctl(t, NVME_IOCTL_IO_CMD, &c);
}

static int do_nvme(const struct target *t)
{
	return nvme_command(t, NVME_WRITE, true);
}

static int do_nvme_zero(const struct target *t)
{
	return nvme_command(t, NVME_WRITE_ZEROES, false);
}

static int do_nvme_compare(const struct target *t)
{
	nvme_command(t, NVME_COMPARE, true);
	return 0;
}

static int do_nvme_zero_in(const struct target *t)
{
	nvme_command(t, NVME_WRITE_ZEROES, true);
	return 0;
}

static int nvme_admin(const struct target *t, struct nvme_passthru_cmd c)
{
	return nvme_ioctl(t, NVME_IOCTL_ADMIN_CMD, &c);
}

static int do_nvme_format(const struct target *t)
{
	return nvme_admin(t, (struct nvme_passthru_cmd){.opcode = NVME_ADMIN_FORMAT,
							.nsid = (uint32_t)ioctl(t->fd,
										NVME_IOCTL_ID)});
}

/* SMART, 512 bytes */
static int do_nvme_log(const struct target *t)
{
	return nvme_admin(t, (struct nvme_passthru_cmd){.opcode = NVME_ADMIN_GET_LOG_PAGE,
							.nsid = UINT32_MAX,
							.addr = (uintptr_t)t->data,
							.data_len = 512,
							.cdw10 = 0x02 | (512 / 4 - 1) << 16});
}

/* the temperature threshold, which is in the answer itself */
static int do_nvme_feature(const struct target *t)
{
	return nvme_admin(t, (struct nvme_passthru_cmd){.opcode = NVME_ADMIN_GET_FEATURES,
							.cdw10 = 0x04});
}

static int do_nvme_io(const struct target *t)
{
	struct nvme_user_io io = {.opcode = NVME_WRITE,
				  .nblocks = (uint16_t)(t->length / 512 - 1),
				  .addr = (uintptr_t)t->data,
				  .slba = t->offset / 512};

	return nvme_ioctl(t, NVME_IOCTL_SUBMIT_IO, &io);
}

static const struct {
	const char *name;
	int (*run)(const struct target *t);
} ways[] = {
	{"burst", do_burst},
	{"write", do_write},
	{"nowait", do_nowait},
	{"synced", do_synced},
	{"discard", do_discard},
	{"secure", do_secure},
	{"zero", do_zero},
	{"punch", do_punch},
	{"sg", do_sg},
	{"sg-read", do_sg_read},
	{"nvme", do_nvme},
	{"nvme-io", do_nvme_io},
	{"nvme-zero", do_nvme_zero},
	{"sg-ready", do_sg_ready},
	{"sg-format", do_sg_format},
	{"sg-opcode", do_sg_opcode},
	{"sg-ata", do_sg_ata},
	{"sg-out", do_sg_out},
	{"sg-in", do_sg_in},
	{"sg-paths", do_sg_paths},
	{"sg-log", do_sg_log},
	{"sg-sct", do_sg_sct},
	{"nvme-compare", do_nvme_compare},
	{"nvme-zero-in", do_nvme_zero_in},
	{"nvme-log", do_nvme_log},
	{"nvme-format", do_nvme_format},
	{"nvme-feature", do_nvme_feature},
};

int main(int argc, char **argv)
{
	struct target t;
	int error;

	if (argc < 5)
		goto usage;
	t.offset = strtoull(argv[3], NULL, 0);
	t.length = strtoull(argv[4], NULL, 0);
	t.data = aligned_alloc(4096, DATA_MAX);
	if (!t.data || !t.length || (t.offset | t.length) % 4096)
		goto usage;
	memset(t.data, argc > 5 ? (int)strtoul(argv[5], NULL, 0) : 0, DATA_MAX);
	t.fd = open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (t.fd < 0)
		t.fd = open(argv[2], O_RDWR | O_CLOEXEC); /* a character device */
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(argv[1], ways[i].name))
			continue;
		if (t.fd >= 0 && !ways[i].run(&t))
			return 0;
		error = errno;
		fprintf(stderr, "blkio: %s %s at %s: %s\n", argv[1], argv[2], argv[3],
			strerror(error));
		return error == EOPNOTSUPP || error == ENOTTY ? 3 : 1;
	}
usage:
	fprintf(stderr, "usage: blkio HOW DEVICE OFFSET LENGTH [BYTE]\n");
	return 1;
}
