#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: see 08-reader-stopped.sh on the host.
# usage: 08-reader-stopped.sh POINTS
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. /guest/common.sh
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
points=$1
disks=(/dev/mob/data1 /dev/mob/data2)
copies=(/dev/mob/replica0 /dev/mob/replica1)
pairs=("${disks[0]}=${copies[0]}" "${disks[1]}=${copies[1]}")
pool=$((16 * 4096))
pool_max=0
verify="oracle verify --at-least $progress.before --at-most $progress.after ${copies[*]}"

completed() {		# the blocks that each writer has completed, one number a line
	od -An -v -t u8 -j 16 -N 48 $progress | xargs -n 1
}

watch_pool() {
	local used

	used=$(value pool_used "$(drain info)")
	[ "$used" -le $pool ] || die "the pool holds $used bytes, its bound is $pool"
	[ "$used" -le $pool_max ] || pool_max=$used
}

# Every writer has completed so many blocks more than in the array `before`.
all_went_on() {		# BLOCKS
	local now i

	mapfile -t now < <(completed)
	watch_pool
	for i in "${!before[@]}"; do
		[ $((now[i] - before[i])) -ge "$1" ] || return 1
	done
}

is_torn() {
	watch_pool
	[ "$(counter module torn_epochs)" -gt "$torn_before" ]
}

insmod /mobility.ko pool_bytes=$pool
oracle format --threads direct:512,direct:4096,vector:12288,direct:16384,aio:8192,dsync:1536 --rows 8 \
	"${disks[@]}"
oracle_pause=1000 oracle_write "${disks[@]}"
load_yield
drain attach --dirty "${disks[@]}"
drain run --epochs 1 --torn-ok "${pairs[@]}"

mapfile -t before < <(completed)
wait_until 60 "the writers do not write" all_went_on 20
torn_before=$(counter module torn_epochs)
hold_start --until sealed --commit --torn-ok --random-order "${pairs[@]}"
hold_wait sealed
kill -STOP "$hold_pid"
mapfile -t before < <(completed)
wait_until 60 "with the reader stopped, a writer stalled" all_went_on 100
wait_until 60 "the pool is full, and the epoch is not torn" is_torn
mapfile -t before < <(completed)
wait_until 60 "with its epoch torn, a writer stalled" all_went_on 100
blocks=$(oracle_blocks)
[ $pool_max -gt 0 ] || die "nothing was preserved"
[ "$(value held_writes "$(drain info)")" -gt 0 ] || die "no write was held: nothing was exercised"
kill -CONT "$hold_pid"
hold_release
[ "$(value torn "$hold_line")" = 1 ] || die "the epoch is not said to be torn: $hold_line"
case $hold_line in
*pool*) echo "$hold_line" ;;
*) die "the epoch was torn for another reason than the pool: $hold_line" ;;
esac

# With room in the pool, points are points at once.
pool=$((8 << 20))
echo $pool >/sys/module/mobility/parameters/pool_bytes
drain run --epochs "$points" --random-order --read 16 --progress $progress --check "$verify" \
	"${pairs[@]}" || die "a point is wrong after an epoch was torn"
oracle_stop
drain run --epochs 1 "${pairs[@]}"
sync
for disk in "${disks[@]}"; do
	status=$(drain status "$disk")
	[ "$(value dirty_granules "$status")" = 0 ] || die "$disk is dirty after the last epoch"
	[ "$(value failed_writes "$status")" = 0 ] || die "a write failed on $disk"
	[ "$(value pool_used "$status")" = 0 ] || die "copies of $disk are left in the pool"
done
drain detach "${disks[@]}"
rmmod mobility
echo "blocks=$blocks pool=$pool_max"
