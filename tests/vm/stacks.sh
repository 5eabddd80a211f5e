#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The stacks that users have, each protected and compared, or refused: prints a table, the one in the README.
# A guest goes through the stacks (guest/stacks.sh) and asks the agent for what it refuses; then a machine whose root
# is on LVM on LUKS is made, protected, and booted from the replica of its disk.
# usage: stacks.sh [REGEX]	of the stacks in the guest, only those whose title matches
set -euo pipefail
test_name=stacks
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"
# shellcheck source=tests/vm/replication.sh
. "$vm_dir/replication.sh"
# shellcheck source=tests/vm/layers.sh
. "$vm_dir/layers.sh"

qemu_disk() {		# NAME DEVICE-OPTIONS: adds a disk that is not plain virtio-blk to the array disks
	guest_disk "$vm_build/$1.img" 40M
	disks+=(--qemu -drive --qemu "if=none,id=$1,file=$vm_build/$1.img,format=raw,cache=unsafe,discard=unmap"
		--qemu -device --qemu "$2")
}

common=(--bin "$(command -v bash):/bin/bash" --file "$vm_dir/guest:/guest" --bin "$top/build/vm/bin/oracle"
	--bin "$top/build/vm/bin/drain" --bin "$top/build/vm/bin/churn" "${layers_bins[@]}")

first_guest() {
	local disks=() name

	for name in d1 d2 d3; do
		guest_disk "$vm_build/$name.img" 40M
		disks+=(--disk "$vm_build/$name.img:raw:serial=$name")
	done
	qemu_disk vblk4k virtio-blk-pci,drive=vblk4k,serial=vblk4k,logical_block_size=4096,physical_block_size=4096
	disks+=(--qemu -device --qemu "virtio-scsi-pci,id=scsi")
	qemu_disk scsi512 scsi-hd,bus=scsi.0,drive=scsi512,serial=scsi512
	qemu_disk scsi4k scsi-hd,bus=scsi.0,drive=scsi4k,serial=scsi4k,logical_block_size=4096,physical_block_size=4096
	qemu_disk nvme512 nvme,drive=nvme512,serial=nvme512
	qemu_disk nvme4k nvme,drive=nvme4k,serial=nvme4k,logical_block_size=4096,physical_block_size=4096
	guest_start stacks --mem 640 --timeout 1200 --file "$module:/mobility.ko" "${disks[@]}" "${common[@]}" \
		"${agent_options[@]}" --command "/guest/stacks.sh '${1-}'"
	guest_wait_for stacks '^rows done' 1100 ||
		fail "$(grep -av '^oracle:' "$vm_build/stacks/output.log" | tail -n 1)"
	tr -d '\r' <"$vm_build/stacks/output.log" | sed -n 's/^row //p' >"$vm_build/rows"
}

# What the agent says to DEVICE; a refusal is a row, a disk that is scanned instead as well.
refused() {		# STACK DEVICE PREPARATION
	local said

	guest_sh stacks "$3" >/dev/null || fail "$1 cannot be set up"
	if said=$(agent_ctl stacks protect "$2" 2>&1); then
		agent_wait stacks 60 "the source of $2" "[.disks[] | select(.path == \"$2\") | .source] == [\"scan\"]"
		said="not tracked but scanned: $(guest_sh stacks "grep -a 'scanned instead' /run/mobilityd.log | tail -n 1" | sed 's/.*\(the kernel module cannot\)/\1/' | head -n 1)"
	else
		said="refused: $(head -n 1 <<<"$said" | sed 's/^mobilityctl: //')"
	fi
	echo "$1 | - | $said" >>"$vm_build/rows"
}

refusals() {
	local null=/sys/kernel/config/nullb/nullb0

	agent_start stacks
	agent_enroll stacks >/dev/null
	refused "a partition by itself" /dev/vda1 "echo start=2048 | sfdisk -q /dev/vda && blockdev --rereadpt /dev/vda"
	refused "a drive without a medium" /dev/loop7 "[ -b /dev/loop7 ] || mknod /dev/loop7 b 7 7"
	refused "a zoned disk" /dev/nullb0 "modprobe configfs; mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config; modprobe null_blk nr_devices=0; mkdir $null && echo 16 >$null/size && echo 4 >$null/zone_size && echo 1 >$null/memory_backed && echo 1 >$null/zoned && echo 1 >$null/power"
	refused "a RAM disk (before Linux 6.3)" /dev/ram0 "modprobe brd rd_nr=1 rd_size=16384"
	agent_kill stacks
	guest_sh stacks "touch /run/end" >/dev/null
	guest_wait stacks || fail "guest status $?"
}

# --- a root on LVM on LUKS -----------------------------------------------------------------------

make_root() {
	local root=$vm_build/root

	busybox_root "$root"
	tar -C "$root" -cf "$vm_build/root.tar" .
	rm -rf "$root"
	guest_disk "$vm_build/luksroot.img" 160M
	guest_disk "$vm_build/replica.img" 160M
	guest_run --timeout 300 --disk "$vm_build/luksroot.img:raw:serial=root" --file "$vm_build/root.tar:/root.tar" \
		"${common[@]}" --command "/guest/stacks-root.sh make" || fail "a root on LVM on LUKS cannot be made"
}

boot_root() {		# IMAGE COMMAND OPTION…
	local image=$1 command=$2

	shift 2
	guest_run --timeout 600 --disk "$vm_build/$image.img:raw:serial=root" "$@" "${common[@]}" \
		--file "$module:/mobility.ko" --file "$vm_dir/guest/stacks-root.sh:/prepare-root" \
		--append mob.root=/dev/mapper/vg-root --command "/guest/stacks-root.sh $command" ||
		fail "$(grep -av '^oracle:' "$vm_build/main/output.log" | tail -n 1)"
}

root_on_luks() {
	local points

	make_root
	boot_root luksroot protect --disk "$vm_build/replica.img:raw:serial=replica"
	points=$(test_value points)
	cmp "$vm_build/luksroot.img" "$vm_build/replica.img" || fail "the replica of the root disk differs"
	boot_root replica recovered
	echo "root on LVM on LUKS on a partition | the disk | $points points verified, sha256 equal, boots from the replica" >>"$vm_build/rows"
}

"$vm_dir/build-tools.sh"
test_module
appliance_init
appliance_start
agent_options
first_guest "$@"
refusals
root_on_luks
sed 's/ | /|/g' "$vm_build/rows" | { echo "stack|protected at|result"; cat; } | column -t -s '|' -o ' | ' -W 3 -c 200 || cat "$vm_build/rows"
figures="$(wc -l <"$vm_build/rows") stacks"
pass
