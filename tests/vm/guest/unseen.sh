#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-unseen.sh.
set -euo pipefail
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
disk=/dev/nullb0 replica=/tmp/replica md=/sys/block/md_unseen/md

is_written() { awk '{ exit !($2 > 0) }' /sys/block/nullb0/inflight; }

# of this kernel; Linux 6.8 has none any more
modprobe faulty || { echo "unseen=none"; exit 0; }
# a write is on the disk at once, and completes after two seconds
null_blk nullb0 queue_mode=2 submit_queues=1 hw_queue_depth=256 size=4 memory_backed=1 irqmode=2 completion_nsec=2000000000
echo md_unseen >/sys/module/md_mod/parameters/new_array
echo none >$md/metadata_version
echo faulty >$md/level
echo 1 >$md/raid_disks
echo 31 >$md/layout	# with none of its faults
cat /sys/block/nullb0/dev >$md/new_dev
echo $((4 << 10)) >$md/dev-nullb0/size
echo $((4 << 10)) >$md/component_size
echo active >$md/array_state
IFS=: read -r major minor </sys/block/md_unseen/dev
mknod /tmp/array b "$major" "$minor"

truncate -s "$(blockdev --getsize64 $disk)" $replica
insmod /mobility.ko mode=track-only
drain attach $disk >/dev/null
blkio write $disk 0 4096 0x11 || die "a write failed"
hold_start --until sealed --commit "$disk=$replica"
hold_wait sealed
blkio write /tmp/array 0 4096 0x5a &
blkio_pid=$!
wait_until 30 "the write does not come to the disk" is_written
hold_release
wait $blkio_pid || die "a write to the array failed"
[ "$(counter module untracked_writes)" -gt 0 ] || die "the write was seen before its completion: nothing was shown"
grep -q Z <(head -c 4096 $replica) || die "the write did not get into the image: nothing was shown"
[ "$(value torn "$hold_line")" = 1 ] || die "a point with a write of the next epoch is not torn: $hold_line"
echo "$hold_line"
drain run --epochs 1 "$disk=$replica"
cmp <(dd if=$disk bs=1M iflag=direct 2>/dev/null) $replica || die "the replica differs"
echo "unseen=torn"
