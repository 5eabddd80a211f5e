#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: a loop device over a file, and two disks of QEMU, change their size under the module.
set -euo pipefail
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
# shellcheck source=tests/vm/cases/guest/plug.sh
. /cases/plug.sh
image=/tmp/source.img replica=/tmp/replica.img
mib=$((1 << 20))
RESIZED=2
points=0 resized=""
tracked=16		# MiB of the disk that the module tracks

size_is() { [ "$(blockdev --getsize64 "$disk")" = $(($1 * mib)) ]; }

resize_to() {		# MIB
	case $disk in
	/dev/loop*) truncate -s "$1M" $image; losetup -c "$disk" ;;
	/dev/vd*) plug_ask resize virtio "$1" ;;
	/dev/sd*) plug_ask resize scsi "$1" ;;
	esac
	wait_until 60 "$disk does not take its new size, $1 MiB" size_is "$1"
}

put() {			# OFFSET LENGTH BYTE, in bytes
	blkio write "$disk" "$@"
}

replicate() {		# one epoch
	drain run --epochs 1 "$disk=$replica"
}

expect_dirty() {	# GRANULES WHAT
	[ "$(status_of dirty_granules "$disk")" = "$1" ] ||
		die "$(status_of dirty_granules "$disk") granules of $disk are dirty instead of $1: $2"
}

compare() {		# MIB
	cmp -n $(($1 * mib)) "$disk" $replica || die "the first $1 MiB of the replica differ"
}

expect_resized() {	# MIB WHAT: the size is this now
	local line

	line=$(diskwatch $RESIZED $((60 * patience)) "$disk") || die "no RESIZED event: $2 (${line##*$'\n'})"
	[[ $line == *" size=$((tracked * mib)) size_now=$(($1 * mib)) "* ]] || die "wrong sizes: $2 ($line)"
}

grow_under_load() {
	local pid

	oracle_pause=20000 oracle_start "$disk@4M"
	replicate
	drain run --epochs 4 --interval 300 --progress $progress --check \
		"oracle verify --at-least $progress.before --at-most $progress.after $replica@4M" \
		"$disk=$replica" >/tmp/points &
	pid=$!
	resize_to 24
	expect_resized 24 "the disk has grown"
	wait $pid || { cat /tmp/points; die "a point was wrong while the disk grew"; }
	points=$((points + $(value checked "$(tail -n 1 /tmp/points)")))
	oracle_stop
	replicate
	compare 16
}

write_past_the_end() {
	expect_dirty 0 "nothing was written"
	put $((20 * mib)) $mib 1
	blkio discard "$disk" $((18 * mib)) $mib || [ $? -eq 3 ]	# or it cannot
	expect_dirty 0 "only what lies past the end as attached was written"
	put $((16 * mib - 8192)) 16384 2
	expect_dirty 2 "half of this write lies past the end as attached"
	replicate
	compare 16
}

# Nothing that was dirty is forgotten, and what lies past the old end is tracked: without attaching again.
grow_on_line() {
	put $((4 * mib)) 8192 3
	drain grow "$disk" || die "the larger disk cannot be taken up"
	tracked=24
	[ "$(status_of size "$disk")" = $((tracked * mib)) ] || die "after growth $(status_of size "$disk") bytes are tracked"
	expect_dirty 2 "these were written before the disk was taken up"
	put $((23 * mib)) 4096 4
	put $((16 * mib - 4096)) 8192 5
	expect_dirty 5 "one was written past the old end, and two across it"
	drain grow "$disk" || die "what has not grown again is refused"
	expect_dirty 5 "nothing has changed"
	drain mark --offset $((16 * mib)) --length $((8 * mib)) "$disk"
	truncate -s ${tracked}M $replica
	replicate
	compare $tracked
}

refused_meanwhile() {
	local pid

	rm -f /tmp/hold
	drain hold --until sealed "$disk=$replica" >/tmp/hold &
	pid=$!
	wait_until 20 "no epoch is sealed" grep -q sealed /tmp/hold
	! drain grow "$disk" 2>/tmp/refused || die "a disk grows while an epoch is sealed"
	grep -q 'busy' /tmp/refused || die "growth while an epoch is sealed: $(cat /tmp/refused)"
	kill -TERM $pid
	wait $pid || die "the epoch was not ended: $(cat /tmp/hold)"
}

replicate_until_grown() {
	until [ -e /tmp/grown ]; do
		replicate || return
	done
}

