#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes that slow disks are given before they are attached, and that land after the first epoch has been read: the
# next epoch has them. A request says nothing of its bios' ends but by block_rq_complete. Whole writes; a write that is being split, so
# that some of its parts are on their way, and the rest comes after the attachment; one that device mapper splits;
# and one that went down a path of an NVMe namespace whose head is attached.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cases/case-lib.sh"

disks=()
for disk in slow split leg1 leg2; do
	guest_disk "$vm_build/$disk.img" 4M
	disks+=(--disk "$vm_build/$disk.img:raw:serial=$disk,throttling.iops-write=1")
done
guest_disk "$vm_build/shared.img" 4M
case_guest --timeout 400 "${disks[@]}" --bin "$(command -v dmsetup)" --command /guest/attach-inflight.sh \
	--qemu -drive --qemu "if=none,id=shared,file=$vm_build/shared.img,format=raw,cache=unsafe,throttling.iops-write=1" \
	--qemu -device --qemu "nvme-subsys,id=heads" --qemu -device --qemu "nvme,serial=shared,subsys=heads" \
	--qemu -device --qemu "nvme-ns,drive=shared,nsid=1,shared=on"
figures="of $(test_value ways) ways to be late $(test_value late) writes landed after the first epoch"
pass
