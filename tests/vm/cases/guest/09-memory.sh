#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: memory runs short in several ways, for everything and for the module alone.
# usage: 09-memory.sh EPOCHS
set -euo pipefail
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
epochs=$1
disk=/dev/mob/data1 replica=/dev/mob/replica0
pair=$disk=$replica
points=0 torn=0 held_max_us=0 reclaimed=0

meminfo() { awk -v name="$1:" '$1 == name { print int($2 / 1024) }' /proc/meminfo; }

swapped() { awk '$1 == "pswpout" { print int($2 / 256) }' /proc/vmstat; }

start_hog() {		# MIB
	memhog "$1" >/tmp/hog &
	hog=$!
}

checked_epochs() {	# NUMBER
	local last

	drain run --epochs "$1" --torn-ok --random-order --read 64 --progress $progress --check \
		"oracle verify --at-least $progress.before --at-most $progress.after $replica@40M" \
		$pair >/tmp/points || { cat /tmp/points; die "draining failed: $(tail -n 1 /tmp/points)"; }
	last=$(tail -n 1 /tmp/points)
	echo "$last"
	points=$((points + $(value checked "$last")))
}

# What is available is the kernel's guess: a hog of that size may fit after all, and the next is larger.
swap_on_tracked_disk() {
	local before more

	for more in 12 18 24 30; do
		before=$(swapped)
		start_hog $(($(meminfo MemAvailable) + more))
		for _ in {1..200}; do
			if [ "$(swapped)" -gt $((before + 4)) ] || ! kill -0 $hog; then break; fi
			sleep 0.1
		done
		before=$(swapped)
		checked_epochs "$epochs"
		kill -TERM $hog 2>/dev/null || true	# if it has not been too much already
		wait $hog || true
		[ "$(swapped)" -le "$before" ] || return 0
	done
	die "nothing was swapped out while the disk was drained"
}

out_of_memory() {
	local status=0

	start_hog $(($(meminfo MemAvailable) + $(meminfo SwapFree) + 48))
	while kill -0 $hog 2>/dev/null; do
		checked_epochs 1
	done
	wait $hog || status=$?
	[ $status -eq 137 ] || die "the hog was to be killed, but ended with $status"
	checked_epochs "$epochs"
}

# The first 38 MiB of the disk are a partition to swap to; the oracle writes behind it.
set_up_swap() {
	printf 'o\nn\np\n1\n2048\n%d\nw\n' $(((38 << 11) - 1)) | fdisk -u $disk >/tmp/fdisk 2>&1 || true
	swap=$(readlink -f $disk)1
	[ -b "$swap" ] || { cat /tmp/fdisk; die "there is no partition to swap to"; }
	mkswap "$swap" >/dev/null
	swapon "$swap"
}

# A write is held for the device alone: whoever preserves must not go and free memory first. The
# kernel notes who does.
reclaim=/sys/kernel/tracing/events/vmscan/mm_vmscan_direct_reclaim_begin
watch_reclaim() {
	[ -d $reclaim ] || return 0	# a kernel without this tracepoint
	echo 1 >/sys/kernel/tracing/options/stacktrace
	echo 1 >$reclaim/enable
}

expect_no_reclaim() {
	local all held

	[ -d $reclaim ] || return 0
	echo 0 >$reclaim/enable
	all=$(grep -c 'mm_vmscan_direct_reclaim_begin:' /sys/kernel/tracing/trace || true)
	held=$(grep -c 'mob_preserve_range\|mob_held_work' /sys/kernel/tracing/trace || true)
	[ "$all" -gt 0 ] || die "nobody had to reclaim memory, so that nothing was shown"
	[ "$held" = 0 ] || die "the preserver went to reclaim memory $held times while a write was held"
	reclaimed=$all
}

begin_tracking() {	# MODULE
	insmod "$1" pool_bytes=$((8 << 20))
	drain attach --dirty $disk >/dev/null
	drain run --epochs 1 --torn-ok $pair
}

end_tracking() {
	local info status us

	info=$(drain info)
	status=$(drain status $disk)
	torn=$((torn + $(value torn_epochs "$info")))
	us=$(value held_max_us "$info")
	[ "$us" -le "$held_max_us" ] || held_max_us=$us
	[ "$(value events "$status")" = 0 ] || die "the disk has events: $status"
	[ "$(value failed_writes "$status")" = 0 ] || die "writes failed: $status"
	drain detach $disk
	rmmod mobility
}

# When memory is out the slab may have a page for contexts or not: here it has none, ever.
memory_for_all() {
	set_up_swap
	oracle_pause=20000 oracle_start $disk@40M
	watch_reclaim
	begin_tracking /mobility.ko
	swap_on_tracked_disk
	end_tracking
	begin_tracking /starved.ko
	out_of_memory
	expect_no_reclaim
	[ $points -gt 0 ] || die "every single epoch was torn"
	oracle_stop
	swapoff "$swap"
	drain run --epochs 1 $pair >/dev/null || die "an epoch of an idle disk was torn"
	end_tracking
	echo "swapped_mib=$(swapped) points=$points torn_epochs=$torn held_max_us=$held_max_us reclaimed=$reclaimed"
}

# A disk of 8 MiB whose writes take a while, so that many are in flight, in a slow guest too; null_blk gives up on one after 5 s.
make_slow_disk() {
	local ns=$((patience * 300000000))

	[ $ns -le 3000000000 ] || ns=3000000000
	null_blk nullb0 size=8 memory_backed=1 queue_mode=2 submit_queues=1 hw_queue_depth=1024 \
		irqmode=2 completion_nsec=$ns
	echo none >/sys/block/nullb0/queue/scheduler
}

write_at_once() {	# NUMBER OFFSET: so many writes of 4 KiB in flight
	blkio burst /dev/nullb0 "$2" $(($1 * 8192)) || die "a write failed"
}

no_memory_for_writes() {
	local pair=/dev/nullb0=/tmp/replica

	make_slow_disk
	truncate -s 8M /tmp/replica
	# larger granules: a read takes as long as a write, and those without a context still have some of their own
	drain attach --granule-shift 16 --dirty /dev/nullb0 >/dev/null
	write_at_once 48 0
	[ "$(value events "$(drain status /dev/nullb0)")" = 0 ] ||
		die "48 writes in flight raised SUSPECT although the reserve is larger"
	drain run --epochs 1 $pair || die "48 writes in flight tore an epoch although the reserve is larger"
	write_at_once 512 $((4 << 20))
	[ "$(value events "$(drain status /dev/nullb0)")" = 1 ] ||
		die "SUSPECT was not raised by writes without a context"
	! drain run --epochs 1 $pair >/tmp/torn || die "the epoch of writes without a context is not torn"
	grep -q 'torn: no memory to account for a write' /tmp/torn || die "torn for another reason: $(cat /tmp/torn)"
	cmp /tmp/replica <(dd if=/dev/nullb0 bs=1M iflag=direct status=none) ||
		die "writes without a context were not even marked"
	drain detach /dev/nullb0
}

echo $((120 * patience)) >/proc/sys/kernel/hung_task_timeout_secs
insmod /starved.ko io_reserve_max=256
no_memory_for_writes
rmmod mobility
memory_for_all
