#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A root on LVM on LUKS on a partition: makes it on /dev/mob/root; opens it before the root is mounted, which
# guest-init calls /prepare-root for; protects the disk while the machine runs from it; or finds itself booted from
# what was recovered. See ../stacks.sh.
# usage: stacks-root.sh make | protect | recovered	(without an argument: opens it)
set -euo pipefail
[ -d /guest ] || ln -s /inject/guest /guest
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
# shellcheck source=tests/vm/guest/layers.sh
. /guest/layers.sh
first_sector=2048
disk=/dev/vda
replica=/dev/vdb

make() {
	layers_init
	modprobe ext4
	part_make $disk $first_sector
	luks_make "$made" system
	lvm_make "$made" vg root 120M
	lvcreate -qq -y -Wn -Zn -L 16M -n data vg 2>/dev/null
	mke2fs -q -t ext4 /dev/mapper/vg-root
	mkdir -p /mnt
	mount /dev/mapper/vg-root /mnt
	tar -C /mnt -xf /root.tar
	umount /mnt
	vgchange -qq -an vg
	cryptsetup close system
}

open() {
	layers_init $replica
	modprobe ext4
	luks_open ${disk}1 system
	vgchange -qq -ay vg
	[ -b /dev/mapper/vg-root ] || vgscan -qq --mknodes
}

check() {
	local status=0

	view_part part $replica $first_sector
	view_map system system ${disk}1 "$made"
	view_map data vg-data /dev/mapper/system "$made"
	oracle verify --at-least $progress.before --at-most $progress.after "$made" || status=$?
	view_close data system part
	return $status
}

protect() {
	local summary

	[ "$(awk '$2 == "/" { print $1 }' /proc/mounts | tail -n 1)" = /dev/mapper/vg-root ] || die "the root is not on LVM"
	layers_init $replica
	insmod /mobility.ko
	oracle_pause=20000 oracle_start /dev/mapper/vg-data
	load_tree /root/tree
	drain attach --dirty $disk >/dev/null
	drain run --epochs 1 $disk=$replica >/dev/null
	drain run --epochs 4 --random-order --progress $progress --check "$0 check" $disk=$replica >/tmp/points ||
		{ tail -n 3 /tmp/points; die "a point of the root is wrong"; }
	summary=$(tail -n 1 /tmp/points)
	load_stop
	oracle_stop >/dev/null
	echo "this machine was protected" >/root/marker
	sync
	mount -o remount,ro /
	drain run --epochs 1 $disk=$replica >/dev/null
	echo "points=$(value checked "$summary")"
}

recovered() {
	grep -q "this machine was protected" /root/marker || die "the recovered root lacks a file"
	[ -d /root/tree ] || die "the recovered root lacks the tree"
	echo "recovered: booted from the replica"
}

"${1:-open}"
