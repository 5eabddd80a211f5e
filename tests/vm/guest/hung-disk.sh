#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-hung-disk.sh.
set -euo pipefail
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
hung=/dev/mapper/hung other=/dev/mob/other
pairs=("$hung=/dev/mob/replica0" "$other=/dev/mob/replica1")
writes=3000	# a disk reads for 256 of them at a time

in_flight() { [ "$(counter "disks/$dm" in_flight)" = "$1" ]; }
all_are_held() { in_flight $writes; }

dd if=/dev/urandom of=/dev/mob/hung bs=1M oflag=direct status=none || true	# to its end
echo "0 $(blockdev --getsz /dev/mob/hung) linear /dev/mob/hung 0" | dmsetup create hung --noudevsync
dmsetup mknodes hung
dm=$(basename "$(dirname "$(dirname "$(grep -lx hung /sys/block/dm-*/dm/name)")")")
# room for a copy of each, and time enough for those behind a disk that does not answer
insmod /mobility.ko pool_bytes=$((64 << 20)) hold_ms=600000
drain attach --dirty $hung $other >/dev/null
hold_start --until sealed --commit --torn-ok "${pairs[@]}"
hold_wait sealed
dmsetup suspend --noudevsync --noflush --nolockfs hung
fio --output=/tmp/fio --name=held --filename=$hung --ioengine=libaio --direct=1 --rw=write --bs=4k --size=$((writes * 4096)) \
	--iodepth=$writes --thread &
fio_pid=$!
wait_until 60 "the writes to the disk that does not answer are not held" all_are_held
for ((i = 0; i < 64; i++)); do
	timeout $((20 * patience)) blkio write $other $((i * 8192)) 4096 0x5a ||
		die "a write to another disk waited for the one that does not answer"
done
[ "$(status_of held_writes $other)" -ge 64 ] || die "the writes to the other disk were not held: nothing was shown"
all_are_held || die "the disk answered: nothing was shown"
other_ms=$(($(status_of held_max_us $other) / 1000))
dmsetup resume --noudevsync hung
wait $fio_pid || die "fio failed: $(cat /tmp/fio)"
hold_release
[ "$(value torn "$hold_line")" = 0 ] || die "the epoch is torn: $hold_line"
drain run --epochs 1 "${pairs[@]}"

# Detached while a write is in flight, it is waited for by nobody.
dmsetup suspend --noudevsync --noflush --nolockfs hung
blkio write $hung 0 4096 0x5a &
wait_until 20 "a write does not begin" in_flight 1
drain detach $hung
timeout $((20 * patience)) drain run --epochs 2 "${pairs[1]}" ||
	die "a detached disk that does not answer keeps the others from a boundary"
dmsetup resume --noudevsync hung
wait $! || die "the write during which the disk was detached failed"
drain attach --dirty $hung

# Nor is it while a held write of it reads what it overwrites.
hold_start --until sealed --torn-ok "${pairs[@]}"
hold_wait sealed
dmsetup suspend --noudevsync --noflush --nolockfs hung
held_before=$(counter module held_writes)
blkio write $hung 0 4096 0xa5 &
write_pid=$!
wait_until 20 "a write does not begin" in_flight 1
drain detach $hung
hold_kill
timeout $((20 * patience)) drain run --epochs 2 "${pairs[1]}" ||
	die "a held write of a detached disk that does not answer keeps the others from a boundary"
dmsetup resume --noudevsync hung
wait $write_pid || die "the held write during which the disk was detached failed"
[ "$(counter module held_writes)" -gt "$held_before" ] || die "the write was not held: nothing was shown"
drain attach --dirty $hung
drain run --epochs 1 "${pairs[@]}"
drain detach $hung $other
rmmod mobility
echo "held=$writes other_ms=$other_ms"
