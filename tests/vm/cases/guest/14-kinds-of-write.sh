#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: one write after another, each in another way, and what the module knows of it.
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
kib=1024 mib=$((1 << 20))
SUSPECT=1
tracked=0 suspected=0 cannot=0

replica_of() { echo "/tmp/replica-${1##*/}"; }

replicate() {		# DEVICE: one epoch, which is a point, and the replica equals
	drain run --epochs 1 "$1=$(replica_of "$1")" >/tmp/drain.log || die "$1: $(tail -n 1 /tmp/drain.log)"
	cmp <(dd if="$1" bs=1M iflag=direct status=none) "$(replica_of "$1")" ||
		die "the replica of $1 differs after: $2"
}

start() {		# DEVICE
	truncate -s 4M "$(replica_of "$1")"
	drain attach --dirty "$1" >/dev/null
	replicate "$1" "the initial replication"
}

expect_tracked() {	# DEVICE GRANULES WHAT
	local dirty

	dirty=$(status_of dirty_granules "$1")
	[ "$dirty" = "$2" ] || die "$1: $3 marked $dirty granules instead of $2"
	[ "$(status_of events "$1")" = 0 ] || die "$1: $3 raised events $(status_of events "$1")"
	replicate "$1" "$3"
	tracked=$((tracked + 1))
}

