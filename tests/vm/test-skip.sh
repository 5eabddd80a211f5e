#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What initial replication leaves out: the contents of swap that is in use and the free blocks of mounted ext4 and XFS filesystems, all full of
# old data, while files in them come and go. The filesystems of a point taken under that load recover and are clean, those of
# the last point have every file as it is on the disk; what was left out is zeros. Then a disk of which a part cannot be read.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"
# shellcheck source=tests/vm/replication.sh
. "$(dirname "${BASH_SOURCE[0]}")/replication.sh"
disk=$vm_build/data1.img
mib=1048576
ext4_at=1 ext4_size=192 xfs_at=193 xfs_size=320 swap_at=513 swap_size=48	# MiB

# Old data everywhere, then filesystems over it.
make_disk() {
	guest_disk "$disk" 576M
	openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 </dev/zero 2>/dev/null | head -c $((576 * mib)) >"$disk" || true
	sfdisk -q "$disk" <<-PARTITIONS
		label: gpt
		start=${ext4_at}MiB, size=${ext4_size}MiB
		start=${xfs_at}MiB, size=${xfs_size}MiB
		start=${swap_at}MiB, size=${swap_size}MiB
	PARTITIONS
	part_in "$ext4_at" "$ext4_size" mke2fs -q -F -t ext4 -E nodiscard
	part_in "$xfs_at" "$xfs_size" mkfs.xfs -q -f -K
	part_in "$swap_at" "$swap_size" mkswap -q
}

# Run a command on a copy of a part of the disk, and put it back.
part_in() {	# AT SIZE COMMAND...
	local at=$1 size=$2

	shift 2
	dd if="$disk" of="$vm_build/part" bs=1M skip="$at" count="$size" status=none
	"$@" "$vm_build/part"
	dd if="$vm_build/part" of="$disk" bs=1M seek="$at" conv=notrunc status=none
	rm "$vm_build/part"
}

# The point, as the guest's disk replica.
give() {	# POINT
	rm -rf "$vm_build/point"
	mkdir "$vm_build/point"
	appliance export guest "$1" --format raw "$vm_build/point" >"$vm_build/export.log" || fail "export of $1"
	dd if="$vm_build/point/vda.raw" of="$vm_build/$1.img" bs=1M conv=notrunc status=none
}

point() {	# NAME
	agent_bookmark main "$1" || fail "no recovery point $1: $(guest_sh main "tail -n 5 /run/mobilityd.log")"
	give "$1"
}

# A second disk, 64 KiB of which cannot be read for a while: they are named, all else goes on, nothing is lost.
read_errors() {
	local under

	under=$(guest_sh main "readlink -f /dev/mob/data2")
	guest_sh main "modprobe dm-mod; printf '%s\\n' '0 16384 linear $under 0' '16384 128 error' '16512 49024 linear $under 16512' | dmsetup create bad --uuid test-bad && ls /dev/dm-0" || fail "no dm-error"
	agent_ctl main protect /dev/dm-0 || fail "protect /dev/dm-0"
	agent_wait main 60 "the error" '.disks[] | select(.path == "/dev/dm-0") | .error // "" | select(test("/dev/dm-0 cannot be read")) | capture("at offset (?<at>[0-9]+)").at | tonumber | . >= 8388608 and . < 8454144'
	agent_wait main 30 "the rest" '.disks[] | select(.path == "/dev/dm-0") | .state == "protected"'
	if agent_ctl main bookmark damaged --timeout 3s; then fail "a point without what could not be read"; fi
	guest_sh main "dmsetup suspend bad; echo '0 65536 linear $under 0' | dmsetup reload bad; dmsetup resume bad"
	agent_bookmark main repaired || fail "no point after the repair"
	rm -rf "$vm_build/point"
	mkdir "$vm_build/point"
	appliance export guest repaired --format raw "$vm_build/point" >"$vm_build/export.log" || fail "export of repaired"
	cmp "$vm_build/data2.img" "$vm_build/point/dm-0.raw" || fail "the repaired disk differs"
}

appliance_init
printf '[replication]\nskip_free = yes\n' >>"$vm_build/m.conf"
appliance_start
test_module
make_disk
head -c 32M "$disk" >"$vm_build/data2.img"
for name in busy last; do
	guest_disk "$vm_build/$name.img" 576M
done
agent_options
guest_start main --disk "$disk:raw:serial=data1" --disk "$vm_build/busy.img:raw:serial=busy" \
	--disk "$vm_build/last.img:raw:serial=last" --disk "$vm_build/data2.img:raw:serial=data2" \
	--allow 'I/O error.*dm-0|dm-0.*I/O error' --timeout 600 --file "$module:/mobility.ko" --bin /usr/sbin/e2fsck --bin /usr/sbin/xfs_repair \
	--bin /usr/sbin/dmsetup "${agent_options[@]}" \
	--script "$vm_dir/guest/skip.sh"
guest_wait_for main '^writing' 180 || fail "the guest did not start"
agent_start main
agent_enroll main
agent_ctl main protect "$(guest_sh main "readlink -f /dev/mob/data1")" || fail "protect"
agent_wait main 180 "initial replication" '(.disks | length == 1) and .disks[0].state == "protected"'
point busy
guest_sh main "sh /run/skip.sh check /dev/mob/busy" || fail "the filesystems of the busy point are damaged"
guest_sh main "touch /run/stop"
guest_wait_for main '^quiet' 120 || fail "the writer did not end"
point last
guest_sh main "sh /run/skip.sh compare /dev/mob/last" || fail "the last point differs from the disk's files"

swap=$(agent_status main .totals.skipped_swap_bytes)
free=$(agent_status main .totals.skipped_free_bytes)
[ "$swap" -eq $((swap_size * mib - 65536)) ] || fail "$swap bytes of swap were left out"
[ "$free" -gt $((250 * mib)) ] || fail "only $free free bytes were left out"
cmp <(dd if="$disk" bs=64k skip=$((swap_at * 16)) count=1 status=none) \
	<(dd if="$vm_build/point/vda.raw" bs=64k skip=$((swap_at * 16)) count=1 status=none) || fail "the header of the swap area"
cmp <(head -c $((swap_size * mib - 65536)) /dev/zero) \
	<(dd if="$vm_build/point/vda.raw" bs=64k skip=$((swap_at * 16 + 1)) count=$((swap_size * 16 - 1)) status=none) ||
	fail "the swap area is not zeros"
read_errors
guest_sh main "touch /run/end"
guest_wait main || fail "guest status $?"
figures="$((swap / mib)) MiB of swap and $((free / mib)) MiB free left out of 576"
pass
