#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The power fails while a protected disk is written to and its agent is behind. What was written since the
# last commit was in the bitmaps of a kernel that is gone: after the boot the disk must not pass for clean. It
# is resynchronised by checksum, with the cause in the log, and the point that follows is the disk.
set -euo pipefail
# shellcheck source=tests/vm/cases/reboot-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/reboot-lib.sh"

reboot_init
guest_disk "$vm_build/data1.img" 48M
data=(--disk "$vm_build/data1.img:raw:serial=data1")
reboot_boot before reboot.sh "${data[@]}"
reboot_protect before /dev/vda
guest_sh before "oracle format /dev/vda@32M && { setsid oracle write --pause 2000 /dev/vda@32M >/run/oracle.log 2>&1 & }" >/dev/null
agent_bookmark before busy || fail "no recovery point under load"
# The agent gets no further; a range changes that no later write touches; then the lights go out.
guest_sh before "kill -STOP \$(cat /run/mobilityd.pid) && dd if=/dev/urandom of=/dev/vda bs=64k count=16 seek=64 oflag=direct status=none && sleep 0.5" ||
	fail "writing with the agent stopped"
guest_kill before

reboot_boot after reboot.sh "${data[@]}"
reboot_agent after "the machine was restarted"
agent_bookmark after after || fail "no recovery point after the power cut"
reboot_equal data1 vda
"$top/build/vm/bin/oracle" verify "$vm_build/point/vda.raw@32M" >"$vm_build/verify.log" ||
	fail "what survived the power cut is not a prefix of what was written: $(tail -n 2 "$vm_build/verify.log")"
reboot_down after
pass
