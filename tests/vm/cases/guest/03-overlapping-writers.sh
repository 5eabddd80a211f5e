#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: see 03-overlapping-writers.sh on the host.
# usage: 03-overlapping-writers.sh BOUNDARIES
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. /guest/common.sh
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
boundaries=$1
disks=(/dev/mob/data1 /dev/mob/data2)
pairs=("${disks[0]}=/dev/mob/replica0" "${disks[1]}=/dev/mob/replica1")

# Random writes of many sizes, several at a time, all of them to the same 2 MiB of each disk: some 100 a second. The rate is one of
# bytes, as fio takes a rate of writes for one of writes of the smallest size.
writers() {
	local disk args=()

	for disk in "${disks[@]}"; do
		args+=("--name=aio-${disk##*/}" "--filename=$disk" --ioengine=libaio --iodepth=8
			--rate=500k "--name=sync-${disk##*/}" "--filename=$disk" --ioengine=psync
			--numjobs=3 --rate=170k)
	done
	fio --output=/dev/null --thread --time_based --runtime=86400 --size=2M --direct=1 --rw=randwrite \
		--bssplit=512/30:4k/40:12k/20:64k/10 --bs_unaligned=0 --blockalign=512 --randrepeat=0 \
		--norandommap --overwrite=1 --fallocate=none "${args[@]}" &
	load_pids+=($!)
}

writes_went_on() {	# DISK COUNT
	[ "$(value writes "$(drain status "$1")")" -ge "$2" ]
}

writes_of_all() {
	local disk sum=0

	for disk in "${disks[@]}"; do
		sum=$((sum + $(status_of writes "$disk")))
	done
	echo $sum
}

epochs() {		# COUNT
	drain run --epochs "$1" --abort-every 23 --random-order --read 64 "${pairs[@]}" ||
		die "an epoch could not be taken"
}

insmod /mobility.ko pool_bytes=$((64 << 20))
writers
drain attach --dirty "${disks[@]}"
for disk in "${disks[@]}"; do
	wait_until 120 "the writers do not write to $disk" writes_went_on "$disk" 50
done
start=$EPOCHREALTIME
epochs "$boundaries"
taken=$((${EPOCHREALTIME/./} - ${start/./}))
# The writers of a busy machine are slow: then more epochs, until there are as many writes as were to be.
for ((more = 0; more < 20 && $(writes_of_all) <= boundaries; more++)); do
	epochs $((boundaries / 10 + 1))
done
load_stop || die "a write failed"
drain run --epochs 1 "${pairs[@]}"
writes=$(writes_of_all)
for i in 0 1; do
	status=$(drain status "${disks[$i]}")
	[ "$(value dirty_granules "$status")" = 0 ] || die "${disks[$i]} is dirty after the last epoch"
	cmp <(dd if="${disks[$i]}" bs=1M iflag=direct 2>/dev/null) \
		<(dd if="/dev/mob/replica$i" bs=1M 2>/dev/null) ||
		die "the replica of ${disks[$i]} differs after the last epoch"
done
drain detach "${disks[@]}"
rmmod mobility
[ "$writes" -gt "$boundaries" ] || die "only $writes writes in $boundaries epochs"
echo "writes=$writes per_minute=$((boundaries * 60000000 / taken))"
