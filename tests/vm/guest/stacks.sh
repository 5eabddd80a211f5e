#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In a busybox guest: one stack after another on the disks of ../stacks.sh. Each is set up, filled, protected
# at the level that its row names, and looked at in points taken of it while it is busy; at the end the
# checksums of disks and replicas are compared. Prints "row STACK | PROTECTED | RESULT" lines.
# usage: stacks.sh [REGEX]	only the stacks whose title matches
#	 stacks.sh check MAKE DISK…	what looks at a point
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=tests/vm/guest/load.sh
. "$here/load.sh"
# shellcheck source=tests/vm/guest/layers.sh
. "$here/layers.sh"
first_sector=2049
filesystem=16M
points=3
only=${1-}

replica_of() { echo "/tmp/replica-$(basename "$1")"; }

# /dev/mob/SERIAL for the disks that are not virtio-blk, too
name_disks() {
	local disk serial

	for disk in /sys/block/sd* /sys/block/nvme*; do
		[ -e "$disk" ] || continue
		serial=$disk/device/serial
		[ -e "$serial" ] || serial=$disk/device/vpd_pg80
		serial=$(tr -cd 'a-z0-9-' <"$serial")
		ln -sf "/dev/${disk##*/}" "/dev/mob/$serial"
	done
}

# make_X DISK… sets up a stack, its top is $made; stop_X takes it down; view_X opens the top once more, on
# loop devices with the replicas of the disks, and close_X that.
make_plain() { made=$1; }
stop_plain() { :; }
view_plain() { made=$1; }
close_plain() { :; }

make_partition() { part_make "$1" $first_sector; }
stop_partition() { :; }
view_partition() { view_part part "$1" $first_sector; }
close_partition() { view_close part; }

make_lvm() { lvm_make "$1" vg volume 32M; }
stop_lvm() { vgremove -qq -f -y vg; }
view_lvm() { view_map volume vg-volume "$disk1" "$1"; }
close_lvm() { view_close volume; }

make_thin() { thin_make "$1" vg volume 24M; }
stop_thin() { vgremove -qq -f -y vg; }

make_luks() { luks_make "$1" secret; }
stop_luks() { cryptsetup close secret; }
view_luks() { view_map secret secret "$disk1" "$1"; }
close_luks() { view_close secret; }

make_nested() {
	part_make "$1" $first_sector
	luks_make "$made" secret
	lvm_make "$made" vg volume 32M
}
stop_nested() { vgremove -qq -f -y vg && cryptsetup close secret; }
view_nested() {
	view_part part "$1" $first_sector
	view_map secret secret "$(readlink -f "$disk1")1" "$made"
	view_map volume vg-volume /dev/mapper/secret "$made"
}
close_nested() { view_close volume secret part; }

make_raid0() {
	md_make md0 0 "$@"
	echo 0 >/sys/block/md0/queue/iostats
}
stop_raid0() { mdadm --quiet --stop /dev/md0 && mdadm --zero-superblock "$@"; }
view_raid0s() { view_raid0 raid md0 "$@"; }
close_raid0s() { view_close raid; }

make_raid1() { md_make md0 1 "$@"; }
stop_raid1() { stop_raid0 "$@"; }
view_raid1() { view_part mirror "$2" "$(cat /sys/block/md0/md/rd1/offset)"; }
close_raid1() { view_close mirror; }

view_of() { case $1 in raid0) echo raid0s ;; *) echo "$1" ;; esac; }

check() {		# MAKE DISK…
	local view loops=() disk status=0

	view=$(view_of "$1")
	shift
	disk1=$1
	for disk; do
		loops+=("$(losetup -f)")
		losetup -r "${loops[-1]}" "$(replica_of "$disk")"
	done
	"view_$view" "${loops[@]}"
	oracle verify --at-least $progress.before --at-most $progress.after "$made@$filesystem" || status=$?
	"close_$view"
	for disk in "${loops[@]}"; do
		losetup -d "$disk"
	done
	return $status
}

start_load() {		# TOP [MORE-THREADS]: those that want a discard to leave zeros, unless it is given
	local threads=direct:4096,dsync:8192,direct:65536,buffered:8192,aio:16384,direct:12288

	# these want to begin and end with any sector of 512 bytes
	[ "$(blockdev --getss "$1")" = 4096 ] ||
		threads+=,direct:512,dsync:1536,vector:12288,nowait:3584,zero:4096${2-,discard:8192}
	mke2fs -q -F -t ext4 "$1" $filesystem
	mkdir -p /mnt
	mount -o discard "$1" /mnt
	load_tree /mnt/tree
	oracle_pause=20000 oracle_start --threads "$threads" "$1@$filesystem" >/dev/null
}

stop_load() {
	load_stop 2>/dev/null
	oracle_stop >/tmp/oracle.end || die "a write failed: $(grep '^oracle:' /tmp/oracle.end | head -n 1)"
	umount /mnt
	# an array notes a moment later that it is clean
	until [ ! -e /sys/block/md0 ] || grep -q clean /sys/block/md0/md/array_state; do
		sleep 0.1
	done
}

drain_rest() {		# until an epoch is empty
	local said=""

	until [ "$(value granules "$said")" = 0 ]; do
		said=$(drain run --epochs 1 --torn-ok --interval 300 "${pairs[@]}")
	done
}

