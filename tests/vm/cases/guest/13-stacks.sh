#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In a busybox guest; see ../13-stacks.sh. `13-stacks.sh check` is what looks at a point.
set -euo pipefail
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
# shellcheck source=tests/vm/guest/layers.sh
. /guest/layers.sh

disk=(none /dev/mob/disk1 /dev/mob/disk2 /dev/mob/disk3)
replica=(none /dev/mob/replica1 /dev/mob/replica2 /dev/mob/replica3)
first_sector=2049		# of the partitions: no granule's edge
on_luks=/dev/mapper/vga-a on_raid=/dev/mapper/vgb-b
pairs=("${disk[1]}=${replica[1]}" "${disk[2]}=${replica[2]}" "${disk[3]}=${replica[3]}"
	/dev/md0=/tmp/replica-md0 "$on_raid=/tmp/replica-b")
filesystem=16M			# on each volume; what is behind it is the oracle's
levels=("${pairs[@]%%=*}")
tracing=/sys/kernel/tracing

make_stacks() {
	part_make "${disk[1]}" $first_sector
	part_a=$made
	luks_make "$part_a" crypt
	lvm_make /dev/mapper/crypt vga a 20M
	part_make "${disk[2]}" $first_sector
	md_make md0 0 "$made" "${disk[3]}"
	lvm_make /dev/md0 vgb b 20M
	truncate -s "$(blockdev --getsize64 /dev/md0)" /tmp/replica-md0
	truncate -s "$(blockdev --getsize64 $on_raid)" /tmp/replica-b
}

# The stacks once more, on the replicas of the disks and on that of the array
open_views() {
	view_part part "${replica[1]}" $first_sector
	view_map crypt crypt "$(readlink -f "${disk[1]}")1" "$made"
	view_map a $on_luks /dev/mapper/crypt "$made"
	view_part member "${replica[2]}" $first_sector
	view_raid0 raid md0 "$made" "${replica[3]}"
	view_map b $on_raid /dev/md0 "$made"
	loop=$(losetup -f)
	losetup -r "$loop" /tmp/replica-md0
	view_map above-md0 $on_raid /dev/md0 "$loop"
}

close_views() {
	view_close above-md0 a crypt part b raid member
	losetup -d "$loop"
}

if [ "${1-}" = check ]; then
	status=0
	open_views
	for copy in /dev/mapper/view-b /dev/mapper/view-above-md0 /tmp/replica-b; do
		oracle verify --at-least $progress.before --at-most $progress.after \
			/dev/mapper/view-a@$filesystem $copy@$filesystem || status=$?
	done
	close_views
	exit $status
fi

# Random writes of known size to a volume, through fio; adds what they were to writes, bytes.
exact_writes() {	# VOLUME
	fio --output=/tmp/fio.json --output-format=json --filename="$1" --offset=1M --size=16M --direct=1 \
		--rw=randwrite --bssplit=512/20:4k/30:12k/20:64k/20:128k/10 --blockalign=512 \
		--number_ios=32 --ioengine=libaio --iodepth=8 --refill_buffers --randrepeat=0 --name=exact
	bytes=$(sed -n '/"write" :/,/total_ios/s/.*"io_bytes" : \([0-9]*\),.*/\1/p' /tmp/fio.json)
	writes=$(sed -n '/"write" :/,/total_ios/s/.*"total_ios" : \([0-9]*\),.*/\1/p' /tmp/fio.json)
	[ "$writes" -ge 32 ] || die "fio wrote $writes blocks only"
}

written() {		# DEVICE...: bytes since the attachment, of all of them
	local device sum=0

	for device; do
		sum=$((sum + $(value written_bytes "$(drain status "$device")")))
	done
	echo $sum
}

expect() {		# WHAT WANTED GOT
	[ "$2" = "$3" ] || die "$mode: $1: $3, and $2 it must be"
}

# Nothing else writes: what is dirty is what differs, no granule more or less.
expect_exact() {		# PAIR...
	local pair

	for pair; do
		expect "dirty granules of ${pair%=*} after $writes known writes" \
			"$(value differing_granules "$(drain diff "$pair")")" \
			"$(value dirty_granules "$(drain status "${pair%=*}")")"
	done
}

# The md of 5.10 splits once more what it has split, and the rest of that comes back to the array like a new write: its bytes count twice.
expect_array() {	# BYTES
	if [[ $(uname -r) == 5.10.* ]] && [ "$1" -ge "$bytes" ] && [ "$1" -lt $((2 * bytes)) ]; then
		return 0
	fi
	expect "bytes of the array" "$bytes" "$1"
}

