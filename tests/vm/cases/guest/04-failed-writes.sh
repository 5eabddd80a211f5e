#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: see 04-failed-writes.sh on the host.
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. /guest/common.sh
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
disk=/dev/mob/data1 top=/dev/mapper/top replica=/dev/mob/replica0 pair=/dev/mapper/top=/dev/mob/replica0
sectors=$(blockdev --getsz $disk)
half=$((sectors / 2))
seam=$((half / 8))		# the first block of 4 KiB in the second half

table() {		# NAME TABLE: swaps it while the device is in use
	dmsetup suspend --noudevsync --nolockfs "$1"
	dmsetup load "$1" --table "$2"
	dmsetup resume --noudevsync "$1"
}

halves() {		# TARGET [ARGUMENT]: of the second half
	echo "0 $half linear $disk 0"
	case $1 in
	good) echo "$half $half linear $disk $half" ;;
	flakey) echo "$half $half flakey $disk $half 0 3600 1 error_writes" ;;
	error) echo "$half $half error" ;;
	esac
}

dirty() { value dirty_granules "$(drain status $top)"; }
failed() { value failed_writes "$(drain status $top)"; }
failed_are() { [ "$(failed)" -ge "$1" ]; }
writes_are() { [ "$(value writes "$(drain status $top)")" -ge "$1" ]; }
eight_are_dirty() { [ "$(dirty)" = 8 ]; }
in_flight() { [ "$(counter disks/dm-1 in_flight)" -gt 0 ]; }

# Leaves a held epoch in closing, with a write of /tmp/new over the seam in flight.
boundary_over_write() {
	local tries

	for ((tries = 0; tries < 10; tries++)); do
		head -c 8192 /dev/urandom >/tmp/new
		dd if=/tmp/new of=$top bs=8k seek=$(((seam - 1) * 4096)) oflag=direct,seek_bytes \
			conv=notrunc 2>/dev/null &
		writer=$!
		wait_until 60 "the write does not come in flight" in_flight
		hold_start --until sealed --commit $pair
		hold_wait closing
		[ "$(value in_flight "$hold_line")" = 0 ] || return 0
		hold_wait sealed
		hold_release
		wait "$writer" && die "a write to a device that fails has succeeded"
	done
	die "ten times the write ended before a boundary could be taken"
}

# Half of the write lands, the other half fails; then the device does it after all.
late_write() {
	local before

	before=$(failed)
	boundary_over_write
	wait "$writer" && die "a write to a device that fails has succeeded"
	hold_wait sealed
	[ "$(failed)" = $((before + 1)) ] || die "$(failed) failed writes are counted, not $((before + 1))"
	[ "$(dirty)" = 2 ] ||
		die "the range of a write that failed after the boundary is not dirty: $(dirty) of 2 granules"
	hold_release
	dd if=/tmp/new of=$disk bs=4k skip=1 seek=$seam count=1 oflag=direct conv=notrunc 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	drain run --epochs 1 $pair
	dd if=$replica bs=4k skip=$((seam - 1)) count=2 2>/dev/null | cmp -s - /tmp/new ||
		die "what the device did after it had failed the write is not in the replica"
	echo "a write over the seam: half of it landed, it failed, the rest came late"
}

# A drain that cannot read gives up; nothing of its epoch is lost.
read_error() {
	dd if=/dev/urandom of=$top bs=4k seek=$((seam - 4)) count=4 oflag=direct conv=notrunc 2>/dev/null
	drain mark --offset $((seam * 4096)) --length 16384 $top
	table bad "$(halves error)"
	drain run --epochs 1 $pair && die "an epoch was committed although its granules cannot be read"
	wait_until 30 "not all of 8 granules are dirty after a drain that failed" eight_are_dirty
	table bad "$(halves flakey)"
	drain run --epochs 1 $pair
}

modprobe -a dm-flakey dm-delay
insmod /mobility.ko pool_bytes=$((64 << 20))
dd if=/dev/urandom of=$disk bs=1M count=8 oflag=direct 2>/dev/null
dmsetup create --noudevsync bad --table "$(halves flakey)"
dmsetup mknodes bad
dmsetup create --noudevsync top --table "0 $sectors delay /dev/mapper/bad 0 0 /dev/mapper/bad 0 3000"
dmsetup mknodes top
drain attach --dirty $top
drain run --epochs 1 $pair
[ "$(dirty)" = 0 ] || die "$(dirty) granules are dirty of an idle disk"
late_write
read_error

# many failures, wholly and in part, while boundaries are taken
table top "0 $sectors linear /dev/mapper/bad 0"
fio --output=/dev/null --thread --name=fails --filename=$top --ioengine=libaio --iodepth=8 --direct=1 \
	--rw=randwrite --bssplit=512/20:4k/40:16k/20:64k/20 --bs_unaligned=0 --blockalign=512 \
	--offset=$((half * 512 - (1 << 20))) --size=2M --norandommap --randrepeat=0 --rate=1m \
	--time_based --runtime=86400 --continue_on_error=write --ignore_error=,EIO &
load=$!
drain run --epochs 0 --abort-every 5 --random-order --read 64 $pair >/tmp/drain.log 2>&1 &
drainer=$!
wait_until 120 "few writes fail" failed_are 60
table bad "$(halves good)"
writes=$(value writes "$(drain status $top)")
wait_until 120 "no writes on the recovered device" writes_are $((writes + 50))
table bad "$(halves flakey)"
wait_until 120 "few writes fail the second time" failed_are $(($(failed) + 60))
kill -TERM $drainer
wait $drainer || die "an epoch could not be taken: $(tail -n 1 /tmp/drain.log)"
failed=$(failed)
kill -TERM $load
wait $load || true
table bad "$(halves good)"
drain run --epochs 1 $pair
cmp <(dd if=$top bs=1M iflag=direct 2>/dev/null) <(dd if=$replica bs=1M 2>/dev/null) ||
	die "the replica differs from the recovered device"
[ "$(dirty)" = 0 ] || die "$(dirty) granules are dirty after the last epoch"
drain detach $top
rmmod mobility
echo "failed=$failed epochs=$(value committed "$(tail -n 1 /tmp/drain.log)")"
