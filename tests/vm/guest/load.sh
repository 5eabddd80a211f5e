# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What keeps a filesystem busy while its disk is replicated. Sourced by the scripts that run in
# guests (bash, `set -euo pipefail`).
#   load_tree DIR        starts a process that makes, renames, links, cuts and removes files
#   load_fio DIR [ARG…]  starts fio on files in DIR: direct, through the cache with fsync, io_uring
#   load_ready           waits until all of them can be ended: one that has not begun would be killed
#   load_yield           from here on, what the script starts goes before the load: a guest without
#                        KVM is slow, and its load takes all that it can get
#   load_stop            ends all of them, and waits; fails if one of them failed
#   oracle_write DISK@OFFSET…   starts the oracle's writers ($progress, $oracle_pause) on what is formatted
#   oracle_start DISK@OFFSET…   formats these first
#   oracle_stop          ends them; fails if one of their writes failed

# shellcheck source=tests/vm/guest/base.sh
. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

load_pids=()
progress=/tmp/progress

load_tree() {
	churn "$1" 60 &
	load_pids+=($!)
}

# Some 5 to 15 writes a second of each job. Where sizes differ the rate is one of bytes: fio takes one of writes for the smallest size.
load_fio() {
	local dir=$1

	shift
	fio --output=/dev/null --directory="$dir" --time_based --runtime=3600 --size=16M \
		--overwrite=1 --randrepeat=0 "$@" \
		--name=direct --ioengine=libaio --iodepth=8 --direct=1 --rw=randwrite --rate=100k \
		--bssplit=512/20:4k/50:16k/20:128k/10 --bs_unaligned=0 --blockalign=512 \
		--name=cached --ioengine=psync --fsync=20 --rw=randwrite --bs=4k --rate_iops=15 \
		--name=uring --ioengine=io_uring --iodepth=4 --direct=1 --rw=write --bs=32k --rate_iops=15 &
	load_pids+=($!)
}

catches_term() {	# PID
	((16#$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$1/status") & 0x4000))
}

load_ready() {
	local pid

	for pid in "${load_pids[@]}"; do
		wait_until 120 "process $pid of the load does not begin" catches_term "$pid"
	done
}

load_yield() {
	renice -n -15 -p $$ >/dev/null
}

load_stop() {
	local pid failed=0

	kill -TERM "${load_pids[@]}"
	for pid in "${load_pids[@]}"; do
		wait "$pid" || failed=$?
	done
	load_pids=()
	[ $failed -eq 0 ] || [ $failed -eq 128 ] || { echo "a load failed, status $failed"; return 1; }
}

# The progress file is complete when its first word is there: who is told of it reads it at once.
oracle_begun() {
	[[ $(od -An -N 8 -t x8 $progress 2>/dev/null) == *[1-9a-f]* ]]
}

oracle_write() {
	rm -f $progress
	oracle write --pause "${oracle_pause:-5000}" --progress $progress "$@" >/tmp/oracle.log 2>&1 &
	oracle_pid=$!
	wait_until 30 "the oracle's writers do not begin" oracle_begun
}

oracle_start() {
	oracle format "$@"
	oracle_write "$@"
}

oracle_stop() {
	kill -TERM "$oracle_pid" || true
	wait "$oracle_pid" || { echo "a write of the oracle failed"; cat /tmp/oracle.log; return 1; }
	cat /tmp/oracle.log
}

# how many blocks the oracle's writers have completed so far
oracle_blocks() {
	od -An -v -t u8 -j 16 -N 128 $progress | awk '{ for (i = 1; i <= NF; i++) n += $i } END { print n }'
}
