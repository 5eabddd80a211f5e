#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, run by `drain run --check` with EPOCH set: are the replicas a point in time? Each is checked with
# the oracle; every RECOVER_EVERY-th also by letting the filesystems recover on a throw-away snapshot of it.
# usage: check-point.sh PROGRESS
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. "$(dirname "$0")/common.sh"

snapshot() {		# NAME DEVICE: /dev/mapper/NAME, changes go to a file in /tmp
	local cow

	truncate -s 64M "/tmp/cow-$1"
	cow=$(losetup -f --show "/tmp/cow-$1")
	dmsetup create --noudevsync "$1" --table "0 $(blockdev --getsz "$2") snapshot $2 $cow N 8"
	dmsetup mknodes "$1"
}

drop_snapshot() {	# NAME
	dmsetup remove --noudevsync "$1"
	losetup -j "/tmp/cow-$1" | cut -d: -f1 | xargs -r losetup -d
	rm -f "/tmp/cow-$1"
}

check_ext4() {		# NAME DEVICE
	snapshot "$1" "$2"
	e2fsck -p "/dev/mapper/$1" >/tmp/fsck.log || { cat /tmp/fsck.log; die "$2: e2fsck -p: $?"; }
	e2fsck -fn "/dev/mapper/$1" >/tmp/fsck.log || { cat /tmp/fsck.log; die "$2: e2fsck -fn: $?"; }
	drop_snapshot "$1"
}

check_xfs() {		# NAME DEVICE
	snapshot "$1" "$2"
	mkdir -p /tmp/mnt
	mount -t xfs -o nouuid "/dev/mapper/$1" /tmp/mnt
	umount /tmp/mnt
	xfs_repair -n "/dev/mapper/$1" >/tmp/fsck.log 2>&1 ||
		{ cat /tmp/fsck.log; die "$2: xfs_repair -n: $?"; }
	drop_snapshot "$1"
}

oracle verify --at-least "$1.before" --at-most "$1.after" "${oracle_replicas[@]}" ||
	die "epoch $EPOCH"
if [ $((EPOCH % RECOVER_EVERY)) -eq 0 ]; then
	check_ext4 root "${replicas[0]}"
	check_xfs data1 "${replicas[1]}"
	check_ext4 data2 "${replicas[2]}"
	echo "epoch $EPOCH: three filesystems recovered"
fi