exact_counts() {	# of both stacks, from a state in which disks and replicas are equal
	local before below before_writes

	before=$(written "${disk[1]}")
	exact_writes $on_luks
	expect "bytes below LUKS and LVM" "$bytes" $(($(written "${disk[1]}") - before))
	expect_exact "${pairs[0]}"
	drain run --epochs 1 "${pairs[@]}" >/dev/null
	before=$(written $on_raid)
	below=$(written "${disk[2]}" "${disk[3]}")
	before_md=$(written /dev/md0)
	before_writes=$(value writes "$(drain status $on_raid)")
	exact_writes $on_raid
	expect "writes of the volume" "$writes" \
		$(($(value writes "$(drain status $on_raid)") - before_writes))
	expect "bytes of the volume" "$bytes" $(($(written $on_raid) - before))
	expect_array $(($(written /dev/md0) - before_md))
	expect "bytes of the members" "$bytes" $(($(written "${disk[2]}" "${disk[3]}") - below))
	expect_exact "${pairs[@]:1}"
	drain run --epochs 1 "${pairs[@]}" >/dev/null
}

points() {		# EPOCHS OPTION...: boundaries, each point of which is looked at
	local epochs=$1

	shift
	drain run --epochs "$epochs" "$@" --progress $progress --check "$0 check" "${pairs[@]}" >/tmp/points ||
		{ cat /tmp/points; die "$mode: a point is wrong, or torn"; }
	summary=$(tail -n 1 /tmp/points)
	checked=$((checked + $(value checked "$summary")))
}

# Writers are stopped, but filesystems may still write of themselves: then once more.
quiet_point() {
	for _ in {1..10}; do
		sync
		points 1 --torn-ok
		[ "$(value checked "$summary")" -eq 0 ] || return 0
		sleep 0.5
	done
	die "$mode: no epoch was a point, though nobody wrote"
}

load_up() {
	local volume

	for volume in $on_luks $on_raid; do
		mke2fs -q -t ext4 "$volume" $filesystem
	done
	oracle_pause=$1 oracle_start $on_luks@$filesystem $on_raid@$filesystem
	mkdir -p /mnt/a /mnt/b
	mount $on_luks /mnt/a
	mount $on_raid /mnt/b
	load_tree /mnt/a/tree
	load_tree /mnt/b/tree
}

load_down() {
	load_stop
	oracle_stop >/tmp/oracle.end || { cat /tmp/oracle.end; die "$mode: a write of the oracle failed"; }
	umount /mnt/a /mnt/b
}

replicas_equal() {
	local pair

	for pair in "${pairs[@]}"; do
		expect "granules of ${pair%=*} that differ in the replica" 0 \
			"$(value differing_granules "$(drain diff "$pair")")"
	done
}

one_mode() {
	mode=$1
	insmod /mobility.ko mode="$mode"
	drain attach --dirty "${levels[@]}" >/dev/null
	drain run --epochs 1 "${pairs[@]}" >/dev/null
	for iostats in $([ "$mode" = track-only ] || echo 1) 0; do
		echo "$iostats" >/sys/block/md0/queue/iostats
		exact_counts
	done
	echo "$mode: counted exactly at ${#levels[@]} levels"
	load_up "$([ "$mode" = hook ] && echo 20000 || echo 100000)"
	case $mode in
	hook)	points 2 --random-order ;;
	*)	points 2 --torn-ok
		torn=$(value torn "$summary")
		kill -STOP "${load_pids[@]}" $oracle_pid
		quiet_point
		kill -CONT "${load_pids[@]}" $oracle_pid ;;
	esac
	load_down
	drain run --epochs 1 "${pairs[@]}" >/dev/null
	replicas_equal
	for level in "${levels[@]}"; do
		status=$(drain status "$level")
		expect "events of $level" 0 "$(value events "$status")"
		expect "dirty granules of $level at the end" 0 "$(value dirty_granules "$status")"
	done
	drain detach "${levels[@]}"
	rmmod mobility
}

# The end of a part of a split write is bio_endio()'s business: bio_chain_endio() is a BUG() in newer kernels (7.x), and is never called.
chain_end_watch() {
	[ -e $tracing/trace ] || mount -t tracefs none $tracing
	grep -qx bio_chain_endio $tracing/available_filter_functions || return 0
	echo bio_chain_endio >$tracing/set_ftrace_filter
	echo function >$tracing/current_tracer
}

chain_end_never() {
	local calls

	calls=$(grep -c 'bio_chain_endio <-' $tracing/trace) || true
	echo nop >$tracing/current_tracer
	[ "$calls" = 0 ] || die "bio_chain_endio() was called $calls times"
}

layers_init "${replica[@]:1}"
chain_end_watch
modprobe -a ext4 loop
make_stacks
checked=0 torn=0
one_mode hook
one_mode track-only
chain_end_never
vgchange -qq -an vga vgb
echo "points=$checked torn=$torn"