# A checksum of each disk, read around the page cache, and of its replica
compare() {		# DISK…
	local disk one other

	for disk; do
		one=$(dd if="$disk" bs=1M iflag=direct status=none | sha256sum)
		other=$(sha256sum <"$(replica_of "$disk")")
		[ "$one" = "$other" ] || { echo "the replica of $disk differs"; return 1; }
	done
}

protect() {		# DISK…: attaches, and copies what is there; sets pairs
	local disk

	pairs=()
	for disk; do
		rm -f "$(replica_of "$disk")"
		truncate -s "$(blockdev --getsize64 "$disk")" "$(replica_of "$disk")"
		pairs+=("$disk=$(replica_of "$disk")")
	done
	drain attach --dirty "$@" >/dev/null
	drain run --epochs 1 "${pairs[@]}" >/dev/null
}

# Points under load, each verified by CHECK; then quiet, one more epoch, and the checksums.
replicate() {		# CHECK DISK…
	local check=$1 disk status preserved=0 pages=0

	shift
	drain run --epochs "$points" --random-order --read 16 --delay 300 --progress $progress \
		--check "$check" "${pairs[@]}" >/tmp/points ||
		{ tail -n 5 /tmp/points; die "a point is wrong"; }
	stop_load
	drain_rest
	compare "$@"
	for disk; do
		status=$(drain status "$disk")
		[ "$(value events "$status")" = 0 ] || die "$disk has events: $status"
		preserved=$((preserved + $(value preserved_granules "$status")))
		pages=$((pages + $(value writes "$status")))
	done
	drain detach "$@"
	result="$points points verified, $pages writes, $preserved granules preserved, sha256 equal"
}

row() {			# TITLE LEVEL MAKE DISK…
	local title=$1 level=$2 make=$3

	[[ $title =~ $only ]] || return 0
	shift 3
	"make_$make" "$@"
	start_load "$made"
	protect "$@"
	replicate "$0 check $make $*" "$@"
	"stop_$make" "$@"
	echo "row $title | $level | $result"
}

# The device on top is what is protected.
row_top() {		# TITLE LEVEL MAKE DISK…
	local title=$1 level=$2 make=$3 top

	[[ $title =~ $only ]] || return 0
	shift 3
	"make_$make" "$@"
	top=$made
	start_load "$top"
	protect "$top"
	replicate "$0 check plain $top" "$top"
	"stop_$make" "$@"
	echo "row $title | $level | $result"
}

# A thin pool is more than its table says: what its volume holds in a point is looked at in a replica of the volume.
row_thin() {		# DISK
	[[ "LVM, thin" =~ $only ]] || return 0
	make_thin "$1"
	start_load "$made" ""	# a thin volume leaves the parts of its chunks as they were
	protect "$1" "$made"
	replicate "$0 check plain $made" "$1" "$made"
	stop_thin "$1"
	echo "row LVM, thin | the disk, and the volume | $result"
}

row_swap() {		# DISK
	local n group=/sys/fs/cgroup/swap

	[[ swap =~ $only ]] || return 0
	mkswap "$1" >/dev/null
	swapon "$1"
	protect "$1"
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	mkdir -p $group /run/cold
	echo 8M >$group/memory.high	# the rest of what this group has goes to the disk
	mount -t tmpfs tmpfs /run/cold
	for n in 1 2 3; do
		(echo $BASHPID >$group/cgroup.procs
			exec dd if=/dev/urandom of=/run/cold/more bs=1M count=24 status=none)
		drain run --epochs 1 --torn-ok "${pairs[@]}" >/dev/null
	done
	umount /run/cold
	swapoff "$1"
	drain_rest
	compare "$1"
	n=$(value writes "$(drain status "$1")")
	[ "$n" -gt 100 ] || die "nothing was swapped out: $n writes"
	drain detach "$1"
	echo "row swap | the disk | 3 epochs while swapping, $n writes, sha256 equal"
}

if [ "${1-}" = check ]; then
	shift
	check "$@"
	exit
fi
modprobe -a ext4 loop virtio_scsi sd_mod nvme 2>/dev/null || true
name_disks
layers_init
insmod /mobility.ko
row "virtio-blk, 512-byte sectors" "the disk" plain /dev/mob/d1
row "virtio-blk, 4096-byte sectors" "the disk" plain /dev/mob/vblk4k
row "virtio-scsi, 512-byte sectors" "the disk" plain /dev/mob/scsi512
row "virtio-scsi, 4096-byte sectors" "the disk" plain /dev/mob/scsi4k
row "NVMe, 512-byte sectors" "the disk" plain /dev/mob/nvme512
row "NVMe, 4096-byte sectors" "the disk" plain /dev/mob/nvme4k
row "partition" "the disk" partition /dev/mob/d1
row "LVM, linear" "the disk" lvm /dev/mob/d2
row_thin /dev/mob/d3
row "LUKS" "the disk" luks /dev/mob/d2
row "partition, LUKS, LVM" "the disk" nested /dev/mob/d1
row "md raid0 (iostats off)" "both disks" raid0 /dev/mob/d2 /dev/mob/d3
row "md raid1" "both disks" raid1 /dev/mob/d2 /dev/mob/d3
row_top "LVM volume by itself" "the volume" lvm /dev/mob/d2
row_top "LUKS mapping by itself" "the mapping" luks /dev/mob/d2
row_top "md raid1 by itself" "the array" raid1 /dev/mob/d2 /dev/mob/d3
row_swap /dev/mob/d3
echo "rows done"
while [ ! -e /run/end ]; do
	sleep 0.5
done
