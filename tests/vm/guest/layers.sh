# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Layers between a disk and a filesystem, in a guest without udev (bash, `set -euo pipefail`), made with
# the tools that administrators use: sfdisk, cryptsetup, lvm, mdadm. Sourced. The host puts the programs
# of layers_bins (tests/vm/layers.sh) into the guest.
#
#   layers_init [DEVICE…]           once; LVM never looks at these (replicas hold the same labels)
#   part_make DISK FIRST-SECTOR     one partition up to the end; sets $made, as all that follow do
#   luks_make DEVICE NAME           LUKS2 with a key file; luks_open, luks_close NAME
#   lvm_make DEVICE VG LV SIZE      a linear volume; thin_make: a thin one of a pool in VG
#   md_make NAME LEVEL DEVICE…      an array of this level; md_stop NAME
#
# The same layer over a replica, to read what a point holds; read-only:
#   view_part NAME REPLICA FIRST-SECTOR
#   view_map NAME MAPPING OLD NEW   as the dm device MAPPING, but on NEW where that is on OLD
#   view_raid0 NAME ARRAY COPY…     as the array, of members that offer the same, but on copies of them
#   view_close NAME…                in the order given

export DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1
made=

layers_init() {
	local device filter=""

	modprobe -a dm-mod dm-crypt dm-thin-pool raid0 raid1 xts algif_skcipher 2>/dev/null || true
	for device; do
		filter+="\"r|^$(readlink -f "$device")|\", "
	done
	mkdir -p /etc/lvm /run/lvm /run/lock/lvm /dev/mapper /dev/md
	cat >/etc/lvm/lvm.conf <<-END
		activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
		backup { backup = 0 archive = 0 }
		devices { use_devicesfile = 0 obtain_device_list_from_udev = 0
			global_filter = [ $filter "r|^/dev/mob/|", "r|/view-|", "a|.*|" ] }
	END
	echo "a key of a test" >/run/luks.key
}

part_make() {
	echo "start=$2" | sfdisk -q --no-reread --no-tell-kernel "$1"
	blockdev --rereadpt "$1"
	made=$(readlink -f "$1")
	case $made in
	*[0-9]) made+=p1 ;;
	*) made+=1 ;;
	esac
	[ -b "$made" ] || { echo "no partition $made"; return 1; }
}

luks_make() {
	cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
		--luks2-metadata-size 16k --luks2-keyslots-size 512k --sector-size "$(blockdev --getss "$1")" "$1" /run/luks.key
	luks_open "$1" "$2"
}

luks_open() {
	# the key stays in the table, where view_map finds it
	cryptsetup open --disable-keyring --key-file /run/luks.key "$1" "$2"
	made=/dev/mapper/$2
}

luks_close() {
	cryptsetup close "$1"
}

lvm_make() {
	pvcreate -qq -ff -y "$1"
	vgcreate -qq -s 1M "$2" "$1" 2>/dev/null
	lvcreate -qq -y -Wn -Zn -L "$4" -n "$3" "$2" 2>/dev/null
	made=/dev/mapper/$2-$3
}

thin_make() {
	pvcreate -qq -ff -y "$1"
	vgcreate -qq -s 1M "$2" "$1" 2>/dev/null
	lvcreate -qq -y -Wn -T -L "$4" --poolmetadatasize 4M -V "$4" -n "$3" "$2/pool" 2>/dev/null
	made=/dev/mapper/$2-$3
}

md_make() {
	local name=$1 options=(--metadata 1.2 --homehost any --level "$2")

	case $2 in
	0) options+=(--chunk 64) ;;
	1) options+=(--assume-clean --bitmap none) ;;
	esac
	shift 2
	mdadm --create "/dev/$name" --run --quiet "${options[@]}" --raid-devices $# "$@"
	made=/dev/$name
}

md_stop() {
	mdadm --quiet --stop "/dev/$1"
}

view_part() {
	dmsetup create --readonly "view-$1" --table \
		"0 $(($(blockdev --getsz "$2") - $3)) linear $2 $3"
	made=/dev/mapper/view-$1
}

device_number() {
	local hex

	hex=$(stat -L -c '%t:%T' "$1")
	echo "$((16#${hex%:*})):$((16#${hex#*:}))"
}

view_map() {
	dmsetup table --showkeys "$2" | sed "s/ $(device_number "$3") / $(device_number "$4") /" |
		dmsetup create --readonly "view-$1"
	made=/dev/mapper/view-$1
}

view_raid0() {
	local name=$1 array=/sys/block/$2 members="" n=0 device

	shift 2
	for device; do
		members+=" $device $(cat "$array/md/rd$n/offset")"
		n=$((n + 1))
	done
	dmsetup create --readonly "view-$name" --table "0 $(cat "$array/size") striped $n \
		$(($(cat "$array/md/chunk_size") / 512))$members"
	made=/dev/mapper/view-$name
}

view_close() {
	local name

	for name; do
		dmsetup remove "view-$name"
	done
}