one_way() {		# DEVICE HOW OFFSET LENGTH...: one or more ranges
	local device=$1 how=$2 status=0 granules=0

	shift 2
	while [ $# -gt 0 ] && [ $status -eq 0 ]; do
		blkio "$how" "$device" "$1" "$2" 0x5a || status=$?
		granules=$((granules + $2 / 4096))
		shift 2
	done
	if [ $status -eq 3 ]; then
		# what a driver refuses may be marked before (5.10), and is no harm
		replicate "$device" "$how that was refused"
		cannot=$((cannot + 1))
		return 0
	fi
	[ $status -eq 0 ] || die "$how on $device failed"
	expect_tracked "$device" $granules "$how on $device"
}

batches() {		# DEVICE: 4 KiB blocks of 512 KiB, all of them once
	local engine

	for engine in io_uring libaio; do
		fio --output=/tmp/fio --name=batch --filename="$1" --ioengine=$engine --direct=1 \
			--iodepth=32 --iodepth_batch_submit=16 --iodepth_batch_complete_min=8 \
			--rw=randwrite --bs=4k --offset=3M --size=512k --randrepeat=0 --thread ||
			die "fio on $1 failed: $(cat /tmp/fio)"
		expect_tracked "$1" 128 "batches of $engine on $1"
	done
}

all_ways() {		# DEVICE
	local how at=$mib

	start "$1"
	one_way "$1" write 0 $((512 * kib)) $mib $mib
	one_way "$1" nowait $((2 * mib)) $((256 * kib))
	for how in discard secure zero punch; do
		one_way "$1" $how $at $((64 * kib)) $((at + 72 * kib)) $((4 * kib))
		at=$((at + 128 * kib))
	done
	batches "$1"
	drain detach "$1"
}

check_power_mode=0xe5	# of ATA

is_suspect() { [ "$(status_of events "$1")" = $SUSPECT ]; }	# DEVICE

expect_suspect() {	# DEVICE WHAT
	is_suspect "$1" ||
		die "$1: $2 was not noticed, events $(status_of events "$1")"
	! drain run --epochs 1 "$1=$(replica_of "$1")" >/tmp/drain.log ||
		die "$1: the epoch of $2 is not torn"
	grep -q 'torn: a write of unknown range' /tmp/drain.log ||
		die "$1: torn for another reason: $(cat /tmp/drain.log)"
	drain detach "$1"
	start "$1"
	suspected=$((suspected + 1))
}

passthrough() {		# DISK HOW DEVICE: DEVICE leads to the disk, too
	blkio "$2" "$3" $((3 * mib)) $((16 * kib)) 0xa5 || die "$2 through $3 failed"
	expect_suspect "$1" "$2 through $3"
}

# Each writes without sending data, and is noticed whether the disk knows it or not.
no_data() {		# DISK
	local code

	# FORMAT WITH PRESET, WRITE LONG (10), SANITIZE, SERVICE ACTION OUT (16)
	for code in 0x38 0x3f 0x48 0x9f; do
		blkio sg-opcode "$1" 0 4096 $code || die "the SCSI command $code could not be sent"
		expect_suspect "$1" "the SCSI command $code"
	done
	# ZERO EXT, WRITE UNCORRECTABLE EXT, SET SECTOR CONFIGURATION EXT, SANITIZE DEVICE, CFA ERASE SECTORS
	for code in 0x44 0x45 0xb2 0xb4 0xc0; do
		blkio sg-ata "$1" 0 4096 $code || die "the ATA command $code could not be sent"
		expect_suspect "$1" "the ATA command $code"
	done
}

# What monitors and cluster software send: data that do not go to the medium.
settings() {		# DISK
	local code

	# MODE SELECT (6, 10), LOG SELECT, PERSISTENT RESERVE OUT
	for code in 0x15 0x55 0x4c 0x5f; do
		blkio sg-out "$1" 0 4096 $code || die "the SCSI command $code could not be sent"
	done
	# SET TARGET PORT GROUPS
	blkio sg-paths "$1" 0 4096 0x0a || die "MAINTENANCE OUT could not be sent"
	# a host's own log; error recovery control, feature control, data tables
	blkio sg-log "$1" 0 4096 0x80 || die "WRITE LOG EXT could not be sent"
	for code in 3 4 5; do
		blkio sg-sct "$1" 0 4096 $code || die "the SCT command $code could not be sent"
	done
	[ "$(status_of events "$1")" = 0 ] || die "a command that only sets something is suspected of writing"
}

# What writes by way of such a command, or is told to be a read.
disguised() {		# DISK
	local code

	# long sector access, write same
	for code in 1 2; do
		blkio sg-sct "$1" 0 4096 $code || die "the SCT command $code could not be sent"
		expect_suspect "$1" "the SCT command $code"
	done
	blkio sg-log "$1" 0 4096 0xe1 || die "WRITE LOG EXT could not be sent"
	expect_suspect "$1" "data of an SCT command"
	blkio sg-paths "$1" 0 4096 0x01 || die "MAINTENANCE OUT could not be sent"
	expect_suspect "$1" "MAINTENANCE OUT of another kind"
	blkio sg-in "$1" 0 4096 0x48 || die "SANITIZE could not be sent"
	expect_suspect "$1" "SANITIZE that is told to be a read"
}

# A command that is under way while its disk is attached, or read, writes after that: it is noticed again at its end.
slow_passthrough() {	# DISK, of scsi_debug
	local delay=/sys/bus/pseudo/drivers/scsi_debug/delay pid

	echo 500 >$delay			# jiffies
	blkio sg "$1" $((3 * mib)) $((16 * kib)) 0xa5 &
	pid=$!
	wait_until 5 "a write by passthrough does not begin" is_suspect "$1"
	drain detach "$1"
	drain attach "$1" >/dev/null
	[ "$(status_of events "$1")" = 0 ] || die "the write by passthrough ended too soon: nothing can be shown"
	wait $pid || die "a slow write by passthrough failed"
	echo 0 >$delay
	expect_suspect "$1" "a write by passthrough that began before the disk was attached"
}

# A command for a mapped device goes to the disk below, and only that one's driver sees it.
through_the_mapper() {	# DISK
	local mapped=/dev/mapper/over

	DM_DISABLE_UDEV=1 dmsetup create over --table "0 $(blockdev --getsz "$1") linear $1 0"
	start $mapped
	blkio sg-read $mapped 0 4096
	blkio sg-ready $mapped 0 4096
	blkio sg-out $mapped 0 4096 0x15 || die "MODE SELECT could not be sent through $mapped"
	[ "$(status_of events $mapped)" = 0 ] || die "a read by passthrough through $mapped is suspected of being a write"
	passthrough $mapped sg $mapped
	drain detach $mapped
	DM_DISABLE_UDEV=1 dmsetup remove over
}

nvme_uring() {		# DISK DEVICE
	fio --output=/tmp/fio --name=cmd --filename="$2" --ioengine=io_uring_cmd --cmd_type=nvme \
		--rw=write --bs=4k --offset=1M --size=64k --thread || die "fio on $2 failed: $(cat /tmp/fio)"
	expect_suspect "$1" "an io_uring command through $2"
}

refuse_zoned() {
	null_blk nullb0 size=8 memory_backed=1 zoned=1 zone_size=1
	[ "$(cat /sys/block/nullb0/queue/zoned)" != none ] || die "the zoned disk is not zoned"
	! drain attach /dev/nullb0 2>/tmp/refused || die "a zoned disk was attached"
	grep -q 'Operation not supported' /tmp/refused || die "refused otherwise: $(cat /tmp/refused)"
}

modprobe scsi_debug dev_size_mb=4 lbpu=1 lbpws=1 delay=0
modprobe sd_mod || true
modprobe -a sg nvme dm_mod || true
for _ in {1..100}; do
	[ ! -b /dev/sda ] || [ ! -b /dev/nvme0n1 ] || [ ! -c /dev/sg0 ] || break
	sleep 0.1
done
nvme=/dev/nvme0n1
# a namespace with a subsystem of its own: what users have is a head over hidden paths (multipath)
for disk in /sys/block/nvme*n1; do
	[ "$(cat "$disk/device/serial" 2>/dev/null)" = nvme ] || shared=/dev/${disk##*/}
done
[ -b "${shared-}" ] || die "there is no NVMe disk in a subsystem"
paths=$(find /sys/block/ -name 'nvme*c*n1' | wc -l)
insmod /mobility.ko
refuse_zoned
for disk in /dev/mob/data1 /dev/sda $nvme "$shared"; do
	all_ways "$disk"
done
echo "tracked=$tracked cannot=$cannot"

start /dev/sda
blkio sg-read /dev/sda 0 4096
blkio sg-read /dev/sg0 0 4096
blkio sg-ready /dev/sda 0 4096
blkio sg-ata /dev/sda 0 4096 $check_power_mode
[ "$(status_of events /dev/sda)" = 0 ] || die "a read by passthrough is suspected of being a write"
settings /dev/sda
passthrough /dev/sda sg /dev/sda
# the disk of 7.3's scsi_debug is formatted like a tape that it has not, which is a NULL pointer
if grep -qw partition_tape /proc/kallsyms; then
	cannot=$((cannot + 2))
else
	passthrough /dev/sda sg-format /dev/sda
	passthrough /dev/sda sg-format /dev/sg0
fi
passthrough /dev/sda sg /dev/sg0
no_data /dev/sda
disguised /dev/sda
slow_passthrough /dev/sda
drain detach /dev/sda
through_the_mapper /dev/sda
for disk in $nvme "$shared"; do
	start "$disk"
	for how in nvme-log nvme-feature nvme-compare; do
		blkio $how "$disk" 0 4096 || die "$how through $disk failed"
	done
	[ "$(status_of events "$disk")" = 0 ] || die "a command that only reads or compares is suspected of writing"
	for how in nvme nvme-io nvme-zero nvme-zero-in nvme-format; do
		passthrough "$disk" $how "$disk"
	done
done
[ ! -c /dev/ng0n1 ] || nvme_uring $nvme /dev/ng0n1
drain detach $nvme
drain detach "$shared"
rmmod mobility
echo "tracked=$tracked suspected=$suspected cannot=$cannot paths=$paths"