# By one MiB again and again, between epochs, while the oracle writes: no bit is lost on the way from one bitmap to the next.
grow_under_storm() {
	local size pid

	oracle_pause=500 oracle_start "$disk@4M"
	rm -f /tmp/grown
	replicate_until_grown >/tmp/storm 2>&1 &
	pid=$!
	for size in $(seq $((tracked + 1)) 32); do
		resize_to "$size"
		until drain grow "$disk" 2>/tmp/refused; do
			grep -q 'busy' /tmp/refused || die "growth to $size MiB: $(cat /tmp/refused)"
			sleep 0.01
		done
	done
	touch /tmp/grown
	wait $pid || die "an epoch failed while the disk grew: $(cat /tmp/storm)"
	tracked=32
	oracle_stop
	drain mark --offset $((24 * mib)) --length $((8 * mib)) "$disk"
	truncate -s ${tracked}M $replica
	replicate
	compare $tracked
}

# The bitmaps of a disk that grew a lot have no room: it stays tracked as it was.
no_room() {
	disk=/dev/loop0
	rmmod mobility
	insmod /mobility.ko bitmap_bytes=98304
	truncate -s 16M $image
	losetup -c $disk
	drain attach --granule-shift 12 $disk
	put $((4 * mib)) 4096 1
	resize_to 1100
	! drain grow $disk 2>/tmp/refused || die "larger bitmaps than their bound allows"
	grep -q 'No space left' /tmp/refused || die "no room for larger bitmaps: $(cat /tmp/refused)"
	[ "$(status_of size $disk)" = $((16 * mib)) ] || die "after a refusal $(status_of size $disk) bytes are tracked"
	put $((8 * mib)) 4096 1
	expect_dirty 2 "the disk stays tracked after a refusal"
	drain detach $disk
}

# One partition from 1 MiB to 9 MiB, then one from 2 MiB to 10 MiB
partition() {		# FIRST-MIB
	printf 'o\nn\np\n1\n%d\n%d\nw\n' $(($1 * 2048)) $((($1 + 8) * 2048 - 1)) |
		fdisk -u "$disk" >/tmp/fdisk 2>&1 || true
	blockdev --rereadpt "$disk" || { cat /tmp/fdisk; die "no partition table could be read"; }
	[ -b "${disk}p1" ] || die "there is no partition"
	[ "$(cat /sys/block/loop0/loop0p1/start)" = $(($1 * 2048)) ] || die "the partition is elsewhere"
}

repartition() {
	local first

	for first in 1 2; do
		partition $first
		sync
		replicate
		blkio write "${disk}p1" $mib 8192 $((first + 2))
		expect_dirty 2 "8 KiB were written through a partition that begins at $first MiB"
		replicate
		cmp -s <(dd if=$replica bs=4k skip=$(((first + 1) * 256)) count=2 2>/dev/null) \
			<(dd if="${disk}p1" bs=4k skip=256 count=2 2>/dev/null) ||
			die "a write to a partition did not arrive where the partition is"
		compare $tracked
	done
}

shrink_and_grow() {
	put $((12 * mib)) 8192 5
	resize_to 8
	expect_resized 8 "the disk has shrunk"
	! drain grow "$disk" 2>/tmp/refused || die "a disk that shrank was taken for one that grew"
	grep -q 'out of range' /tmp/refused || die "a disk that shrank: $(cat /tmp/refused)"
	put $((2 * mib)) 4096 6
	! blkio write "$disk" $((12 * mib)) 4096 7 2>/dev/null || die "a write past the end succeeded"
	! replicate >/tmp/shrunk 2>&1 || die "an epoch with granules past the end was read: $(cat /tmp/shrunk)"
	grep -q 'Input/output error' /tmp/shrunk || die "not an I/O error: $(cat /tmp/shrunk)"
	drain detach "$disk"
	drain attach "$disk" >/dev/null
	put $((7 * mib)) 4096 8
	expect_dirty 1 "attached at 8 MiB, 4 KiB were written"
	replicate
	expect_dirty 0 "the epoch of the smaller disk was committed"
	resize_to 32
	drain detach "$disk"
	drain attach --dirty "$disk" >/dev/null
	put $((31 * mib)) $mib 9
	truncate -s 32M $replica
	replicate
	compare 32
	[ "$(status_of events "$disk")" = 0 ] || die "events $(status_of events "$disk") after attaching again"
}

while_it_changes() {
	tracked=16
	truncate -s ${tracked}M $replica
	drain attach --dirty "$disk"
	grow_under_load
	write_past_the_end
	grow_on_line
	refused_meanwhile
	grow_under_storm
	[[ $disk != /dev/loop* ]] || repartition
	shrink_and_grow
	drain detach "$disk"
	resized+="${resized:+,}${disk#/dev/}"
	rm $replica
}

modprobe loop max_part=8
modprobe -a virtio_scsi sd_mod || true
plug_ask plug scsi
wait_until 60 "there is no SCSI disk" test -b /dev/sda
truncate -s 16M $image
losetup /dev/loop0 $image
insmod /mobility.ko
for disk in /dev/loop0 /dev/vda /dev/sda; do
	while_it_changes
done
plug_ask end
no_room
losetup -d /dev/loop0
rmmod mobility
echo "points=$points resized=$resized"
