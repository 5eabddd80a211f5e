#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-attach-inflight.sh. The disks take one write a second.
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
replica=/tmp/replica
ways=0 late=0 sum=0

dd if=/dev/urandom of=/tmp/new bs=4k count=384 status=none

in_flight() { awk '{ print $2 }' "/sys/block/$1/inflight"; }

are_in_flight() {	# COUNT NAME…: so many of these disks' writes together
	local sum=0 name

	for name in "${@:2}"; do
		sum=$((sum + $(in_flight "$name")))
	done
	[ $sum -ge "$1" ]
}

# The disk is attached while what was begun is on its way to the disks NAME…, read whole, and has all of it in the end.
# In $sum, how many were still in flight when the first epoch had been read: with none of them, nothing is shown.
attach_and_compare() {	# DISK NAME…
	local disk=$1 begun differing name

	shift
	sum=0
	truncate -s 0 $replica
	truncate -s "$(blockdev --getsize64 "$disk")" $replica
	drain attach --dirty "$disk" >/dev/null
	drain run --epochs 1 "$disk=$replica" >/dev/null
	for name in "$@"; do
		sum=$((sum + $(in_flight "$name")))
	done
	wait
	begun=$(status_of writes "$disk")
	drain run --epochs 1 "$disk=$replica" >/dev/null
	differing=$(value differing_granules "$(drain diff "$disk=$replica")")
	[ "$differing" = 0 ] || die "$disk: $differing granules of writes from before the attachment are lost"
	cmp <(dd if="$disk" bs=1M iflag=direct status=none) $replica || die "$disk and its replica differ"
	drain detach "$disk"
	echo "$disk: $sum in flight after the first epoch, $begun counted"
	late=$((late + sum))
	ways=$((ways + (sum > 0)))
}

# Small writes, none of them split; more of them for a guest that takes long to read an epoch.
whole() {		# DISK NAME
	local count

	for count in 16 32 64 128; do
		blkio burst "$1" 0 $((count * 8192)) $((count + 1)) &
		wait_until 30 "the writes do not arrive at $2" are_in_flight $((count * 3 / 4)) "$2"
		attach_and_compare "$1" "$2"
		[ $sum -eq 0 ] || return 0
	done
	die "$1: nothing was in flight any more after the first epoch: nothing was shown"
}

# One write in parts of 4 KiB, of which the queues of the disks NAME… take four at a time.
one_in_parts() {	# KIB DISK NAME…
	local name kib first=$1

	shift
	for name in "${@:2}"; do
		echo 4 >"/sys/block/$name/queue/max_sectors_kb"
		echo 4 >"/sys/block/$name/queue/nr_requests"
	done
	for kib in "$first" $((2 * first)) $((4 * first)) $((8 * first)); do
		dd if=/tmp/new of="$1" bs="${kib}k" count=1 seek=3 oflag=direct conv=notrunc status=none &
		wait_until 30 "the parts do not arrive at ${*:2}" are_in_flight 3 "${@:2}"
		attach_and_compare "$@"
		[ $sum -eq 0 ] || return 0
	done
	die "$1: nothing was in flight any more after the first epoch: nothing was shown"
}

name_of() { basename "$(readlink -f "/dev/mob/$1")"; }

modprobe nvme
modprobe dm-mod
wait_until 20 "there is no NVMe disk in a subsystem" [ -b /dev/nvme0n1 ]
path=$(find /sys/block/ -name 'nvme*c*n1' | head -n 1)
path=${path##*/}
[ -n "$path" ] || [ ! -e /sys/module/nvme_core/parameters/multipath ] || die "the NVMe namespace has no path below a head"
striped striped /dev/mob/leg1 /dev/mob/leg2
insmod /mobility.ko
whole /dev/mob/slow "$(name_of slow)"
one_in_parts 64 /dev/mob/split "$(name_of split)"
one_in_parts 192 /dev/mapper/striped "$(name_of leg1)" "$(name_of leg2)"
whole /dev/nvme0n1 "${path:-nvme0n1}"
rmmod mobility
echo "ways=$ways late=$late"
