#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-held-order.sh.
set -euo pipefail
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
replica=/tmp/replica
pages=2000	# 256 are read for at a time
held=1500	# so many of them make a crowd
hold_ms=/sys/module/mobility/parameters/hold_ms

many_are_held() { [ "$(counter "disks/${disk##*/}" in_flight)" -ge $held ]; }

timed() {		# HOW OFFSET
	local start=$EPOCHREALTIME

	blkio "$1" "$disk" "$2" 4096 0x5a || die "a write ($1) failed"
	timed_ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
}

slow_disk() {		# NAME DEPTH: each request takes 20 ms
	disk=/dev/$1
	null_blk "$1" queue_mode=2 submit_queues=1 hw_queue_depth="$2" size=32 memory_backed=1 irqmode=2 completion_nsec=20000000
	[ "$(cat "/sys/block/$1/queue/wbt_lat_usec")" -gt 0 ] || die "writes are not throttled: nothing can be shown"
	truncate -s "$(blockdev --getsize64 "$disk")" $replica
	drain attach --dirty "$disk" >/dev/null
}

# Every other page, so that none is merged with the next.
write_back() {		# ARG...: of fio
	hold_start --until sealed --commit "$disk=$replica"
	hold_wait sealed
	start=$EPOCHREALTIME
	fio --output=/tmp/fio --name=back --filename="$disk" --ioengine=psync --rw=write:4k --bs=4k --size=$((pages * 8192)) --thread \
		--io_size=$((pages * 4096)) "$@" &
	fio_pid=$!
	wait_until 60 "the write-back is not held" many_are_held
}

# The write-back is over; sets back_ms.
written_back() {
	wait $fio_pid || die "fio failed: $(cat /tmp/fio)"
	back_ms=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000))
}

epoch_ends() {		# TORN WHAT: it is to be torn, 0 or 1, and what it means if not
	hold_release
	[ "$(value torn "$hold_line")" = "$1" ] || die "$2: $hold_line"
	drain run --epochs 1 "$disk=$replica"
	cmp <(dd if="$disk" bs=1M iflag=direct 2>/dev/null) $replica || die "the replica differs"
}

beside_who_syncs() {
	local synced_ms

	slow_disk nullb0 256
	write_back --fsync_on_close=1
	timed write $((24 << 20))
	direct_ms=$timed_ms
	kill -0 $fio_pid || die "the write-back was over before the direct write: nothing was shown"
	timed synced $((28 << 20))
	synced_ms=$timed_ms
	written_back
	echo "direct_ms=$direct_ms synced_ms=$synced_ms back_ms=$back_ms"
	[ $((direct_ms * 4)) -lt $back_ms ] ||
		die "a direct write took $direct_ms ms behind a write-back that took $back_ms ms"
	[ $((synced_ms * 4)) -lt $back_ms ] ||
		die "a synchronous write took $synced_ms ms behind a write-back that took $back_ms ms"
	epoch_ends 0 "the epoch is torn"
	drain detach "$disk"
}

# 200 requests a second: what nobody waits for is not in the way of what somebody does.
beside_a_flusher() {
	pages=800 held=600
	slow_disk nullb1 4
	echo 4096 >/proc/sys/vm/dirty_background_bytes
	write_back
	timed write $((24 << 20))
	many_are_held || die "the flusher was done before the direct write: nothing was shown"
	sync
	written_back
	echo 10 >/proc/sys/vm/dirty_background_ratio
	echo "flusher_direct_ms=$timed_ms flusher_ms=$back_ms"
	[ $((timed_ms * 10)) -lt $back_ms ] ||
		die "a direct write took $timed_ms ms behind a flusher that took $back_ms ms"
	epoch_ends 0 "the epoch is torn"
}

# Behind all that a task syncs, it is held until the point is given up, and not longer.
until_the_bound() {
	held=100
	echo 500 >$hold_ms
	drain detach "$disk"
	drain attach --dirty "$disk" >/dev/null
	write_back --fsync_on_close=1
	timed write $((24 << 20))
	written_back
	[ $((timed_ms * 3)) -lt $back_ms ] ||
		die "a direct write took $timed_ms ms behind a synced write-back that took $back_ms ms"
	epoch_ends 1 "no point was given up"
	grep -q 'held for too long' $hold_log || die "torn for another reason: $(cat $hold_log)"
	echo "bound_direct_ms=$timed_ms bound_back_ms=$back_ms"
	drain detach "$disk"
}

insmod /test-build.ko test_lane=7 pool_bytes=$((64 << 20)) hold_ms=60000
beside_who_syncs
rmmod mobility
insmod /mobility.ko pool_bytes=$((64 << 20)) hold_ms=60000
beside_a_flusher
until_the_bound
rmmod mobility
