#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The module is loaded, attached, detached and unloaded again, ROUNDS times (6), under every kind of
# I/O: psync, libaio in batches, io_uring, polled, NOWAIT, discard; on virtio and null_blk disks, polled on striped device mapper,
# with an epoch open or not, and during a write that takes seconds. No I/O fails, unloading waits for
# the writes in flight; in the end points are right, and every byte equals.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

rounds=${ROUNDS:-$(test_count 6 2)}
disks=()
test_images 8M data1 data2 replica0 replica1 replica2
test_images 2M leg1 leg2
case_args=("$rounds")
case_guest "${disks[@]}" --timeout $((200 + rounds * 20)) --bin "$(command -v fio)" --bin "$(command -v dmsetup)" \
	--append "virtio_blk.poll_queues=1"
case_compare data1 replica0
case_compare data2 replica1
figures="$rounds rounds"
pass
