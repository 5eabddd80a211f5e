#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The module is loaded, attached, detached and unloaded again, 20 times, under every kind of I/O:
# psync, libaio in batches, io_uring, polled, NOWAIT, discard; on virtio and null_blk disks, with an
# epoch open or not. No I/O fails; in the end points are right, and every byte equals.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

rounds=${ROUNDS:-20}
"$vm_dir/build-tools.sh"
for disk in data1 data2 replica0 replica1 replica2; do
	guest_disk "$vm_build/$disk.img" 24M
done
test_guest_on busybox --tcg single --timeout 400 --bin "$(command -v fio)" --bin "$(command -v bash):/bin/bash" \
	--append "virtio_blk.poll_queues=1" --command "/guest/detach-load.sh $rounds"
for i in 1 2; do
	cmp "$vm_build/data$i.img" "$vm_build/replica$((i - 1)).img" || fail "the replica of data$i differs"
done
figures="$rounds rounds"
pass
