#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: see 15-one-instant.sh on the host.
# usage: 15-one-instant.sh BOUNDARIES
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. /guest/common.sh
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
boundaries=$1
slow=/dev/mapper/slow delay_ms=1000
ordered=(/dev/mob/data1 /dev/mob/data2)
copies=(/dev/mob/replica0 /dev/mob/replica1)
pairs=("${ordered[0]}=${copies[0]}" "${ordered[1]}=${copies[1]}" "$slow=/dev/mob/replica2")
# what is read by those who are killed goes to waste
wasted=("${ordered[0]}=/tmp/wasted0" "${ordered[1]}=/tmp/wasted1" "$slow=/tmp/wasted2")
verify="oracle verify --at-least $progress.before --at-most $progress.after ${copies[*]}"
declare -A quickest

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }
all_dirty() { value dirty_granules "$(drain status "${ordered[0]}")"; }
slow_is_in_flight() { [ "$(counter disks/dm-0 in_flight)" -gt 0 ]; }
given_back() { [ "$(all_dirty)" = 40 ]; }

# Kills the owner of an epoch of 40 granules in a state, and takes the time until another boundary is had.
kill_in() {		# STATE
	local state=$1 allowed=0 killed took

	dd if=/dev/urandom of="${ordered[0]}" bs=4k seek=$((500 + RANDOM % 400)) count=40 oflag=direct \
		conv=notrunc 2>/dev/null
	if [ "$state" = closing ]; then
		dd if=/dev/urandom of=$slow bs=4k seek=$((RANDOM % 500)) count=1 oflag=direct conv=notrunc \
			2>/dev/null &
		wait_until 60 "the slow write does not come in flight" slow_is_in_flight
		allowed=$delay_ms
	fi
	hold_start --until "$state" --delay 20000 --read 4 "${wasted[@]}"
	hold_wait "$state"
	killed=$(now_ms)
	hold_kill
	hold_start --until sealed --commit "${pairs[@]}"
	hold_wait closing
	took=$(($(now_ms) - killed - allowed))
	[ $took -gt 0 ] || took=0
	[ "${quickest[$state]-$took}" -lt $took ] || quickest[$state]=$took
	# the new epoch was had with the bits of the old one, or they are in the one that is active now
	hold_wait sealed
	hold_release
	drain run --epochs 1 "${pairs[@]}"
	cmp -s <(dd if="${ordered[0]}" bs=1M iflag=direct 2>/dev/null) <(dd if="${copies[0]}" bs=1M 2>/dev/null) ||
		die "the bits of an epoch whose owner was killed in $state were not given back"
	echo "killed in $state: a boundary after $took ms more than its writes took"
}

# The bits themselves, with nothing else written.
kill_and_count() {	# STATE
	dd if=/dev/urandom of="${ordered[0]}" bs=4k seek=100 count=40 oflag=direct conv=notrunc 2>/dev/null
	hold_start --until "$1" --delay 20000 --read 4 "${wasted[@]}"
	hold_wait "$1"
	hold_kill
	wait_until 20 "not all of 40 granules are dirty after the owner was killed in $1" given_back
	drain run --epochs 1 "${pairs[@]}"
}

modprobe dm-delay
insmod /mobility.ko pool_bytes=$((64 << 20))
dmsetup create --noudevsync slow --table \
	"0 $(blockdev --getsz /dev/mob/data3) delay /dev/mob/data3 0 0 /dev/mob/data3 0 $delay_ms"
dmsetup mknodes slow
oracle format --threads direct:512,direct:4096,vector:1536,nowait:3584,aio:8192,dsync:1024 --rows 32 \
	"${ordered[@]}"
oracle_pause=2000 oracle_write "${ordered[@]}"
load_yield
drain attach --dirty "${ordered[@]}" $slow
drain run --epochs 1 "${pairs[@]}"
drain run --epochs "$boundaries" --random-order --read 16 --progress $progress --check "$verify" \
	"${pairs[@]}" >/tmp/drain.log || {
	grep -a '^VIOLATION\|^drain:' /tmp/drain.log | head -n 12
	die "a point is wrong: $(grep -a '^VIOLATION\|^drain:' /tmp/drain.log | head -n 1)"
}
tail -n 1 /tmp/drain.log
oracle_stop
drain run --epochs 1 "${pairs[@]}"

for state in closing sealed reading; do
	kill_and_count $state
	for ((i = 0; i < 3; i++)); do
		kill_in $state
	done
	[ "${quickest[$state]}" -le 1000 ] ||
		die "after a kill in $state, no boundary could be taken for ${quickest[$state]} ms"
done
sync
for disk in "${ordered[@]}" $slow; do
	status=$(drain status "$disk")
	[ "$(value dirty_granules "$status")" = 0 ] || die "$disk is dirty after the last epoch"
	[ "$(value failed_writes "$status")" = 0 ] || die "a write failed on $disk"
done
drain detach "${ordered[@]}" $slow
rmmod mobility
echo "closing_ms=${quickest[closing]} sealed_ms=${quickest[sealed]} reading_ms=${quickest[reading]}"
