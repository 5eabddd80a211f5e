#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In a guest with one CPU that executes one instruction in each nanosecond of its time (-icount), so
# that times are instructions: what a write costs with the module and with what the kernel has
# itself. Prints "value NAME NUMBER" lines. See ../kmod.sh.
set -euo pipefail
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
ios=$1			# of each measurement

figure() { echo "value $1 $2"; }

# the mean time of an I/O in nanoseconds, as fio sees it
fio_mean() {		# DEVICE MODE FIO-OPTION...
	local device=$1 mode=$2

	shift 2
	fio --name=bench --filename="$device" --rw="$mode" --bs=4k --direct=1 --ioengine=psync --size=256M \
		--number_ios="$ios" --randseed=7 --thread --disk_util=0 --allow_file_create=0 \
		--output-format=json "$@" >/tmp/fio.json
	awk -v op="\"${mode#rand}\"" 'index($1, op) { side = 1 } side && /"lat_ns"/ { lat = 1 }
		lat && /"mean"/ { sub(/,/, "", $3); print $3; exit }' /tmp/fio.json
}

measure() {		# NAME DEVICE [FIO-OPTION...]
	local name=$1 device=$2

	shift 2
	figure "$name" "$(fio_mean "$device" randwrite "$@")"
}

measure_large() {	# PREFIX DEVICE: what has to stay as it was
	figure "$1.write_1m" "$(fio_mean "$2" write --bs=1m --number_ios=3000 --size=1g --mem=shmhuge)"
	figure "$1.read" "$(fio_mean "$2" randread)"
}

bench_ours() {
	local disk=/dev/nullb0

	insmod /mobility.ko pool_bytes=$((512 << 20))
	drain attach --dirty $disk >/dev/null
	measure other /dev/nullb1
	drain detach $disk
	drain attach $disk >/dev/null
	measure tracked_first $disk
	measure tracked $disk
	hold_start --until sealed "$disk=/tmp/replica"
	hold_wait sealed
	measure elsewhere $disk --offset=512M
	measure overwrite $disk
	measure overwrite_again $disk
	drain status $disk
	hold_release
	drain detach $disk
}

# Between two runs without the module. The cost of a large write hangs on how its memory is laid out:
# one huge page.
bench_large() {
	local disk=/dev/nullb0

	echo 8 >/proc/sys/vm/nr_hugepages
	measure_large before $disk
	insmod /mobility.ko
	drain attach $disk >/dev/null
	measure_large tracked $disk
	rmmod mobility
	measure_large after $disk
	echo 0 >/proc/sys/vm/nr_hugepages
}

bench_boundaries() {
	local disks=() i

	for i in $(seq 0 15); do
		disks+=("/dev/nullb$i")
		drain attach "/dev/nullb$i" >/dev/null
	done
	boundary 500 200 "${disks[@]}" | tr ' ' '\n' | while IFS='=' read -r name number; do
		figure "$name" "$number"
	done
	awk '$1 == "boundary_max_ns" { print "value window_ns " $2 }' /sys/kernel/debug/mobility/module
	rmmod mobility
}

# 64 disks of 32 TiB, in a guest that has too little memory for granules of 4 KiB
bench_memory() {
	local i

	modprobe -r null_blk
	modprobe null_blk nr_devices=64 gb=32768 bs=4096 submit_queues=1
	insmod /mobility.ko
	for i in $(seq 0 63); do
		drain attach "/dev/nullb$i"
	done | sed -n 's/.* bitmap_bytes=\([0-9]*\).*/\1/p' |
		awk '{ sum += $1 } END { print "value bitmaps " sum; print "value attached " NR }'
	figure bitmaps_bound "$(cat /sys/module/mobility/parameters/bitmap_bytes)"
	rmmod mobility
}

dm_create() {		# NAME TABLE...
	dmsetup create --noudevsync "$1" --table "0 $(blockdev --getsz /dev/nullb1) $2"
	dmsetup mknodes "$1"
}

bench_peers() {
	dm_create origin "snapshot-origin /dev/nullb1"
	dm_create snapshot "snapshot /dev/nullb1 /dev/ram0 P 8"
	measure dm_snapshot.overwrite /dev/mapper/origin
	measure dm_snapshot.overwrite_again /dev/mapper/origin
	dmsetup status snapshot
	dmsetup remove --noudevsync snapshot
	dmsetup remove --noudevsync origin
	dm_create era "era /dev/ram1 /dev/nullb1 8"
	measure dm_era.tracked_first /dev/mapper/era
	measure dm_era.tracked /dev/mapper/era
	dmsetup remove --noudevsync era
}

[ -d /sys/kernel/debug/block ] || mount -t debugfs none /sys/kernel/debug
modprobe brd rd_nr=2 rd_size=$((700 << 10))
modprobe -a dm-snapshot dm-era
# 1280 KiB at once, as Linux gives to disks that take it: by itself null_blk takes 127
modprobe null_blk nr_devices=16 gb=1 queue_mode=2 irqmode=0 bs=4096 submit_queues=1 max_sectors=2560
measure warm_up /dev/nullb0
measure base /dev/nullb0
bench_peers
bench_large
bench_ours
bench_boundaries
bench_memory
