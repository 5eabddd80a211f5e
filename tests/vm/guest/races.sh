#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../sanitizer/races.sh.
# usage: races.sh SECONDS
set -euo pipefail
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
disks=(/dev/nullb0 /dev/nullb1)
pairs=(/dev/nullb0=/tmp/copy0 /dev/nullb1=/tmp/copy1)

# Whoever looks, marks and takes stock, over and over again.
look() {
	while [ ! -e /tmp/done ]; do
		drain status "${disks[@]}"
		drain info
		cat /sys/kernel/debug/mobility/module /sys/kernel/debug/mobility/disks/*
		drain mark --offset $((RANDOM % 64 * 65536)) --length 65536 "${disks[0]}"
	done >/dev/null
}

insmod /mobility.ko
for disk in "${disks[@]}"; do
	null_blk "${disk#/dev/}" size=4 memory_backed=1 queue_mode=2 submit_queues=3
done
truncate -s 4M /tmp/copy0 /tmp/copy1
drain attach --dirty "${disks[@]}" >/dev/null
# Four megabytes each, so that whoever writes meets the others in the words of the bitmaps.
fio --output=/tmp/fio --minimal --name=w --numjobs=3 --thread --group_reporting --filename=/dev/nullb0:/dev/nullb1 \
	--ioengine=psync --direct=1 --rw=randwrite --norandommap --bssplit=512/20:4k/60:64k/20 --time_based --runtime="$1" &
fio_pid=$!
drain run --epochs 0 --torn-ok "${pairs[@]}" >/tmp/drain.log &
drain_pid=$!
look &
look_pid=$!
wait $fio_pid || die "a write failed: $(cat /tmp/fio)"
: >/tmp/done
wait $look_pid || die "a look at the module failed"
kill -TERM $drain_pid
wait $drain_pid || die "the drain failed: $(tail -n 1 /tmp/drain.log)"
drain run --epochs 1 "${pairs[@]}" >/dev/null
for n in 0 1; do
	cmp "/dev/nullb$n" "/tmp/copy$n" || die "the replica of nullb$n differs"
done
echo "writes=$(($(status_of writes /dev/nullb0) + $(status_of writes /dev/nullb1))) boundaries=$(counter module boundaries)"
drain detach "${disks[@]}"
rmmod mobility
