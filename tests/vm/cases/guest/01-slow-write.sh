#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: see 01-slow-write.sh on the host.
# usage: 01-slow-write.sh BOUNDARIES
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. /guest/common.sh
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
boundaries=$1
under=/dev/mob/data1 other=/dev/mob/data2 slow=/dev/mapper/slow
sectors=$(blockdev --getsz $under)
pairs=("$slow=${replicas[0]}" "$under=${replicas[1]}" "$other=${replicas[2]}")

slow_table() {		# MILLISECONDS that a write takes
	echo "0 $sectors delay $under 0 0 $under 0 $1"
}

block() {		# DEVICE NUMBER [DD-OPTION]
	dd if="$1" bs=4k skip="$2" count=1 ${3+"$3"} 2>/dev/null
}

slow_is_in_flight() {
	[ "$(counter "disks/$slow_name" in_flight)" -gt 0 ]
}

# Leaves a held epoch in closing, with the write of /tmp/new to block $1 in flight.
boundary_over_slow_write() {
	local tries

	for ((tries = 0; tries < 10; tries++)); do
		head -c 4096 /dev/urandom >/tmp/new
		dd if=/tmp/new of=$slow bs=4k seek="$1" oflag=direct conv=notrunc 2>/dev/null &
		writer=$!
		wait_until 60 "the slow write does not come in flight" slow_is_in_flight
		hold_start --until sealed --commit "${pairs[@]}"
		hold_wait closing
		[ "$(value in_flight "$hold_line")" = 0 ] || return 0
		hold_wait sealed
		hold_release
		wait $writer
	done
	die "ten times the slow write landed before a boundary could be taken"
}

slow_write() {		# BLOCK
	boundary_over_slow_write "$1"
	hold_wait sealed
	block $under "$1" iflag=direct | cmp -s - /tmp/new ||
		die "the epoch was sealed before its slow write had landed"
	wait $writer || die "the slow write failed"
	hold_release
	block "${replicas[0]}" "$1" | cmp -s - /tmp/new ||
		die "the epoch does not have the slow write that belongs to it"
	drain run --epochs 1 "${pairs[@]}"
	block "${replicas[1]}" "$1" | cmp -s - /tmp/new ||
		die "the epoch after it does not have the write to the disk under it"
	echo "slow write to block $1: $(grep stage=sealed $hold_log)"
}

modprobe dm-delay
insmod /mobility.ko pool_bytes=$((64 << 20))
dmsetup create --noudevsync slow --table "$(slow_table 3000)"
dmsetup mknodes slow
slow_name=dm-0	# the only one
drain attach --dirty $slow $under $other
drain run --epochs 1 "${pairs[@]}"
slow_write 5
slow_write 700

# and dependent writes, of which some take their time
dmsetup suspend --noudevsync slow
dmsetup load slow --table "$(slow_table 20)"
dmsetup resume --noudevsync slow
oracle format --threads direct:512,direct:4096,vector:1536,direct:3584,aio:8192,dsync:1024 --rows 8 \
	$slow $other
oracle_pause=1000 oracle_write $slow $other
load_yield
bounds="--at-least $progress.before --at-most $progress.after"
drain run --epochs "$boundaries" --abort-every 7 --random-order --read 16 --progress $progress \
	--check "oracle verify $bounds ${replicas[0]} ${replicas[2]} &&
		oracle verify $bounds ${replicas[1]} ${replicas[2]}" "${pairs[@]}" ||
	die "a point over a slow and a fast disk is wrong"
oracle_stop
drain run --epochs 1 "${pairs[@]}"
sync
for disk in $slow $under $other; do
	[ "$(value dirty_granules "$(drain status "$disk")")" = 0 ] || die "$disk is dirty at the end"
done
drain detach $slow $under $other
rmmod mobility
