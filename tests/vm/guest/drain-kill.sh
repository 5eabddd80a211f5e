#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: the drainer is killed over and over, and stopped for a while. See test-drain-kill.sh.
# usage: drain-kill.sh KILLS
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/vm/guest/load.sh
. "$(dirname "$0")/load.sh"
kills=$1

start_drain() {		# ARG...
	drain run --torn-ok "$@" "${pairs[@]}" >>/tmp/drain.log 2>&1 &
	drain_pid=$!
}

kill_drain() {
	kill -0 $drain_pid 2>/dev/null || die "the drainer ended by itself: $(tail -n 3 /tmp/drain.log)"
	kill -KILL $drain_pid
	wait $drain_pid || true
}

# Killed in the midst of the first epoch: all of the disk is dirty again.
kill_initial() {
	local disk status granules

	start_drain --epochs 0 --delay 20000 --read 64
	sleep 2
	kill_drain
	[ "$(value committed_epoch "$(drain info)")" = 0 ] || die "the first epoch was over too soon"
	sleep 2
	for disk in "${disks[@]}"; do
		status=$(drain status "$disk")
		granules=$(($(value size "$status") / $(value granule "$status")))
		[ "$(value dirty_granules "$status")" = $granules ] ||
			die "after the kill, not all $granules granules are dirty: $status"
	done
	echo "killed in the first epoch: every granule is dirty again"
}

kill_often() {
	local n

	for ((n = 0; n < kills; n++)); do
		start_drain --epochs 0 --random-order --read 32 --delay $((RANDOM % 4000))
		sleep "$((RANDOM % 2)).$((RANDOM % 10))"
		kill_drain
	done
	echo "killed $kills times more; $(drain info)"
}

# A drainer that is stopped must not stop anybody who writes.
stop_and_go() {
	local before after

	start_drain --epochs 0 --random-order --read 32 --delay 1000
	sleep 1
	kill -STOP $drain_pid
	before=$(oracle_blocks)
	sleep 5
	after=$(oracle_blocks)
	kill -CONT $drain_pid
	sleep 0.5
	kill_drain
	[ "$after" -gt $((before + 100)) ] ||
		die "with the drainer stopped for 5 s, only $((after - before)) blocks were written"
	echo "stopped for 5 s: $((after - before)) blocks were written meanwhile"
}

set_up_disks
insmod /mobility.ko
oracle_start "${oracle_disks[@]}"
load_tree /root/tree
load_tree /data1/tree
load_tree /data2/tree
load_yield
drain attach --dirty "${disks[@]}"
kill_initial
drain run --epochs 1 --torn-ok "${pairs[@]}"
kill_often
stop_and_go

# and the points that come after are points
drain run --epochs 3 --progress $progress \
	--check "oracle verify --at-least $progress.before --at-most $progress.after ${oracle_replicas[*]}" \
	"${pairs[@]}"
load_stop
oracle_stop
quiesce_disks
drain run --epochs 1 --torn-ok "${pairs[@]}"
expect_clean
drain info
drain detach "${disks[@]}"
rmmod mobility
