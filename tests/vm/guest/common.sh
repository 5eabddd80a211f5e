# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Set-up that the scripts in guests share: the disks of a test and their replicas. Sourced.
#
# The disks, besides the root disk: data1 (XFS, /data1) and data2 (ext4, /data2), both mounted with
# `discard`; each, and the root disk, has 16 MiB after the end of its filesystem for the oracle. The
# host adds disks replica0, replica1, replica2 of the same sizes.
# shellcheck disable=SC2034

# shellcheck source=tests/vm/guest/base.sh
. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

fs_root=448M fs_data1=320M fs_data2=64M
disks=(/dev/vda /dev/mob/data1 /dev/mob/data2)
replicas=(/dev/mob/replica0 /dev/mob/replica1 /dev/mob/replica2)
oracle_disks=("${disks[0]}@$fs_root" "${disks[1]}@$fs_data1" "${disks[2]}@$fs_data2")
oracle_replicas=("${replicas[0]}@$fs_root" "${replicas[1]}@$fs_data1" "${replicas[2]}@$fs_data2")
pairs=("${disks[0]}=${replicas[0]}" "${disks[1]}=${replicas[1]}" "${disks[2]}=${replicas[2]}")

set_up_disks() {
	mkfs.xfs -q -d size=$fs_data1 "${disks[1]}"
	mke2fs -q -t ext4 "${disks[2]}" $fs_data2
	mkdir -p /data1 /data2
	mount -o discard "${disks[1]}" /data1
	mount -o discard "${disks[2]}" /data2
}

# After this nothing writes to any of the disks.
quiesce_disks() {
	umount /data1 /data2
	sync
	mount -o remount,ro /
}

# A disk's bytes, read around the page cache, against its replica. (The host compares all of them.)
compare_disk() {	# NUMBER
	cmp <(dd if="${disks[$1]}" bs=1M iflag=direct status=none) \
		<(dd if="${replicas[$1]}" bs=1M iflag=direct status=none) ||
		die "the replica of ${disks[$1]} differs"
}

expect_clean() {	# nothing is dirty, no event, no failed write
	local disk status

	for disk in "${disks[@]}"; do
		status=$(drain status "$disk")
		echo "$status"
		[ "$(value dirty_granules "$status")" = 0 ] || die "$disk is dirty after the last epoch"
		[ "$(value events "$status")" = 0 ] || die "$disk has events"
		[ "$(value failed_writes "$status")" = 0 ] || die "$disk has failed writes"
	done
}
