#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: the module comes and goes while every kind of I/O goes on.
# usage: 12-detach-load.sh ROUNDS
set -euo pipefail
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
rounds=$1
disks=(/dev/mob/data1 /dev/mob/data2 /dev/nullb0)
replicas=(/dev/mob/replica0 /dev/mob/replica1 /dev/mob/replica2)
oracle_disks=("${disks[0]}@6M" "${disks[1]}@6M" "${disks[2]}@6M")
oracle_replicas=("${replicas[0]}@6M" "${replicas[1]}@6M" "${replicas[2]}@6M")
pairs=("${disks[0]}=${replicas[0]}" "${disks[1]}=${replicas[1]}" "${disks[2]}=${replicas[2]}")

# fio on the first 5 MiB of a disk, a job for each way to submit that is named
fio_disk() {		# NAME DEVICE WAY...
	local name=$1 device=$2 way jobs=()

	shift 2
	for way; do
		jobs+=(--name="$way")
		case $way in
		psync) jobs+=(--ioengine=psync) ;;
		libaio) jobs+=(--ioengine=libaio --iodepth=16 --iodepth_batch=8) ;;
		uring) jobs+=(--ioengine=io_uring --iodepth=8) ;;
		polled) jobs+=(--ioengine=io_uring --hipri --iodepth=2 --rate_iops=10) ;;
		vector) jobs+=(--ioengine=pvsync2 --bs=16k) ;;
		trim) jobs+=(--ioengine=psync --rw=randtrim --bs=64k) ;;
		esac
	done
	fio --output="/tmp/fio-$name" --filename="$device" --size=5M --time_based --runtime=3600 \
		--thread --rw=randwrite --bs=4k --direct=1 --rate_iops=10 --randrepeat=0 \
		--allow_mounted_write=1 "${jobs[@]}" &
	load_pids+=($!)
}

detach_all() {
	drain detach "${disks[@]}" || die "detach failed in round $1"
}

# Each round ends in another state: detached while idle, while an epoch is open, or not at all.
one_round() {
	local drain_pid=

	insmod /mobility.ko pool_bytes=4194304
	[ $(($1 % 2)) -ne 0 ] || drain attach "${disks[@]}" >/dev/null
	[ $(($1 % 2)) -ne 1 ] || drain attach --dirty "${disks[@]}" >/dev/null
	case $(($1 % 4)) in
	0)	detach_all "$1" ;;
	1)	drain run --epochs 2 --torn-ok --random-order "${pairs[@]}" >/dev/null
		detach_all "$1" ;;
	2)	drain run --epochs 0 --torn-ok --read 16 --delay 500 "${pairs[@]}" >/tmp/drain.log 2>&1 &
		drain_pid=$!
		sleep "0.$((RANDOM % 10))"
		detach_all "$1"			# with an epoch open, read from
		kill -TERM $drain_pid 2>/dev/null || true
		wait $drain_pid || true ;;	# whatever it was told: the disks are gone
	3)	drain run --epochs 1 --torn-ok "${pairs[@]}" >/dev/null ;;	# rmmod detaches
	esac
	rmmod mobility || die "rmmod failed in round $1"
}

write_goes_on() { [ "$(awk '{ print $9 }' /sys/block/nullb1/stat)" -gt 0 ]; }

# A write takes seconds, fewer than the five after which null_blk calls it timed out: unloading waits for it.
unload_during_write() {
	local pid

	insmod /mobility.ko
	drain attach /dev/nullb1 >/dev/null
	blkio write /dev/nullb1 0 4096 &
	pid=$!
	until write_goes_on; do sleep 0.01; done
	rmmod mobility || die "rmmod failed during a write"
	! write_goes_on ||
		die "the module was unloaded while a write that it tracks was in flight"
	wait $pid || die "the write during which the module was unloaded failed"
}

# Device mapper takes bi_private of a polled bio for a list of its own when it splits it. Before 5.18 it cannot be polled.
polled_stripes() {
	local disk=/dev/mapper/striped replica=/tmp/striped polled=--hipri

	case $(uname -r) in 5.*) polled="" ;; esac
	striped striped /dev/mob/leg1 /dev/mob/leg2
	truncate -s "$(blockdev --getsize64 $disk)" $replica
	insmod /mobility.ko
	fio --output=/tmp/fio-striped --name=polled --filename=$disk --time_based --runtime=3600 --thread --rw=randwrite \
		--bs=64k --direct=1 --ioengine=io_uring $polled --iodepth=4 --rate_iops=40 --randrepeat=0 --allow_mounted_write=1 &
	load_pids+=($!)
	load_ready
	for _ in 1 2 3 4 5 6; do
		drain attach --dirty $disk >/dev/null
		drain run --epochs 1 --torn-ok $disk=$replica >/dev/null
		drain run --epochs 1 --torn-ok $disk=$replica >/dev/null
		drain detach $disk
	done
	drain attach --dirty $disk >/dev/null
	drain run --epochs 2 --torn-ok $disk=$replica >/dev/null
	load_stop || { cat /tmp/fio-striped; die "a polled I/O of fio failed"; }
	drain run --epochs 1 --torn-ok $disk=$replica >/dev/null
	cmp $disk $replica || die "the replica of $disk differs"
	rmmod mobility
	dmsetup remove --noudevsync striped
}

# with a queue for polled I/O
# A null_blk with memory may sleep under its own lock when it is polled (6.1), which a kernel that checks itself reports.
poll=1
case $(uname -r) in *-kasan) poll=0 ;; esac
null_blk nullb0 blocksize=512 queue_mode=2 submit_queues=2 size=8 memory_backed=1 discard=1 "?poll_queues=$poll"
null_blk nullb1 blocksize=512 queue_mode=2 submit_queues=2 size=8 irqmode=2 completion_nsec=3000000000 \
	'?poll_queues=1'
unload_during_write
polled_stripes
oracle_pause=40000 oracle_start "${oracle_disks[@]}"
fio_disk data1 "${disks[0]}" psync uring polled trim
fio_disk data2 "${disks[1]}" libaio vector
fio_disk null "${disks[2]}" uring polled trim
load_ready
load_yield
for ((round = 0; round < rounds; round++)); do
	one_round "$round"
done
echo "$rounds rounds of load, attach, detach, unload"

insmod /mobility.ko pool_bytes=$((64 << 20))
drain attach --dirty "${disks[@]}"
drain run --epochs 1 --torn-ok "${pairs[@]}"
drain run --epochs 3 --torn-ok --progress $progress \
	--check "oracle verify --at-least $progress.before --at-most $progress.after ${oracle_replicas[*]}" \
	"${pairs[@]}"
load_stop || { cat /tmp/fio-*; die "an I/O of fio failed"; }
oracle_stop
drain run --epochs 1 --torn-ok "${pairs[@]}"
drain status "${disks[@]}"
for i in 0 1 2; do
	cmp "${disks[$i]}" "${replicas[$i]}" || die "the replica of ${disks[$i]} differs"
done
rmmod mobility
