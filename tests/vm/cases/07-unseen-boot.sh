#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Between two boots of a protected machine another system is booted, one that knows neither module nor agent, and
# writes to the disk, through a filesystem and around it. Back in its own system, the disk is resynchronised by
# checksum, with the cause in the log, and the point that follows is the disk.
set -euo pipefail
# shellcheck source=tests/vm/cases/reboot-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/reboot-lib.sh"

reboot_init
guest_disk "$vm_build/data1.img" 48M
mke2fs -q -t ext4 "$vm_build/data1.img" 32M
data=(--disk "$vm_build/data1.img:raw:serial=data1")
reboot_boot before reboot.sh "${data[@]}"
guest_sh before "mkdir -p /mnt && mount /dev/vda /mnt && cp /bin/busybox /mnt/one && echo /mnt >/run/unmount" ||
	fail "the disk does not mount"
reboot_protect before /dev/vda
guest_sh before "cp /bin/busybox /mnt/two && sync"
agent_bookmark before files || fail "no recovery point of the mounted disk"
reboot_down before

guest_run "${data[@]}" --timeout 120 --command \
	"set -e; modprobe ext4; mkdir -p /mnt; mount /dev/vda /mnt; rm /mnt/one; cp /bin/busybox /mnt/three; umount /mnt; dd if=/dev/urandom of=/dev/vda bs=64k count=16 seek=600 oflag=direct" ||
	fail "the other system: status $?"

reboot_boot after reboot.sh "${data[@]}"
reboot_agent after "the machine was restarted"
agent_bookmark after after || fail "no recovery point after the other system"
reboot_down after
reboot_equal data1 vda
pass
