#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A clean reboot of a protected root disk. Writes come after the agent has ended, and at the next boot before
# the module is loaded; nobody saw either. The disk is resynchronised by checksum, with the cause in the log,
# and the point that follows is the disk.
set -euo pipefail
# shellcheck source=tests/vm/cases/reboot-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/reboot-lib.sh"

# busybox, the agent's libraries, and room to write; the programs themselves come with each boot
root_image() {
	local root=$vm_build/root

	busybox_root "$root"
	guest_libraries "$root" "$bin"/mobility{d,ctl}
	guest_disk "$vm_build/root.img" 96M
	mke2fs -q -t ext4 -d "$root" "$vm_build/root.img"
	rm -rf "$root"
}

reboot_init
root_image
reboot_boot before reboot.sh --root "$vm_build/root.img"
reboot_protect before /dev/vda
guest_sh before "kill \$(cat /run/mobilityd.pid); while kill -0 \$(cat /run/mobilityd.pid) 2>/dev/null; do sleep 0.1; done; dd if=/dev/urandom of=/late-random bs=64k count=16 conv=fsync status=none" ||
	fail "writing after the agent's end"
reboot_down before

reboot_boot after reboot.sh --root "$vm_build/root.img"
reboot_agent after "the machine was restarted"
guest_sh after "sync; mount -o remount,ro /" || fail "the root disk does not come to rest"
agent_bookmark after after || fail "no recovery point after the reboot"
reboot_down after
reboot_equal root vda
pass
