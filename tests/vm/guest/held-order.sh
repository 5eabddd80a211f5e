#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-held-order.sh.
set -euo pipefail
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
disk=/dev/nullb0 replica=/tmp/replica
pages=2000	# a workqueue runs 256 at a time

many_are_held() { [ "$(counter disks/nullb0 in_flight)" -ge $((pages * 3 / 4)) ]; }

timed() {		# HOW OFFSET
	local start=$EPOCHREALTIME

	blkio "$1" $disk "$2" 4096 0x5a || die "a write ($1) failed"
	timed_ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
}

null_blk nullb0 queue_mode=2 submit_queues=1 hw_queue_depth=256 size=32 memory_backed=1 irqmode=2 completion_nsec=20000000
[ "$(cat /sys/block/nullb0/queue/wbt_lat_usec)" -gt 0 ] || die "writes are not throttled: nothing can be shown"
truncate -s "$(blockdev --getsize64 $disk)" $replica
insmod /mobility.ko pool_bytes=$((64 << 20))
drain attach --dirty $disk >/dev/null
hold_start --until sealed --commit "$disk=$replica"
hold_wait sealed
# every other page, so that none is merged with the next
start=$EPOCHREALTIME
fio --output=/tmp/fio --name=back --filename=$disk --ioengine=psync --rw=write:4k --bs=4k --size=$((pages * 8192)) --thread \
	--io_size=$((pages * 4096)) --fsync_on_close=1 &
fio_pid=$!
wait_until 60 "the write-back is not held" many_are_held
timed write $((24 << 20))
direct_ms=$timed_ms
kill -0 $fio_pid || die "the write-back was over before the direct write: nothing was shown"
timed synced $((28 << 20))
synced_ms=$timed_ms
wait $fio_pid || die "fio failed: $(cat /tmp/fio)"
back_ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
echo "direct_ms=$direct_ms synced_ms=$synced_ms back_ms=$back_ms"
[ $((direct_ms * 4)) -lt $back_ms ] ||
	die "a direct write took $direct_ms ms behind a write-back that took $back_ms ms"
[ $((synced_ms * 4)) -lt $back_ms ] ||
	die "a synchronous write took $synced_ms ms behind a write-back that took $back_ms ms"
hold_release
[ "$(value torn "$hold_line")" = 0 ] || die "the epoch is torn: $hold_line"
drain run --epochs 1 "$disk=$replica"
cmp <(dd if=$disk bs=1M iflag=direct 2>/dev/null) $replica || die "the replica differs"
drain detach $disk
rmmod mobility
