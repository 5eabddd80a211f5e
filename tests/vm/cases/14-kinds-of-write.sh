#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every kind of write, on virtio, SCSI and NVMe disks: discard, secure erase (where a device can),
# write-zeroes, hole punching, NOWAIT, io_uring and libaio in plugged batches mark exactly what they change.
# SCSI (also FORMAT UNIT, which sends no data) and NVMe passthrough (also below the head of a multipath
# subsystem or of a mapped device, and Format NVM, which goes to the controller) raise SUSPECT and tear the epoch, when they begin and when they end;
# reads do not. Zoned disks are refused.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

guest_disk "$vm_build/data1.img" 4M
guest_disk "$vm_build/nvme.img" 4M
guest_disk "$vm_build/shared.img" 4M
case_guest --timeout 600 --disk "$vm_build/data1.img:raw:serial=data1" --bin "$(command -v fio)" --bin "$(command -v dmsetup)" \
	--qemu -drive --qemu "if=none,id=nvme,file=$vm_build/nvme.img,format=raw,cache=unsafe,discard=unmap" \
	--qemu -device --qemu "nvme,drive=nvme,serial=nvme" \
	--qemu -drive --qemu "if=none,id=shared,file=$vm_build/shared.img,format=raw,cache=unsafe,discard=unmap" \
	--qemu -device --qemu "nvme-subsys,id=heads" --qemu -device --qemu "nvme,serial=shared,subsys=heads" \
	--qemu -device --qemu "nvme-ns,drive=shared,nsid=1,shared=on"
figures="$(test_value paths) NVMe path below a head; $(test_value tracked) ways tracked, $(test_value suspected) noticed, $(test_value cannot) not possible here"
pass
