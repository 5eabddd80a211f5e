#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Disks (null_blk and scsi_debug; virtio-blk and virtio-scsi, by QEMU) are taken away while they are written to and
# drained: the attachment ends,
# with GONE and a hangup for who holds it, and lets go of the disk. The next disk has the same dev_t, and
# is another disk: not attached, and clean when it is. The module and the disk's driver can be unloaded.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"
# shellcheck source=tests/vm/cases/plug.sh
. "$(dirname "${BASH_SOURCE[0]}")/plug.sh"

plug_init
# what the block layer says of a disk that is gone
case_guest --timeout 400 --bin "$(command -v fio)" "${plug_options[@]}" \
	--allow '(I/O|device offline) error, dev (sda|vda|nullb0)|sda.*(Synchronize Cache|Start/Stop|DID_NO_CONNECT)'
figures="same dev_t: $(test_value same)"
pass
