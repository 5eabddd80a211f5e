# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Disks that QEMU itself resizes, takes away and gives back while the guest runs; sourced by 10 and 11. One of
# virtio-blk, there from the start, one of virtio-scsi, plugged in when asked for; 16 MiB each. The guest asks for a change by a line of its output (plug_ask in
# guest/plug.sh), "host NUMBER: WHAT", where WHAT is one of
#	resize virtio|scsi MIB
#	unplug virtio|scsi
#	plug virtio|scsi	and is the same disk then
#	end			nothing more will be asked
# plug_init sets plug_options for case_guest.

plug_init() {
	local kind

	# shellcheck disable=SC2054
	plug_options=(--machine pc --qemu -device --qemu virtio-scsi-pci,id=bus --meanwhile plug_host)
	for kind in virtio scsi; do
		# shellcheck disable=SC2154
		guest_disk "$vm_build/$kind.img" 16M
		plug_options+=(--qemu -blockdev --qemu
			"driver=raw,node-name=$kind,discard=unmap,file.driver=file,file.filename=$vm_build/$kind.img")
	done
	plug_options+=(--qemu -device --qemu "$(plug_device virtio | paste -sd,)")
}

plug_device() {		# KIND: what -device and device_add take, a word a line
	case $1 in
	virtio) printf '%s\n' driver=virtio-blk-pci drive=virtio id=virtio serial=virtio ;;
	scsi) printf '%s\n' driver=scsi-hd drive=scsi id=scsi serial=scsi bus=bus.0 ;;
	esac
}

# What has been unplugged is let go of by QEMU a moment after the guest did so.
plug_in() {		# KIND
	local words tries

	mapfile -t words < <(plug_device "$1")
	for ((tries = 0; tries < 50; tries++)); do
		! guest_qmp main device_add "${words[@]}" 2>"$vm_build/qmp.log" || return 0
		nap 0.2
	done
	cat "$vm_build/qmp.log" >&2
	return 1
}

plug_serve() {		# REQUEST KIND [MIB]
	case $1 in
	resize) guest_qmp main block_resize "node-name=$2" "size=$(($3 << 20))" ;;
	unplug) guest_qmp main device_del "id=$2" ;;
	plug) plug_in "$2" ;;
	esac
}

plug_host() {
	local n words

	for ((n = 1; ; n++)); do
		guest_wait_for main "^host $n: " 1800 || return 1
		read -ra words < <(sed -n "s/^host $n: //p" "$vm_build/main/output.log")
		[ "${words[0]}" != end ] || return 0
		plug_serve "${words[@]}" || return 1
	done
}
